"""The notebook of a comparison before anybody runs it: valid, the same each time, and inert whatever people wrote."""

import ast
import json
import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from markdown_it import MarkdownIt

import engine
from engine import runs
from engine.compare import Comparison
from engine.report import View
from engine.report.escape import cell
from engine.report.tables import one_line
from tests.compared import NASTY, made
from tests.records import run

FORMULA = ["costs $5 and $6", r"\(x\)", r"\[ \href{javascript:alert(1)}{x} \]", "$$x$$", r"\begin{equation}x\end{equation}", r"\$x\$"]
MAGIC = ["%%bash\nrm -rf /", "!ls", "%cd /", "'''\nimport os", '"""+str(1)+"""', "print?", "\\N{SNOWMAN}", "{run_ids}"]


@pytest.fixture(autouse=True)
def known_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Runs whose specs were named by the same people."""
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    named = dict(zip("abcdefghijklmnopqrstuvwxyz", [*MAGIC, *NASTY], strict=False))

    def get_run(run_id: str) -> runs.Run:
        found = run(run_id, "dlrm")
        return found.model_copy(update={"settings": found.settings | {"name": named[run_id[0]]}})

    for place in ("engine.runs.get_run", "engine.runs.read.get_run"):
        monkeypatch.setattr(place, get_run)
    monkeypatch.setattr(runs, "alarms", lambda run_id: [])


def cells(comparison: Comparison, kind: str, view: View | None = None) -> dict[str, str]:
    """The cells of one kind, by their ids."""
    written = json.loads(engine.report.export(comparison, "ipynb", view or View()))
    return {one["id"]: "".join(one["source"]) for one in written["cells"] if one["cell_type"] == kind}


def shape(code: str) -> str:
    """Code without its literals: what it does, whatever it does it with."""
    tree = ast.parse(code)

    class Blank(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            if isinstance(node, ast.Dict | ast.List) and all(isinstance(one, ast.Constant) for one in ast.iter_child_nodes(node)):
                return ast.Constant("literal")
            return node

        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            return ast.Constant("literal")

    return ast.dump(Blank().visit(tree))


class Nodes(HTMLParser):
    """Tags of a piece of HTML, and its text node by node."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def rendered(markdown: str) -> Nodes:
    nodes = Nodes()
    nodes.feed(MarkdownIt("gfm-like", {"linkify": False}).render(markdown))
    return nodes


def with_formulas(nodes: Nodes) -> list[str]:
    """Text nodes in which MathJax may find a formula: a dollar or a backslash that is not alone in its element."""
    return [node for node in nodes.text if re.search(r"\$|\\", node) and len(node) > 1]


@pytest.mark.parametrize("text", [*NASTY, *FORMULA, *MAGIC])
def test_text_in_a_cell_is_shown_as_it_is_and_holds_no_formula(text: str) -> None:
    nodes = rendered(f"before {cell(text)} after")
    assert set(nodes.tags) <= {"p", "span"}
    assert "".join(nodes.text).strip() == f"before {one_line(text)} after"
    assert not with_formulas(nodes)
    alone = rendered(cell(text))
    assert set(alone.tags) <= {"p", "span"} and "".join(alone.text).strip() == one_line(text)


def test_names_and_notes_add_neither_markup_nor_code() -> None:
    comparison, harmless = made([*MAGIC, *NASTY]), made([f"Run {at}" for at in range(len(MAGIC) + len(NASTY))])
    engine.report.set_narrative(engine.report.runs_of(comparison), "\n\n".join([*NASTY, *FORMULA, *MAGIC]))
    for text in cells(comparison, "markdown").values():
        nodes = rendered(text)
        assert set(nodes.tags) <= {"h1", "h2", "p", "br", "strong", "code", "span"}
        assert not with_formulas(nodes)
    engine.report.set_narrative(engine.report.runs_of(comparison), "")
    ours, theirs = cells(comparison, "code"), cells(harmless, "code")
    assert ours.keys() == theirs.keys()
    for id, code in ours.items():
        assert shape(code) == shape(theirs[id]), id
        assert not [line for line in code.splitlines() if line.lstrip().startswith(("%", "!", "?")) or line.endswith("?")]


def test_it_is_valid_and_the_same_each_time(tmp_path: Path) -> None:
    first, second = (engine.report.export(made(NASTY), "ipynb") for _ in range(2))
    assert first == second and first.endswith(b"\n}\n")
    notebook = nbformat.reads(first.decode(), as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert not [one for one in notebook.cells if one.cell_type == "code" and (one.outputs or one.execution_count)]
    assert str(tmp_path) not in first.decode() and str(Path.cwd()) not in first.decode()


def test_the_settings_are_those_of_the_page() -> None:
    many = made(["One", "Two"]).model_copy(update={"k": 20, "threshold": 0.05, "target": "next", "against": "B"})
    code = cells(many, "code")["open"]
    assert value_of(code, "run_ids") == ["a" * 32, "b" * 32]
    assert value_of(code, "settings") == {"baseline": "b" * 32, "seeds": False, "k": 20, "threshold": 0.05, "target": "next"}
    seeds = many.contenders[0].model_copy(update={"run_ids": ("c" * 32, "d" * 32)})
    code = cells(many.model_copy(update={"contenders": [seeds, *many.contenders[1:]], "against": "pop"}), "code")["open"]
    assert value_of(code, "run_ids") == ["c" * 32, "d" * 32, "b" * 32]
    assert value_of(code, "settings") == {"baseline": "popularity", "seeds": True, "k": 20, "threshold": 0.05, "target": "next"}
    again = cells(many, "code")["specs"]
    assert value_of(again, "commands")[-1].endswith("--baseline " + "b" * 32 + " --k 20 --target next --matters 5")


def value_of(code: str, name: str) -> Any:
    """The literal that code gives a name."""
    found = [node.value for node in ast.parse(code).body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name]
    assert len(found) == 1
    return ast.literal_eval(found[0])


def test_figures_are_those_that_the_page_drew_where_the_comparison_has_them() -> None:
    curves = pd.concat(
        made(["One", "Two"]).curves.assign(metric=metric, contender=one)
        for metric, one in product(("valid_ndcg_at_10", "valid_auc", "train_loss"), "AB")
    )
    comparison = made(["One", "Two"], curves=curves)
    usual = cells(comparison, "code")
    assert usual["curves"] == "engine.report.learning_curves(comparison)"
    assert usual["quality-and-cost"] == "engine.report.quality_and_cost(comparison)"
    chosen = cells(comparison, "code", View(curve="train_loss", quality="auc", cost="Training time", pairs="auc"))
    assert chosen["curves"] == "engine.report.learning_curves(comparison, key='train_loss')"
    assert chosen["quality-and-cost"] == "engine.report.quality_and_cost(comparison, key='auc', cost='Training time')"
    assert chosen["pairs"] == "engine.report.pair_differences(comparison, key='auc')"
    gone = View(curve="valid_x", quality="rmse", cost="'); import os", pairs="rmse", slice_by="x", sliced="y")
    assert cells(comparison, "code", gone) == usual


def test_figures_show_what_the_comparison_holds() -> None:
    comparison = made(["One", "Two", "Three"])
    intervals = engine.report.metric_intervals(comparison, "ndcg_at_10")
    assert intervals is not None
    (axes,) = intervals.sheet.axes
    table = comparison.table[comparison.table["metric"] == "ndcg_at_10"]
    assert [line.get_xdata()[0] for line in axes.lines] == table["value"].tolist()
    drawn = [tuple(part.vertices[:, 0]) for lines in axes.collections for part in lines.get_paths()]
    assert drawn == [(low, high) for low, high in zip(table["low"], table["high"], strict=True) if low == low]  # popularity has none
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A One", "B Two", "C Three", "Popularity"]
    pairs = engine.report.pair_differences(comparison, "auc")
    assert pairs is not None
    (axes,) = pairs.sheet.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A − B", "A − C"]
    assert [tuple(part.vertices[:, 0]) for lines in axes.collections for part in lines.get_paths()] == [(-0.02, 0.02)] * 2
    assert pairs._repr_png_()[0].startswith(b"\x89PNG")
    assert engine.report.metric_intervals(comparison, "rmse") is None and engine.report.pair_differences(comparison, "rmse") is None


def test_a_table_as_a_frame_holds_its_text() -> None:
    comparison = made(["One", "Two"])
    frame = engine.report.as_frame(engine.report.metrics_table(comparison))
    assert list(frame.columns) == ["A", "B", "pop"] and list(frame.index) == ["NDCG@10 ↑", "AUC ↑"]
    assert frame.loc["NDCG@10 ↑", "A"] == "★ 0.5000 ± 0.1250" and frame.loc["AUC ↑", "pop"] == "–"
