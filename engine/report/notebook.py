"""A comparison as a Jupyter notebook: it opens the comparison by its run ids, draws what the page draws, and says how to repeat it.

Names, notes and ids are data: escaped in Markdown, and in code literals that `repr` writes. Two exports are the same file.
Source of the format: nbformat 4.5, https://nbformat.readthedocs.io/en/latest/format_description.html.
"""

import json
from collections.abc import Callable
from typing import Literal, NamedTuple

from engine.compare import Comparison, sentences, slice_choices, slice_metrics, testable
from engine.report.bundle import baseline_of, footing, repeat, title
from engine.report.escape import cell, sentence_in
from engine.report.examples import example_user
from engine.report.figures import Figure, learning_curves, metric_intervals, pair_differences, quality_and_cost
from engine.report.narrative import narrative, paragraphs, runs_of
from engine.report.view import View

WIDTH = 110  # of literals
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WHERE = """\
## Open the comparison

Run this in the Python environment of the workbench, for instance by `uv run --with jupyterlab jupyter lab` in its checkout. Results are
read from the folder that `RECBENCH_WORKSPACE` names, else from `workspace` beside the notebook. Where several people share a store of
runs, `RECBENCH_TRACKING_URI` names it. Nothing below is trained or written unless you call `train_again` or `write_specs`."""
OPEN = """\
import os

# os.environ["RECBENCH_WORKSPACE"] = "…"     # the folder of datasets and runs
# os.environ["RECBENCH_TRACKING_URI"] = "…"  # a shared store of runs, where there is one

import pandas
import engine

pandas.set_option("display.html.use_mathjax", False, "display.max_colwidth", None)

run_ids = {run_ids}
settings = {settings}
comparison = engine.compare.compare(run_ids, **settings)
engine.report.as_frame(engine.report.contenders_table(comparison))"""
METRICS = """\
## Metrics on test

With half of each 95 % interval; ★ best, ☆ best value, but perhaps by chance, or by too little to matter. The numbers are in
`comparison.table`: value, low and high of the interval, std between seeds, delta."""
SLICES = """\
sliced = engine.compare.sliced(comparison, {by}, {key})
sliced.pivot(index="slice", columns="contender", values="value").loc[sliced["slice"].unique()]"""
LISTS = """\
user_id = {user_id}
lists = {{}}
for one in comparison.contenders:
    if one.run_id is not None and one.letter not in comparison.incomplete:
        best = engine.recommend.open_model(one.run_id).recommend(user_id, k=10)
        lists[one.letter] = best["title"].fillna(best["item_id"]) + best["liked"].map({{True: " ✓", False: ""}})
pandas.DataFrame(lists)"""
SIDE_BY_SIDE = """\
## Recommendations side by side

For the test user for whom the lists differ most; ✓ marks what the user liked in test. Any other user of the dataset can be named."""
VERDICT = """\
for sentence in engine.compare.sentences(comparison):
    print(engine.compare.plain(sentence), end="\\n\\n")
record = engine.compare.verdict_of(comparison).model_dump(mode="json")
pandas.DataFrame(list(record["metrics"].values()), columns=["metric", "leader", "winner", "unsure_of", "run", "value"])"""
AGAIN = """\
## Repeat it

On the command line with the specs below as files (`write_specs()`), or in Python (`train_again()`). The spec of the data says where its
source was; change that where yours is elsewhere."""
SPECS = """\
import json
from pathlib import Path

specs = {specs}
files = {files}  # of runs
commands = {commands}


def write_specs(folder="."):
    \"\"\"Write the files that the commands read.\"\"\"
    for name, spec in specs.items():
        Path(folder, name).write_text(json.dumps(spec, indent=2))


print(*commands, sep="\\n")"""
REPEAT = """\
from engine.datasets import DatasetSpec
from engine.specs import RunSpec


def train_again():
    \"\"\"Prepare the data and train every run anew, one after the other; returns the ids of the new runs.\"\"\"
    dataset = {dataset}
    run_ids = []
    for name in files:
        spec = RunSpec.model_validate(specs[name] | {{"dataset": dataset}})
        run_ids.append(engine.runs.wait(engine.runs.submit(spec)).run_id)
    return run_ids


# comparison = engine.compare.compare(train_again(), **settings)"""
PREPARED = "engine.runs.wait(engine.runs.submit(DatasetSpec.model_validate(specs[{file}]))).dataset"


class NotebookCell(NamedTuple):
    """A cell: its id in the notebook, which never changes, its kind and its text."""

    id: str
    kind: Literal["markdown", "code"]
    text: str

    @property
    def record(self) -> dict[str, object]:
        """The cell as the format has it."""
        ran: dict[str, object] = {"execution_count": None, "outputs": []} if self.kind == "code" else {}
        return ran | {"cell_type": self.kind, "id": self.id, "metadata": {}, "source": self.text.splitlines(keepends=True)}


def write(comparison: Comparison, view: View) -> bytes:
    """The notebook in UTF-8, not executed."""
    cells = [*_open(comparison), *_metrics(comparison), *_figures(comparison, view), *_slices(comparison, view)]
    cells += [*_lists(comparison), *_verdict(), *_repeat(comparison)]
    notebook = {"cells": [one.record for one in cells], "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def _open(comparison: Comparison) -> list[NotebookCell]:
    said = [f"# {cell(title(comparison))}"]
    said += ["  \n".join(map(cell, lines)) for lines in paragraphs(narrative(runs_of(comparison)))]
    said += [sentence_in(one, cell, "**{}**") for one in sentences(comparison)]
    said += [f"Not compared: {cell(name)} {cell(reason)}." for name, reason in comparison.apart]
    settings = {
        "baseline": baseline_of(comparison) or "popularity",
        "seeds": any(len(one.run_ids) > 1 for one in comparison.contenders),  # off, each run is a contender, which is what they are
        "k": comparison.k,
        "threshold": comparison.threshold,
        "target": comparison.target,
    }
    code = OPEN.format(run_ids=_literal(runs_of(comparison)), settings=_literal(settings))
    return [
        NotebookCell("verdict-as-exported", "markdown", "\n\n".join([*said, cell(footing(comparison))])),
        NotebookCell("where", "markdown", WHERE),
        NotebookCell("open", "code", code),
    ]


def _metrics(comparison: Comparison) -> list[NotebookCell]:
    return [
        NotebookCell("metrics", "markdown", METRICS),
        NotebookCell("metrics-table", "code", "engine.report.as_frame(engine.report.metrics_table(comparison))"),
    ]


def _figures(comparison: Comparison, view: View) -> list[NotebookCell]:
    """A cell for each figure that there is: as the page drew it, else the usual one."""
    drawn: list[tuple[str, Callable[..., Figure | None], dict[str, str | None]]] = [
        ("intervals", metric_intervals, {"key": view.pairs}),
        ("curves", learning_curves, {"key": view.curve}),
        ("quality-and-cost", quality_and_cost, {"key": view.quality, "cost": view.cost}),
        ("pairs", pair_differences, {"key": view.pairs}),
    ]
    shown = []
    for id, draw, asked in drawn:
        chosen = {name: value for name, value in asked.items() if value}
        known = next((one for one in (chosen, {}) if draw(comparison, **one)), None)
        if known is not None:
            words = "".join(f", {name}={value!r}" for name, value in known.items())
            shown.append(NotebookCell(id, "code", f"engine.report.{draw.__name__}(comparison{words})"))
    text = '## Figures\n\nEach is matplotlib\'s own figure under `.sheet`; another metric can be named, such as `key="auc"`.'
    tables = "for table in engine.report.pair_tables(comparison):\n    print(table.title)\n    display(engine.report.as_frame(table))"
    shown += [NotebookCell("pairs-tables", "code", tables)] if testable(comparison) else []
    return [NotebookCell("figures", "markdown", text), *shown] if shown else []


def _slices(comparison: Comparison, view: View) -> list[NotebookCell]:
    known = {by: metrics for by in slice_choices(comparison) if (metrics := slice_metrics(comparison, by))}
    if not known:
        return []
    by = view.slice_by if view.slice_by in known else next(iter(known))
    key = view.sliced if view.sliced in known[by] else known[by][0]
    return [
        NotebookCell("slices", "markdown", "## Where they differ"),
        NotebookCell("slices-table", "code", SLICES.format(by=repr(by), key=repr(key))),
    ]


def _lists(comparison: Comparison) -> list[NotebookCell]:
    """The lists of one user, where models can rank and lists are in this workspace."""
    user_id = example_user(comparison)
    if user_id is None:
        return []
    return [NotebookCell("lists", "markdown", SIDE_BY_SIDE), NotebookCell("lists-table", "code", LISTS.format(user_id=repr(user_id)))]


def _verdict() -> list[NotebookCell]:
    text = "## Verdict\n\nIn sentences, and in `record` as files and pipelines read it: who leads by each metric, and surely wins."
    return [NotebookCell("verdict", "markdown", text), NotebookCell("verdict-record", "code", VERDICT)]


def _repeat(comparison: Comparison) -> list[NotebookCell]:
    again = repeat(comparison)
    literals = {"specs": again.specs, "files": again.runs, "commands": again.commands}
    cells = [
        NotebookCell("repeat", "markdown", "\n\n".join([AGAIN, *map(cell, again.notes)])),
        NotebookCell("specs", "code", SPECS.format(**{name: _literal(value) for name, value in literals.items()})),
    ]
    dataset = PREPARED.format(file=repr(again.data[0])) if again.data else repr(comparison.dataset)
    return [*cells, NotebookCell("train-again", "code", REPEAT.format(dataset=dataset))] if again.runs else cells


def _literal(value: object, indent: str = "") -> str:
    """A value of JSON as Python source: on one line where it fits, else a line for each part."""
    line, inner = repr(value), indent + "    "
    if len(indent) + len(line) <= WIDTH or not value or not isinstance(value, dict | list):
        return line
    if isinstance(value, dict):
        parts = [f"{inner}{name!r}: {_literal(part, inner)}" for name, part in value.items()]
    else:
        parts = [f"{inner}{_literal(part, inner)}" for part in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([first, *(f"{part}," for part in parts), indent + last])
