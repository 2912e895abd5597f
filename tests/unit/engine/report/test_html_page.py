"""The report as a page: every section where there is something to say, text that stays text, and one file that is the same each time."""

import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

import engine
from engine.compare import Comparison, sliced
from engine.report import examples
from engine.report.examples import example_lists
from engine.report.narrative import paragraphs
from engine.report.tables import one_line
from tests import prepared
from tests.compared import NASTY, Seen, made, seen_in
from tests.records import HOSTILE, run
from workers.artifacts import OUTPUTS, PER_USER, RESULTS, TOP_K

SECTIONS = [
    "What looks wrong", "Contenders", "How it was measured", "Metrics on test", "Learning, quality and cost", "Who differs from whom",
    "Where they differ", "Stress test", "Reliability", "Lists side by side", "Settings that differ", "Cost", "Glossary", "How to repeat it",
    "Notes",
]  # fmt: skip
DATE = re.compile(r"<time .*?</time>")
BAD = "It ranks <b>worse</b> than popularity."


class World(NamedTuple):
    """A workspace with a prepared dataset, and the results of runs A and B there."""

    folder: Path
    dataset: Path
    users: list[str]  # of the test sample
    comparison: Comparison


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    for place in ("engine.runs.get_run", "engine.runs.read.get_run"):
        monkeypatch.setattr(place, lambda run_id: run(run_id, "dlrm"))
    spec = prepared.films_spec(prepared.write_films(tmp_path / "source", title=NASTY[6]))
    id = prepared.prepare(tmp_path, spec)
    ranked = pd.read_parquet(tmp_path / "datasets" / id / "ranking" / "test.parquet")
    comparison = made(["One", HOSTILE], dataset=id)
    for one in comparison.contenders[:2]:
        leave_results(tmp_path / "runs" / str(one.run_id) / RESULTS, ranked, shift=one.color_index)
    verdict = comparison.verdict
    assert verdict is not None
    alarmed = comparison.model_copy(update={"verdict": verdict.model_copy(update={"alarms": {"B": (BAD,)}})})
    return World(tmp_path, tmp_path / "datasets" / id, sorted(ranked["user_id"]), alarmed)


def leave_results(folder: Path, ranked: pd.DataFrame, shift: int) -> None:
    """The lists of a run, metrics by user and a reliability curve. B lists other items than A to the first user alone."""
    folder.mkdir(parents=True)
    first = ranked["user_id"].min()
    lists = [[row + 10 * shift * (user == first) for row in range(1, 13)] for user in ranked["user_id"]]
    pd.DataFrame({"user_id": ranked["user_id"], "items": lists}).to_parquet(folder / TOP_K)
    values = [0.5 - shift / 10] * len(ranked)
    pd.DataFrame({"user_id": ranked["user_id"], "ndcg_at_10": values, "recall_at_10": values}).to_parquet(folder / PER_USER)
    bins = [{"predicted": at / 10, "observed": at / 12, "rows": 5 * at} for at in range(1, 10)] if shift == 0 else []
    (folder / OUTPUTS).write_text(json.dumps({"output": "binary", "reliability": bins}))


def page_of(comparison: Comparison) -> str:
    return engine.report.export(comparison, "html").decode()


def titles(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def part(page: str, title: str) -> Seen:
    """A section of the page."""
    return seen_in(page[page.index(f"<h2>{title}</h2>") :].split("</section>")[0])


def test_every_section_is_there_in_its_order(world: World) -> None:
    page = page_of(world.comparison)
    assert titles(page) == SECTIONS
    assert BAD in part(page, "What looks wrong").said[-2] and "<b>" not in page
    protocol = "".join(part(page, "How it was measured").said)
    assert "Measured on lists out of the full catalogue of 30 items" in protocol and "1,234 test users" in protocol
    assert "Items seen before left out: yes" in protocol
    assert part(page, "Reliability").tags.count("svg") == 1 and "ECE: A –. B: no curve" in page
    stress = "".join(part(page, "Stress test").said)
    assert "protocols" in stress and "NDCG@k." in stress and "Not here: " in stress
    glossary = "".join(part(page, "Glossary").said)
    assert all(engine.specs.metric(key).description in glossary for key in ("ndcg_at_10", "auc"))
    assert "corrected for the number of pairs (Holm)" in glossary
    assert "recbench train a.json b.json --wait" in page and "recbench prepare data-films.json" in page
    assert re.search(r"recommender-workbench [\d.]+ · torch ", page) and "datetime=" in page


def test_stars_are_those_of_the_page(world: World) -> None:
    cells = part(page_of(world.comparison), "Metrics on test")
    assert ("class", "mark") in cells.attributes
    said = "".join(cells.said)
    assert "★ 0.5000 ± 0.1250" in said  # a sure lead
    auc = world.comparison.model_copy(update={"verdict": engine.compare.verdict_of(world.comparison)}).verdict
    assert auc is not None and ("☆" in said.split("★ best")[0]) == any(one.leader and one.unsure_of for one in auc.metrics.values())


def test_slices_are_those_of_the_engine_without_small_ones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = part(page_of(world.comparison), "Where they differ")
    frame = sliced(world.comparison, "activity", "ndcg_at_10")
    assert [name for name in frame["slice"].unique() if name not in seen.cells] == [
        name for name, n in frame.groupby("slice", sort=False)["n"].max().items() if n < engine.compare.FEW_IN_SLICE
    ]
    assert [text for tag, text in zip_headings(world.comparison) if tag == "h3"] == ["User activity", "Item popularity", "Genre"]
    monkeypatch.setattr("engine.report.sections.FEW_IN_SLICE", 10_000)
    assert "Where they differ" not in titles(page_of(world.comparison))


def zip_headings(comparison: Comparison) -> list[tuple[str, str]]:
    """Headings of the slices, as tag and text."""
    page = page_of(comparison)
    section = page[page.index("<h2>Where they differ</h2>") :].split("</section>")[0]
    return re.findall(r"<(h[23])>(.*?)</h[23]>", section)


def test_the_users_are_those_whose_lists_differ_most_and_hits_are_marked(world: World) -> None:
    tables = example_lists(world.comparison)
    assert len(tables) == examples.MOST_USERS
    assert tables[0].title == f"User {world.users[0]}"  # to whom A and B recommend different items
    assert tables == example_lists(world.comparison)
    ranked = pd.read_parquet(world.dataset / "ranking" / "test.parquet").set_index("user_id")
    named = pd.read_parquet(world.dataset / "items.parquet").set_index("row")["title"]
    for table in tables:
        liked = set(ranked.loc[table.title.removeprefix("User "), "relevant"])
        assert table.head == ["", "A", "B", "pop"] and len(table.rows) == 10
        assert [bool(row[1].mark) for row in table.rows] == [at in liked for at in range(1, 11)]
        assert [row[1].text for row in table.rows] == [examples._short(named[at]) for at in range(1, 11)]
        assert table.note.startswith("Liked in test: ")
    assert part(page_of(world.comparison), "Lists side by side").tags.count("table") == len(tables)


@pytest.mark.parametrize(
    "gone, without",
    [
        ("runs", {"Where they differ", "Stress test", "Reliability", "Lists side by side"}),
        ("datasets", {"Where they differ", "Stress test", "Lists side by side"}),
    ],
)
def test_what_is_not_here_is_left_out(world: World, gone: str, without: set[str]) -> None:
    shutil.rmtree(world.folder / gone)
    found = titles(page_of(world.comparison))
    assert not {"Lists side by side"} & set(found)
    assert [title for title in SECTIONS if title not in without] == [title for title in found if title not in without]


def test_names_titles_and_narrative_stay_text(world: World) -> None:
    for one in (world.comparison, made(NASTY, dataset=world.comparison.dataset)):
        engine.report.set_narrative(engine.report.runs_of(one), "\n\n".join([*NASTY, "{{ 7 * 7 }} {% raw %}"]))
        page = page_of(one)
        seen = seen_in(page)
        known = {
            "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "p", "br", "time", "div", "section", "span",
            "strong", "small", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd", "figure", "figcaption", "pre", "code",
        }  # fmt: skip
        outside = re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
        assert set(seen_in(outside).tags) <= known
        assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("src", "href")]
        assert "{{ 7 * 7 }} {% raw %}" in seen.said and "49" not in seen.said
        for line in (line for name in NASTY for lines in paragraphs(name) for line in lines):
            assert any(one_line(line) in text for text in seen.said), line


def test_narrative_is_paragraphs_in_html_and_markdown(world: World) -> None:
    engine.report.set_narrative(engine.report.runs_of(world.comparison), "One\ntwo <i>\n\n\n# Three")
    page = page_of(world.comparison)
    assert "<p>One<br>two &lt;i&gt;</p>" in page and "<p># Three</p>" in page
    assert page.index("# Three") < page.index('class="verdict"')
    markdown = engine.report.export(world.comparison, "md").decode()
    assert "\n\nOne\\\ntwo \\<i\\>\n\n\\# Three\n\n" in markdown


def test_two_exports_differ_in_their_date_alone(world: World) -> None:
    first, second = page_of(world.comparison), page_of(world.comparison)
    assert len(DATE.findall(first)) == 1
    assert DATE.sub("", first) == DATE.sub("", second)


def test_it_prints_in_light_colours_and_breaks_no_rows() -> None:
    template = (Path(examples.__file__).parent / "page.html.j2").read_text()
    printed = template[template.index("@media print") :]
    assert "@media screen and (prefers-color-scheme: dark)" in template and "size: A4" in template
    assert "tr, figure" in printed and "break-inside: avoid" in printed and "table-header-group" in printed
