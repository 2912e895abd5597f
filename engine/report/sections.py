"""What a report says below its verdict, section by section: text, tables and figures as they are; whoever writes them down escapes them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine import datasets, runs
from engine.compare import (
    FEW_IN_SLICE,
    PAIR_HEADS,
    RELIABILITY_NOTE,
    SLICE_NOTES,
    Comparison,
    Part,
    Sentence,
    StressRow,
    budget_curves,
    budget_metrics,
    can_stress,
    mark_legend,
    names,
    not_here,
    number,
    percent,
    protocol_of,
    protocol_sentence,
    protocol_settings,
    reading_notes,
    slice_choices,
    slice_metrics,
    sliced,
    stress_sentence,
    stress_test,
    takeover_sentence,
    verdict_of,
    with_half,
)
from engine.report.bundle import bundle, export_name, footing
from engine.report.examples import HIT, MOST_CONTENDERS, example_lists
from engine.report.figures import Figure, figures, reliability
from engine.report.tables import NOTHING, Cell, Table, contenders_table, costs_table, metrics_table, pair_tables, settings_table
from workers.artifacts import metric

MOST_SLICES = 3
TRIALS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # rows of the table of budgets
SLICES_FIRST = ("activity", "popularity", "genre")  # of users, of items and of what these are about


class Term(NamedTuple):
    """A word and what it means."""

    name: str
    text: str


class Section(NamedTuple):
    """A part of the report, in the order in which it is read. `kind`: how it looks, where it is not like the others."""

    title: str
    paragraphs: Sequence[str | Sentence] = ()
    terms: Sequence[Term] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    commands: Sequence[str] = ()
    notes: Sequence[str] = ()
    kind: str = ""

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not any((self.paragraphs, self.terms, self.tables, self.figures, self.commands))


def sections(comparison: Comparison) -> list[Section]:
    """The sections of a report that have something to say about a comparison."""
    return [section for build in BUILDERS if not (section := build(comparison)).empty]


def _alarms(comparison: Comparison) -> Section:
    short = names(comparison.contenders)
    said = [
        (Part(f"{letter} {short[letter]}", name=True), Part(f": {alarm}"))
        for letter, alarms in verdict_of(comparison).alarms.items()
        for alarm in alarms
    ]
    return Section("What looks wrong", said, kind="alarm")


def _contenders(comparison: Comparison) -> Section:
    apart = [f"Not compared: {title} {reason}." for title, reason in comparison.apart]
    lacking = [f"{letter} can win nothing: {why}." for letter, why in comparison.incomplete.items()]
    return Section("Contenders", tables=[contenders_table(comparison)], notes=[*apart, *lacking])


def _protocol(comparison: Comparison) -> Section:
    """The protocol of the runs, as far as they and their dataset are here."""
    title = "How it was measured"
    try:
        measured = protocol_of(runs.get_run(next(c.run_id for c in comparison.contenders if c.run_id)))
    except (LookupError, StopIteration):
        return Section(title)
    try:
        dataset = datasets.get_dataset(comparison.dataset)
    except LookupError:
        return _measured(title, protocol_sentence(measured, None, comparison.users), protocol_settings(measured))
    if why := datasets.why_no_ranking(dataset):
        return Section(title, [why])
    return _measured(title, protocol_sentence(measured, dataset.counts.get("train_items"), comparison.users), protocol_settings(measured))


def _measured(title: str, sentence: str, settings: list[tuple[str, str, str]]) -> Section:
    return Section(title, [sentence], [Term(f"{name.capitalize()}: {value}", meaning) for name, value, meaning in settings])


def _metrics(comparison: Comparison) -> Section:
    return Section("Metrics on test", tables=_with_rows([metrics_table(comparison)]), notes=[mark_legend(comparison)], kind="metrics")


def _pictures(comparison: Comparison) -> Section:
    return Section("Learning, quality and cost", figures=figures(comparison))


def _budget(comparison: Comparison) -> Section:
    """The expected best of n trials of each contender that searched, and whom to take for which budget, by the metric of most searches."""
    title, metrics = "Budget", budget_metrics(comparison)
    curves = budget_curves(comparison, metrics[0]) if metrics else []
    if not curves:
        return Section(title)
    most = max(len(one.expected) for one in curves)
    shown = [n for n in TRIALS if n < most] + [most]
    rows = [[Cell(f"{n:,}"), *(Cell(number(one.expected[n - 1]) if n <= len(one.expected) else NOTHING) for one in curves)] for n in shown]
    note = 'Dodge et al., "Show Your Work", EMNLP 2019.'
    expected = Table(
        f"Expected best {metric(metrics[0]).label} on validation", ["trials", *(one.letter for one in curves)], rows, note=note
    )
    said = [sentence] if (sentence := takeover_sentence(comparison, curves, metrics[0], "trials")) else []
    return Section(title, said, tables=[expected], notes=reading_notes(curves, metrics[0], comparison))


def _pairs(comparison: Comparison) -> Section:
    return Section("Who differs from whom", tables=_with_rows(pair_tables(comparison)), kind="pairs")


def _slices(comparison: Comparison) -> Section:
    """A table for each of a few things to slice by; slices of very few users or rows are counted, not shown."""
    choices = slice_choices(comparison)
    order = sorted(choices, key=lambda by: SLICES_FIRST.index(by) if by in SLICES_FIRST else len(SLICES_FIRST))
    known = [(by, metrics[0]) for by in order if (metrics := slice_metrics(comparison, by))][:MOST_SLICES]
    return Section("Where they differ", tables=_with_rows([_slice(comparison, by, choices[by], key) for by, key in known]))


def _slice(comparison: Comparison, by: str, name: str, key: str) -> Table:
    frame, unit = sliced(comparison, by, key), "rows" if key == "auc" else "users"
    letters = [one.letter for one in comparison.contenders if one.letter in set(frame["contender"]) and one.model != "random"]
    cells = {(row["slice"], row["contender"]): row for row in frame.to_dict("records")}
    sizes = frame.groupby("slice", sort=False)["n"].max().to_dict()
    rows = []
    for part, n in sizes.items():
        if n >= FEW_IN_SLICE:
            of_part = [cells.get((part, letter)) for letter in letters]
            values = [NOTHING if row is None else with_half(row["value"], (row["high"] - row["low"]) / 2) for row in of_part]
            rows.append([Cell(str(part)), Cell(f"{n:,}"), *map(Cell, values)])
    few = sum(n < FEW_IN_SLICE for n in sizes.values())
    left_out = f"Left out: {few} with fewer than {FEW_IN_SLICE} {unit}." if few else ""
    note = " ".join(part for part in (f"{metric(key).label}.", SLICE_NOTES.get(by, ""), left_out) if part)
    return Table(name, [name.lower(), unit, *letters], rows, note=note)


def _stress(comparison: Comparison) -> Section:
    """The same contenders under many protocols, where at least two have lists."""
    if not can_stress(comparison):
        return Section("Stress test")
    test = stress_test(comparison)
    head = ["protocol", "users", *test.names]
    rows = [[Cell(row.variant.name), Cell(f"{row.users:,}"), *(_under(row, letter) for letter in test.names)] for row in test.rows]
    note = "NDCG@k. ★ surely best, ☆ best but not surely, by paired tests within each protocol."
    said = [stress_sentence(test), *not_here(test)]
    return Section("Stress test", said, tables=[Table("Many protocols", head, rows, note=note)])


def _under(row: StressRow, letter: str) -> Cell:
    """A contender's value under one protocol, with the star of the page."""
    mark = "" if row.best != letter else "★ " if row.surely else "☆ "
    return Cell(f"{mark}{number(row.values[letter])}", row.best == letter and row.surely)


def _reliability(comparison: Comparison) -> Section:
    drawn = reliability(comparison)
    return Section("Reliability", figures=[drawn] if drawn else [], notes=[RELIABILITY_NOTE])


def _lists(comparison: Comparison) -> Section:
    shown = example_lists(comparison)
    many = f" The first {MOST_CONTENDERS} contenders with lists are shown." if len(comparison.contenders) > MOST_CONTENDERS else ""
    lead = (
        f"The ten first items for {len(shown)} test users: those for whom the contenders' lists differ most, so they are not typical. "
        f"{HIT} marks what the user liked in test.{many}"
    )
    return Section("Lists side by side", [lead] if shown else [], tables=shown, kind="lists")


def _settings(comparison: Comparison) -> Section:
    return Section("Settings that differ", tables=_with_rows([settings_table(comparison)]))


def _costs(comparison: Comparison) -> Section:
    return Section("Cost", tables=_with_rows([costs_table(comparison)]))


def _glossary(comparison: Comparison) -> Section:
    """Every metric of the report, and the words of its tables."""
    known = comparison.table.loc[comparison.table["value"].notna(), "metric"]
    measured = [Term((found := metric(key)).label, found.description) for key in dict.fromkeys(known)]
    words = [
        Term("Interval", "A range that holds the true value for 95 % of draws of test users; ± is half of its width."),
        *(Term(name.capitalize() if len(name) > 1 else name, meaning) for name, meaning in PAIR_HEADS.items()),
        Term("What matters", f"Differences below {percent(comparison.threshold)} of a value are called the same."),
        Term("Seed", "Where the random numbers of a training start. Another seed gives a somewhat different model of the same settings."),
    ]
    return Section("Glossary", terms=[*measured, *words])


def _repeat(comparison: Comparison) -> Section:
    made = bundle(comparison)
    name = export_name(comparison, "json")
    lead = f"The commands below read specs out of {name}, the JSON export of this comparison; the first one writes them beside it."
    return Section("How to repeat it", [lead], commands=made["commands"], notes=made["notes"])


def _notes(comparison: Comparison) -> Section:
    return Section("Notes", [footing(comparison)])


def _with_rows(made: Sequence[Table]) -> list[Table]:
    return [table for table in made if table.rows]


BUILDERS: tuple[Callable[[Comparison], Section], ...] = (
    _alarms,
    _contenders,
    _protocol,
    _metrics,
    _pictures,
    _budget,
    _pairs,
    _slices,
    _stress,
    _reliability,
    _lists,
    _settings,
    _costs,
    _glossary,
    _repeat,
    _notes,
)  # in the order of the report
