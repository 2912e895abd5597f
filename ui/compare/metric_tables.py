"""The tables of a comparison: metrics, leaderboard, costs, settings."""

from collections.abc import Hashable, Mapping, Sequence

import pandas as pd
from pydantic import BaseModel

import engine
from engine.compare import FAMILIES, Comparison, Contender, MetricVerdict, budget_words, names, protocol_setting, verdict_of
from engine.specs import MODELS, Metric, TrainSpec
from ui.shared import tables, words

KIND = "model.kind"  # a setting: which model it is
ROOMY = 6  # columns that have room for wide cells at 1440 pixels
BEST = "best: ahead of every other by more than chance and by more than what another seed may change"
CLOSE = "best value, but not surely, or by too little to matter, ahead of"
BUDGET = "settings that were tried on validation, and the time of that; of several seeds each"
SEARCH = {"minutes": "minutes at most", "space": "settings tried"}  # names of settings of a search, where their own is not plain enough
Row = Mapping[Hashable, float]  # of a comparison's table
Alarms = Mapping[str, Sequence[str]]  # letter -> what looks wrong with a contender


def _head(contenders: Sequence[Contender], first: str, alarms: Alarms | None = None) -> str:
    short, cells = names(contenders), [f'<th scope="col" class="text">{first}</th>']
    cells += [f'<th scope="col">{_who(one, short, alarms)}</th>' for one in contenders]
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _who(one: Contender, short: Mapping[str, str], alarms: Alarms | None) -> str:
    """A contender's letter, a sign where it looks wrong, and below it the short name."""
    wrong = " ".join((alarms or {}).get(one.letter, []))
    mark = f' <span class="alarm" role="img" aria-label="looks wrong" title="{words.html(wrong, 900)}">⚠</span>' if wrong else ""
    below = ("nothing can beat it" if one.model == "oracle" else "baseline") if one.run_id is None else short[one.letter]
    who = f'<span class="who">{tables.letter(one)}{mark}</span>'
    return f'{who}<span class="name" title="{words.html(one.name)}">{words.html(below, 60)}</span>{_budget(one)}'


def _budget(one: Contender) -> str:
    """A line with the settings that were tried for a contender, and the seconds of that."""
    text = budget_words(one.budget)
    return f'<span class="name" title="{BUDGET}">{words.html(text)}</span>' if text else ""


def metric_table(
    comparison: Comparison,
    baseline: str,
    alarms: Alarms | None = None,
    keys: Sequence[str] | None = None,
) -> str:
    """HTML of the metric table: a column per contender, the best value in bold with a star, the difference to the baseline and σ below.

    Args:
        baseline: letter of the contender that differences are against; its own column shows none.
        alarms: letter -> what looks wrong with it.
        keys: the metrics that are shown; None: all that were measured.
    """
    cells = {(row["metric"], row["contender"]): row for row in comparison.table.to_dict("records") if not pd.isna(row["value"])}
    rows, family, verdict = [], None, verdict_of(comparison)
    for key in dict.fromkeys(name for name, _ in cells):  # in the order of the protocol
        metric = engine.specs.metric(key)
        values = [abs(row["value"]) for (name, _), row in cells.items() if name == key]
        if keys is not None and key not in keys:
            continue
        if metric.family != family:
            family = metric.family
            span = len(comparison.contenders) + 1
            rows.append(f'<tr class="group"><td class="text" colspan="{span}"><span>{FAMILIES.get(family, family)}</span></td></tr>')
        places = words.decimals(max(values))
        judged = verdict.metrics.get(key)
        shown = "".join(_metric_cell(cells.get((key, c.letter)), places, c, baseline, judged) for c in comparison.contenders)
        rows.append(f'<tr><th scope="row" class="text">{_metric_name(metric)}</th>{shown}</tr>')
    return tables.table(_head(comparison.contenders, "metric", alarms), rows, "Metrics of the compared runs", _look(comparison.contenders))


def leaderboard(
    comparison: Comparison,
    baseline: str,
    keys: Sequence[str],
    order: str,
    alarms: Alarms | None = None,
) -> str:
    """HTML of the metric table with contenders as rows, best first by one metric, those without a value last.

    Args:
        keys: the metrics that are columns. order: the one of them that says who comes first. The others: as `metric_table`.
    """
    cells = {(row["metric"], row["contender"]): row for row in comparison.table.to_dict("records") if not pd.isna(row["value"])}
    groups: dict[str, int] = {}
    for key in keys:
        groups[engine.specs.metric(key).family] = groups.get(engine.specs.metric(key).family, 0) + 1
    heads = [f'<th scope="col"{_sorted(key, order)}>{_metric_name(engine.specs.metric(key))}</th>' for key in keys]
    over = [f'<th scope="colgroup" colspan="{n}">{FAMILIES.get(family, family)}</th>' for family, n in groups.items()]
    of_metric = {key: [row for (name, _), row in cells.items() if name == key] for key in keys}
    places = {key: words.decimals(max(abs(row["value"]) for row in rows)) if rows else 3 for key, rows in of_metric.items()}
    rows, short, judged = [], names(comparison.contenders), verdict_of(comparison).metrics
    for one in sorted(comparison.contenders, key=lambda c: _rank(cells.get((order, c.letter)), engine.specs.metric(order).better)):
        shown = "".join(_metric_cell(cells.get((key, one.letter)), places[key], one, baseline, judged.get(key)) for key in keys)
        rows.append(f'<tr><th scope="row" class="text">{_who(one, short, alarms)}</th>{shown}</tr>')
    head = (
        f'<thead><tr class="over"><td></td>{"".join(over)}</tr><tr><th scope="col" class="text">contender</th>{"".join(heads)}</tr></thead>'
    )
    look = "wide dense turned" if len(keys) > ROOMY else "wide turned"
    return tables.table(head, rows, f"Contenders by {engine.specs.metric(order).label}, best first", look)


def _sorted(key: str, order: str) -> str:
    """The attributes of the column head by which rows are ordered; empty for others."""
    way = {"higher": "descending", "lower": "ascending", "one": "other"}[engine.specs.metric(key).better]
    return f' aria-sort="{way}" class="sorted"' if key == order else ""


def _rank(row: Row | None, better: str) -> float:
    """The sort key of a contender, least first; one without a value comes last."""
    if row is None:
        return float("inf")
    return {"higher": -row["value"], "lower": row["value"], "one": abs(row["value"] - 1)}[better]


def _metric_name(metric: Metric) -> str:
    arrow, better = words.DIRECTIONS[metric.better]
    return f'<abbr title="{words.html(f"{metric.description} {better}", 300)}">{words.html(metric.label)}</abbr> {arrow}'


def _metric_cell(row: Row | None, places: int, one: Contender, baseline: str, judged: MetricVerdict | None) -> str:
    """A contender's value with a star where it is best, a hollow one where that is not sure; its interval, difference and σ."""
    if row is None:
        return f'<td class="dim">{words.DASH}</td>'
    shown = words.number(row["value"], places)
    if judged is not None and judged.leader == one.letter:
        unsure = ", ".join(judged.unsure_of)
        mark = f'<span title="{CLOSE} {unsure}">☆</span>' if unsure else f'<span title="{BEST}">★</span>'
        shown = f'<span class="best">{mark} {shown}</span>'
    if pd.notna(row["low"]) and pd.notna(row["high"]):
        interval = f"{words.number(row['low'], places)} to {words.number(row['high'], places)}"
        half = words.short((row["high"] - row["low"]) / 2, places)
        shown += f' <span class="dim" title="95 % interval: {interval}">±{half}</span>'
    below = [words.signed(row["delta"], places)] if one.letter != baseline and pd.notna(row["delta"]) else []
    if pd.notna(row.get("std")):
        meaning = f"standard deviation between {len(one.run_ids)} seeds; it is counted in what is called best"
        below.append(f'<span title="{meaning}">σ {words.short(row["std"], places)}</span>')
    return f'<td>{shown}{"<br>" if below else ""}<span class="dim">{" ".join(below)}</span></td>'


def legend(comparison: Comparison) -> str:
    """Markdown: what the marks of the metric table mean."""
    return words.md(engine.compare.mark_legend(comparison), 400)


def _look(contenders: Sequence[Contender]) -> str:
    return "wide dense" if len(contenders) > ROOMY else "wide"


def fact_table(frame: pd.DataFrame, contenders: list[Contender], name: str, unit: str | None = None) -> str:
    """HTML of settings or costs: a row per fact, a column per contender.

    Args:
        frame: a column `name`, optionally a column `unit`, and one column per contender, named by its letter.
    """
    shown = [one for one in contenders if one.letter in frame.columns]
    rows = []
    for row in frame.to_dict("records"):
        measured = str(row.get(unit, "") or "") if unit else ""
        cells = "".join(f"<td>{_fact(row[one.letter], measured if unit else None)}</td>" for one in shown)
        rows.append(f'<tr><th scope="row" class="text">{words.html(row[name])}</th>{cells}</tr>')
    return tables.table(_head(shown, name), rows, f"Each run's {name}s", _look(shown))


def _fact(value: object, unit: str | None) -> str:
    if value is None or (isinstance(value, float) and words.missing(value)) or value is pd.NA:
        return f'<span class="dim">{words.DASH}</span>'
    if unit is not None and isinstance(value, int | float) and not isinstance(value, bool):
        text = words.quantity(value, unit)
        has_unit = unit in ("s", "seconds", "B", "bytes", "")  # `words.quantity` writes these itself
        return words.html(text) if has_unit else f'{words.html(text)} <span class="dim">{words.html(unit)}</span>'
    if isinstance(value, list | tuple):
        return words.html(", ".join(map(str, value)) or "none")
    return words.html({"True": "yes", "False": "no"}.get(str(value), value))


def settings_table(frame: pd.DataFrame, contenders: Sequence[Contender]) -> str:
    """HTML of settings: a row for each that several contenders have, and one row for those that one contender alone has.

    Args:
        frame: a column setting, and one column per contender, named by its letter: text, None where there is no such setting.
    """
    shown = [one for one in contenders if one.letter in frame.columns]
    letters = [one.letter for one in shown]
    alone = (frame[letters].notna().sum(axis=1) == 1) & (len(letters) > 1)
    rows = []
    for row in frame[~alone].to_dict("records"):
        values = [_model(row[one]) if row["setting"] == KIND else row[one] for one in letters]
        rows.append(tables.row(_setting(row["setting"], shown), [_fact(value, None) for value in values]))
    if alone.any():
        own = [frame.loc[alone & frame[one].notna(), ["setting", one]].to_numpy().tolist() for one in letters]
        lines = [[f"{_setting(name, shown)}:&nbsp;{_fact(value, None)}" for name, value in pairs] for pairs in own]
        rows.append(tables.row("Of this model alone", ["<br>".join(one) or f'<span class="dim">{words.DASH}</span>' for one in lines]))
    return tables.table(_head(shown, "setting"), rows, "Each run's settings", f"{_look(shown)} settings")


def _setting(name: str, contenders: Sequence[Contender]) -> str:
    """The name that the form gives a setting: model.embedding_dim -> Embedding dim; those of a protocol have names of their own."""
    if name == KIND:
        return "Model"
    part, _, field = name.partition(".")
    if part == "protocol":
        return words.html(f"Measured: {protocol_setting(field)}")
    if part == "search":
        return "Search" if not field else words.html(f"Search: {SEARCH.get(field, field)}")
    models = [MODELS[one.model] for one in contenders if one.model in MODELS]
    specs: list[type[BaseModel]] = [TrainSpec] if part == "train" else [*models]
    title = next((spec.model_fields[field].title for spec in specs if field in spec.model_fields), None)
    label = title or words.field_label(field or part)
    return words.html(f"Training: {label[:1].lower()}{label[1:]}" if part == "train" else label)


def _model(kind: object) -> str:
    """two_tower -> Two-tower."""
    model = MODELS.get(str(kind))
    return str(kind) if model is None else model.label
