"""What is taken away of a comparison: right in every format, and inert whatever people called their runs."""

import csv
import io
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

import engine
from engine import runs
from engine.compare import Comparison, plain, sentences
from engine.report import formats
from engine.report.tables import LONG, long, one_line, tables
from tests.compared import NASTY, NO, made, seen_in
from tests.records import run


@pytest.fixture(autouse=True)
def known_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    for place in ("engine.runs.get_run", "engine.runs.read.get_run"):
        monkeypatch.setattr(place, lambda run_id: run(run_id, "dlrm"))
    monkeypatch.setattr(runs, "alarms", lambda run_id: [])


def text(comparison: Comparison, kind: str) -> str:
    return engine.report.export(comparison, kind).decode("utf-8-sig")


def cells(comparison: Comparison) -> list[str]:
    return [cell.text for table in tables(comparison) for row in table.rows for cell in row]


def test_csv_has_every_number_and_runs_none() -> None:
    comparison = made(NASTY)
    found = list(csv.DictReader(io.StringIO(text(comparison, "csv"))))
    assert list(found[0]) == LONG
    assert all(not cell.startswith(("=", "+", "@", "\t")) for row in found for cell in row.values())
    assert {row["kind"] for row in found} == {"metric", "cost", "setting", "verdict", "pair"}
    ndcg = [row for row in found if row["name"] == "ndcg_at_10" and row["kind"] == "metric"]
    assert [float(row["value"]) for row in ndcg] == pytest.approx([0.5] + [0.1 + at / 100 for at in range(1, len(NASTY))] + [0.05])
    assert [row["best"] for row in ndcg] == ["True"] + ["False"] * len(NASTY)
    assert next(row["value"] for row in found if row["name"] == "model.l2") == "'-1"
    pairs = [row for row in found if row["kind"] == "pair"]
    assert len(pairs) == (len(NASTY) - 1) * (3 + 5)  # difference, p, answer; of the second metric visible from and users needed too
    assert len(found) - len(pairs) == 3 * len(NASTY) + 1 + len(NASTY) + 1 + 3  # a sentence for retrieval, one for ranking, one of seeds
    assert [row["value"] for row in found if row["kind"] == "verdict"] == [plain(one) for one in sentences(comparison)]


@pytest.mark.parametrize("first", NASTY)
def test_markdown_is_tables_of_text_and_nothing_else(first: str) -> None:
    comparison = made([first, *NASTY])  # the first is ahead, so that sentences name it
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text(comparison, "md"))
    kinds = {token.type for token in tokens} | {child.type for token in tokens for child in token.children or []}
    assert not kinds & {"link_open", "image", "html_inline", "html_block", "code_inline", "fence", "hr", "bullet_list_open", "em_open"}
    assert not kinds & {"ordered_list_open", "blockquote_open", "s_open"}
    shown = ["".join(child.content for child in token.children or []) for token in tokens if token.type == "inline"]
    for cell in cells(comparison):  # nothing is lost, and no cell has become two
        assert cell in shown
    for sentence in sentences(comparison):
        assert one_line(plain(sentence)) in shown
    strong = [child.content for token in tokens for child in strong_text(token.children or [])]
    assert strong[:2] == [one_line(part.text) for sentence in sentences(comparison) for part in sentence if part.name]
    assert shown.count("model") == 1
    assert sum(token.type == "heading_open" for token in tokens) == 7  # the title and six tables
    rows = sum(token.type == "tr_open" for token in tokens)
    assert rows == sum(len(table.rows) + 1 for table in tables(comparison))


def strong_text(children: list[Token]) -> list[Token]:
    """What stands right after the beginning of strong text."""
    return [after for before, after in pairwise(children) if before.type == "strong_open"]


OURS = re.compile(
    r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textasciigrave)\{\}|\{\\char34\}|\{['\-\[\]*@]\}"
    r"|\$\\(uparrow|downarrow|rightarrow|pm|cdot)\$|\\[&%$#_{}]"
)


def test_latex_sets_what_it_is_given_and_runs_nothing() -> None:
    for name in NASTY:
        rest = OURS.sub("", formats.tex(name))
        assert not set(rest) & set('\\{}$&#%_^~[]*<>|"`\n\r'), (name, rest)
    lines = text(made(NASTY), "tex").split("\n")
    body = [line for line in lines if line.endswith(r" \\")]
    assert len(body) == sum(len(table.rows) + 1 for table in tables(made(NASTY)))
    for line in body:
        assert not line.lstrip().startswith(("[", "*"))
    known = ("\\begin", "\\end", "\\centering", "\\caption", "\\toprule", "\\midrule", "\\bottomrule", "%", "")
    others = [line for line in lines if line not in body and line]
    assert all(line.startswith(known[:-1]) for line in others), others
    assert [line for line in lines if r"\textbf" in line] == [next(line for line in lines if r"\textbf{0.5000 $\pm$ 0.1250}" in line)]
    for name in NASTY:
        told = [plain(one) for one in sentences(made([name, "Two"]))]
        assert [line for line in text(made([name, "Two"]), "tex").split("\n") if line.startswith("% For")] == [
            f"% {one}" for one in told[:2]
        ]


def test_the_page_is_one_file_without_scripts_that_asks_for_nothing() -> None:
    comparison = made(NASTY)
    page = text(comparison, "html")
    seen = seen_in(page)
    assert not {"script", "img", "link", "iframe", "object", "a", "image", "foreignobject"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    outside = [(n, v) for n, v in seen.attributes if n in ("src", "href", "xlink:href") and not (v or "").startswith("#")]
    assert not outside
    assert "url(http" not in page
    assert "default-src 'none'" in page
    for cell in cells(comparison):
        assert cell in map(str.strip, seen.cells)
    assert seen.tags.count("svg") == 2
    assert "currentColor" in page
    families = {family for table in tables(comparison) for family in table.groups}
    assert seen.tags.count("tr") == sum(len(table.rows) + 1 for table in tables(comparison)) + len(families)


def test_the_bundle_makes_it_again(tmp_path: Path) -> None:
    comparison = made(["DLRM", NASTY[-1]])
    name = engine.report.export_name(comparison, "json")
    (tmp_path / name).write_bytes(engine.report.export(comparison, "json"))
    found = json.loads((tmp_path / name).read_text())
    unpack, *rest = found["commands"]
    subprocess.run(unpack.replace("python", sys.executable, 1), shell=True, cwd=tmp_path, check=True)  # noqa: S602 - it is what people type
    for file in ("a.json", "b.json"):
        assert engine.specs.RunSpec.read(tmp_path / file).model.kind == "dlrm"
    assert rest == ["recbench train a.json b.json --wait", f"recbench compare {'a' * 32} {'b' * 32} --baseline popularity"]
    assert any("not in this workspace" in note for note in found["notes"])  # the dataset is gone
    assert len(found["facts"]) == len(long(comparison))


def test_seeds_are_files_of_their_own() -> None:
    comparison = made(["DLRM"])
    many = comparison.contenders[0].model_copy(update={"run_ids": ("1" * 32, "2" * 32)})
    found = json.loads(engine.report.export(comparison.model_copy(update={"contenders": [many, comparison.contenders[1]]}), "json"))
    assert [file for file in found["files"] if not file.startswith("data-")] == ["a1.json", "a2.json"]


@pytest.mark.parametrize("kind", list(engine.report.EXPORTS))
def test_a_comparison_of_next_to_nothing_can_be_taken_away(kind: str) -> None:
    empty = made(["DLRM"])
    nothing = {name: getattr(empty, name).iloc[:0] for name in ("table", "curves", "settings", "differences", "costs")}
    assert engine.report.export(made(["DLRM"], **nothing), kind)
    bare = made(["DLRM"], curves=pd.DataFrame(columns=empty.curves.columns), table=empty.table.assign(value=NO))
    assert engine.report.export(bare, kind)
    assert engine.report.export(made(["DLRM"], table=empty.table.assign(low=np.inf, high=np.nan)), kind)


def test_a_file_says_by_its_ending_what_it_is(tmp_path: Path) -> None:
    for kind in engine.report.EXPORTS:
        engine.report.write_export(made(["DLRM"]), tmp_path / f"x.{kind.upper()}")
        assert (tmp_path / f"x.{kind.upper()}").stat().st_size
    with pytest.raises(ValueError, match=r"There is no export 'pdf'; choose csv, md, tex, html, ipynb, json\."):
        engine.report.write_export(made(["DLRM"]), tmp_path / "x.pdf")


def test_every_file_says_who_is_ahead_and_who_is_not_surely() -> None:
    ahead, untold, seeds = (plain(one) for one in sentences(made(["One", "Two"])))
    start = "For retrieval take A One: NDCG@10 0.500, 0.39 ± 0.08 above B (p < 0.001, 1,234 test users)."
    assert ahead.startswith(start)
    assert (
        untold
        == "For ranking, A One has the highest AUC, 0.700, but it cannot be told from B (p = 1.00; about 41,000 test users would tell)."
    )
    assert seeds.startswith("A and B were trained with one seed each.")
    assert "<p>" + start.replace("A One", "<strong>A One</strong>").replace("<", "&lt;").replace("&lt;strong>", "<strong>").replace(
        "&lt;/strong>", "</strong>"
    ) in text(made(["One", "Two"]), "html")
    for kind in ("csv", "json", "tex"):
        assert ahead in text(made(["One", "Two"]), kind).replace("\\u00b1", "±")
    assert "| A − B | 0.00 ± 0.02 | 1.00 | 0.031 | about 41,000 | cannot be told |" in text(made(["One", "Two"]), "md").replace("\\", "")


def test_names_of_files_hold_no_path() -> None:
    assert engine.report.export_name(made(["x"], dataset="../../etc/pass wd"), "csv") == "comparison-etcpasswd.csv"
