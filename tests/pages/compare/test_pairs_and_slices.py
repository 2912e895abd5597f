"""Who differs from whom and where: sentences judged by tests, pairs as rows or as a matrix, slices as a figure."""

import json
import shutil
from itertools import combinations
from typing import Any

import pandas as pd
import pytest

import engine
from engine.compare import Comparison
from tests.pages.compare.test_contenders import CROWD, Row, told
from tests.pages.reading import Says, Visit, foreign_markup, labelled
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.compare import pairs
from ui.compare import slices as slices_view
from ui.compare import verdict as verdict_
from ui.shared import words

NO = float("nan")
Pair = tuple[str, str, float, str, str]


def pairwise(*rows: Pair) -> pd.DataFrame:
    """What the engine says of pairs: a, b, corrected p, verdict, reason."""
    frame = pd.DataFrame(rows, columns=["a", "b", "p_holm", "verdict", "reason"])
    return frame.assign(
        difference=0.031, low=0.01, high=0.052, p=frame["p_holm"] / 3, p_wilcoxon=NO, effect=0.38, n=477, unit="users", spread=NO
    )


def every_pair(letters: str, p: float = 0.0001, verdict: str = "a better", reason: str = "") -> pd.DataFrame:
    return pairwise(*((a, b, p, verdict, reason) for a, b in combinations(letters, 2)))


def said(frame: pd.DataFrame, *rows: Row, models: dict[str, str] | None = None, costs: Any = None) -> str:
    found = told(*rows, models=models)
    found = found if costs is None else found.model_copy(update={"costs": costs})
    return verdict_.sentences(judged(found, frame))[0]


def judged(comparison: Comparison, frame: pd.DataFrame) -> Comparison:
    """A comparison that is judged by such tests of each metric, with the differences of its values; AUC is tested over rows."""
    tests = {}
    for metric, rows in comparison.table.groupby("metric"):
        value = rows.set_index("contender")["value"]
        tests[metric] = frame.assign(
            difference=value.reindex(frame["a"]).to_numpy() - value.reindex(frame["b"]).to_numpy(),
            unit="rows" if metric == "auc" else "users",
        )
    return comparison.model_copy(update={"verdict": engine.compare.judge(comparison, tests)})


def ndcg(**values: float) -> list[Row]:
    """Intervals that all overlap: what says more than they do is the test."""
    return [("ndcg_at_10", letter, value, 0.1, 0.4, NO) for letter, value in values.items()]


def test_a_lead_that_is_sure_is_one_whatever_intervals_do() -> None:
    found = said(every_pair("ABC"), *ndcg(A=0.3, B=0.27, C=0.2))
    assert found == (
        "For retrieval take **A Model A**: NDCG@10 0.300, +0.0300 over B (p < 0.001, 477 test users). "
        "All others are behind, too (p < 0.001)."
    )


def test_a_lead_inside_the_noise_is_said_to_be_that_and_of_whom() -> None:
    frame = pairwise(("A", "B", 0.034, "a better", ""), ("A", "C", 0.34, "no difference", "chance"), ("B", "C", 0.01, "b better", ""))
    found = said(frame, *ndcg(A=0.3, C=0.29, B=0.2))
    assert found == (
        "For retrieval, **A Model A** is ahead with NDCG@10 0.300, but inside the noise of C (p = 0.34). All others are behind (p = 0.034)."
    )


@pytest.mark.parametrize(
    "reason, end",
    [
        ("seeds", "but no further from B than seeds are from each other."),
        ("same settings", "but differs from B in its seed alone."),
    ],
)
def test_what_seeds_would_make_too_is_no_lead(reason: str, end: str) -> None:
    assert said(pairwise(("B", "A", 0.0001, "no difference", reason)), *ndcg(A=0.3, B=0.2)).endswith(end)


def test_a_test_that_has_another_leader_says_nothing() -> None:
    assert "intervals overlap." in said(every_pair("BA"), *ndcg(A=0.3, B=0.2))
    below = said(pairwise(("pop", "A", 0.0001, "a better", "")), *ndcg(A=0.2, pop=0.3))
    assert "33 % below popularity (0.300), p < 0.001." in below


def test_a_tie_has_nobody_ahead() -> None:
    found = said(pairwise(("A", "B", 1.0, "no difference", "chance")), *ndcg(A=0.3, B=0.3))
    assert found == "For retrieval, **A Model A** reaches NDCG@10 0.300, but inside the noise of B (p = 1.00)."


def test_the_lower_is_better_where_it_is() -> None:
    rows = [("rmse", "A", 0.9, NO, NO, NO), ("rmse", "B", 1.0, NO, NO, NO)]
    assert said(pairwise(("B", "A", 0.002, "b better", "")), *rows).startswith(
        "For predicting the value take **A Model A**: RMSE 0.900, 0.100 below B (p = 0.002, 477 test users)."
    )


def test_a_lone_run_is_set_against_popularity_alone() -> None:
    found = said(pairwise(("A", "pop", 0.2, "no difference", "chance")), *ndcg(A=0.3, pop=0.25))
    assert (
        found == "For retrieval, **A Model A** reaches NDCG@10 0.300. That is 20 % above popularity (0.250), inside the noise (p = 0.20)."
    )
    assert said(every_pair(["A", "pop"]), *ndcg(A=0.3, pop=0.25)) == (  # type: ignore[arg-type]
        "For retrieval take **A Model A**: NDCG@10 0.300. That is 20 % above popularity (0.250), p < 0.001."
    )


@pytest.mark.parametrize(
    "of_popularity, popularity",
    [(("A", "pop", 0.2, "no difference", "chance"), 0.28), (("pop", "A", 0.0001, "a better", ""), 0.4)],
)
def test_nobody_is_told_to_take_what_is_no_better_than_popularity(of_popularity: Pair, popularity: float) -> None:
    found = said(pairwise(("A", "B", 0.0001, "a better", ""), of_popularity), *ndcg(A=0.3, B=0.2, pop=popularity))
    assert found.startswith("For retrieval, **A Model A** is ahead with NDCG@10 0.300, +0.100 over B (p < 0.001, 477 test users). That is ")


def test_popularity_among_the_runs_lends_its_test_to_the_baseline() -> None:
    found = said(every_pair("AB"), *ndcg(A=0.3, B=0.25, pop=0.25), models={"B": "popularity", "pop": "popularity"})
    assert "That is 20 % above popularity (0.250), p < 0.001." in found


@pytest.mark.parametrize(
    "p, seconds, end",
    [
        (0.0001, (31.0, 10.0), "It takes 3.1 times the training time of B: 31.0 s against 10.0 s."),
        (0.0001, (10.0, 31.0), "It also trains faster: 10.0 s against 31.0 s for B."),
        (0.0001, (10.0, 11.0), "477 test users)."),
        (0.0001, (NO, 11.0), "477 test users)."),
        (0.4, (31.0, 10.0), "Of the two, B trains faster: 10.0 s against 31.0 s."),
        (0.4, (10.0, 31.0), "(p = 0.40)."),
    ],
)
def test_the_cost_of_a_lead_is_told_where_it_matters(p: float, seconds: tuple[float, float], end: str) -> None:
    frame = every_pair("AB", p, *(("a better", "") if p < 0.05 else ("no difference", "chance")))
    costs = pd.DataFrame([{"fact": "Training time", "unit": "s", "A": seconds[0], "B": seconds[1]}])
    assert said(frame, *ndcg(A=0.3, B=0.2), costs=costs).endswith(end)


def test_a_cost_is_told_once() -> None:
    rows = [*ndcg(A=0.3, B=0.2), ("auc", "A", 0.8, NO, NO, NO), ("auc", "B", 0.7, NO, NO, NO)]
    costs = pd.DataFrame([{"fact": "Training time", "unit": "s", "A": 31.0, "B": 10.0}])
    comparison = told(*rows).model_copy(update={"costs": costs})
    found = verdict_.sentences(judged(comparison, every_pair("AB")))
    assert " ".join(found).count("training time of B") == 1
    assert "477 test rows)" in found[1]


def test_twelve_are_judged_in_a_few_lines() -> None:
    letters = "ABCDEFGHIJKL"
    rows = ndcg(**{letter: 0.3 - at / 100 for at, letter in enumerate(letters)})
    assert len(said(every_pair(letters), *rows)) < 200
    assert said(every_pair(letters, 0.5, "no difference", "chance"), *rows).count("p = 0.50") == 11


@pytest.mark.parametrize("p, shown", [(0.00001, "< 0.001"), (0.0343, "0.034"), (0.0009999, "< 0.001"), (1.0, "1.00"), (NO, "–")])
def test_p_is_said_as_it_is_read(p: float, shown: str) -> None:
    assert pairs.p_value(p) == shown


@pytest.mark.parametrize(
    "found, shown", [(-0.1, "negligible (0.10)"), (0.2, "small (0.20)"), (0.79, "medium (0.79)"), (-3.0, "large (3.00)"), (NO, "–")]
)
def test_effects_are_said_in_words(found: float, shown: str) -> None:
    assert pairs.effect(found) == shown


def page(at: Any) -> str:
    return "\n".join(html.value for html in at.html)


def test_pairs_as_rows_name_the_better_one() -> None:
    frame = pairwise(("A", "B", 0.0001, "b better", ""), ("A", "pop", 0.3, "no difference", "chance"))
    html = pairs.rows(frame, told(*ndcg(A=0.2, B=0.3, pop=0.25)), "ndcg_at_10")
    assert "+0.0310 (+0.0100 to +0.0520)" in html
    assert "small (0.38)" in html
    assert "<td>B is better</td>" in html
    assert "no difference</td>" in html
    assert "sign-flip tests over 477 test users · p corrected for 2 pairs" in pairs.basis(frame, "ndcg_at_10")


def compared(workspace: Workspace, *names: str, k: int = 10) -> Comparison:
    """The comparison of runs, made without the page."""
    return engine.compare.compare([workspace.runs[name] for name in names], k=k)


def test_a_few_pairs_are_rows(shared: Workspace, visit: Visit, says: Says) -> None:
    comparison = compared(shared, "dcnv2", "ease")
    frame = engine.compare.pairs(comparison, "ndcg_at_10")
    assert dict(zip(zip(frame["a"], frame["b"], strict=True), frame["verdict"], strict=True))["A", "B"] == "b better"
    at = visit("compare", runs=shared.ids("dcnv2", "ease"))
    assert "Who differs from whom" in says(at)
    assert pairs.rows(frame, comparison, "ndcg_at_10") in page(at)
    assert pairs.basis(frame, "ndcg_at_10") in says(at)
    assert f"over {frame['n'].max()} test users · p corrected for {len(frame)} pairs" in says(at)
    assert f"All {len(frame)} pairs" not in [box.label for box in at.expander]


@pytest.mark.parametrize(
    "metric, unit, told",
    [
        ("auc", "rows", "DeLong tests over 477 test rows ·"),
        ("log_loss", "users", "sign-flip tests over 477 test users, all rows of a user together"),
        ("log_loss", "rows", "sign-flip tests over 477 test rows ·"),
    ],
)
def test_how_pairs_are_tested_is_told(metric: str, unit: str, told: str) -> None:
    assert told in pairs.basis(every_pair("AB").assign(unit=unit), metric)


def test_pairs_are_tested_at_the_k_of_the_table(shared: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "dlrm"), k="5")
    assert at.selectbox("compare.pairs").options[0] == "NDCG@5"
    at.number_input("compare.k").set_value(20).run()
    assert not at.exception
    assert at.selectbox("compare.pairs").options[0] == "NDCG@20"
    assert "AUC" in at.selectbox("compare.pairs").options


def test_many_pairs_are_a_matrix_with_the_rows_folded_away(shared: Workspace, visit: Visit) -> None:
    names = CROWD[:8]
    frame = engine.compare.pairs(compared(shared, *names), "ndcg_at_10")
    decided = int((frame["verdict"] != "no difference").sum())
    assert 0 < decided < len(frame)
    at = visit("compare", runs=shared.ids(*names))
    found = next(html.value for html in at.html if 'aria-label="Who is better by NDCG@10"' in html.value)
    assert (found.count(">▲</span></td>"), found.count(">▼</span></td>")) == (decided, decided)
    assert found.count(">·<") == 2 * (len(frame) - decided)
    assert "p &lt; 0.001" in found
    assert f"All {len(frame)} pairs" in [box.label for box in at.expander]


def test_nothing_to_test_leaves_no_section(own: Workspace, visit: Visit, says: Says) -> None:
    own.lose_results("two_tower", "dlrm")
    own.baselines(own.films)
    assert "Who differs from whom" not in says(visit("compare", runs=own.ids("two_tower", "dlrm")))


def test_nothing_to_slice_leaves_no_section(own: Workspace, visit: Visit, says: Says) -> None:
    shutil.rmtree(own.folder / "datasets" / own.films)
    assert "Where they differ" not in says(visit("compare", runs=own.ids("two_tower", "dlrm")))


def slices(*names: str, n: int = 50) -> pd.DataFrame:
    rows = [
        (name, letter, value, value - 0.1, value + 0.1, n) for name in names for letter, value in (("A", 0.3), ("B", 0.2), ("pop", 0.1))
    ]
    return pd.DataFrame(rows, columns=["slice", "contender", "value", "low", "high", "n"])


def test_slices_are_chosen_and_drawn_with_their_counts(own: Workspace, visit: Visit, says: Says) -> None:
    items = own.folder / "datasets" / own.films / "items.parquet"
    pd.read_parquet(items).replace({"genres": {"Drama": HOSTILE}}).to_parquet(items, index=False)
    comparison = compared(own, "ease", "dcnv2")
    at = visit("compare", runs=own.ids("ease", "dcnv2"))
    assert "Where they differ" in says(at)
    for by in ("activity", "genre"):
        labelled(at.selectbox, "Slice by").set_value(by).run()
        assert not at.exception
        frame = engine.compare.sliced(comparison, by, engine.compare.slice_metrics(comparison, by)[0])
        frame = frame[frame["contender"] != "rnd"]
        leaders = slices_view.leaders(frame, engine.compare.slice_metrics(comparison, by)[0])
        assert leaders and words.md(leaders, 900) in says(at)
        assert ("Pale: fewer than 10 users." in says(at)) == bool((frame["n"] < engine.compare.FEW_IN_SLICE).any())
    assert any(HOSTILE.startswith(name[:20]) for name in frame["slice"])
    assert not foreign_markup(at)


def test_leaders_of_slices_are_named_with_where_they_lead() -> None:
    mixed = slices("1–20", "21–90")
    mixed.loc[mixed["slice"] == "21–90", "n"] = 4
    mixed.loc[mixed.index[-2], "value"] = 0.9
    assert slices_view.leaders(mixed, "ndcg_at_10") == "Best: A in 1 of 2 slices; B in 21–90."
    assert slices_view._few(mixed, "users") == "Pale: fewer than 10 users."


def test_the_figure_keeps_contenders_apart_and_pales_what_is_few() -> None:
    frame = slices("one", "two", HOSTILE)
    frame.loc[frame["slice"] == "two", "n"] = 9
    drawn = slices_view.figure(frame, told(*ndcg(A=0.3, B=0.2, pop=0.1)), "NDCG@10", "users")
    assert [len(trace.x) for trace in drawn.data] == [3, 3, 3]
    assert len({round(y, 3) for trace in drawn.data for y in trace.y}) == 9
    assert list(drawn.data[0].marker.opacity) == [1.0, 0.35, 1.0]
    assert drawn.data[0].error_x.array[0] == pytest.approx(0.1)
    assert "9 users" in drawn.layout.yaxis.ticktext[1]
    assert "<img" not in json.dumps(drawn.to_dict(), default=str)


def test_who_leads_is_told_in_the_direction_that_is_better() -> None:
    frame = slices("x", "y")
    assert slices_view.leaders(frame, "ndcg_at_10") == "Best in every slice: A."
    assert slices_view.leaders(frame, "rmse") == "Best in every slice: pop."
    assert slices_view.leaders(frame, "calibration") == ""
    assert slices_view.leaders(frame[frame["contender"] == "A"], "ndcg_at_10") == ""
    assert engine.compare.FEW_IN_SLICE == 10


def box(at: Any, label: str) -> Any:
    return next(found for found in at.selectbox if found.label == label)


def test_what_is_sliced_and_tested_and_which_settings_stand_in_the_address(shared: Workspace, visit: Visit) -> None:
    ids = shared.ids("two_tower", "dlrm")
    at = visit("compare", runs=ids)
    assert not {"slice", "sliced", "pairs", "settings", "metric", "over"} & set(at.query_params)  # the usual ones
    box(at, "Slice by").set_value("genre").run()
    box(at, "By").set_value("auc").run()
    next(found for found in at.toggle if found.label == "Only what differs").set_value(False).run()
    kept = {name: at.query_params[name] for name in ("slice", "pairs", "settings")}
    assert kept == {"slice": "genre", "pairs": "auc", "settings": "all"}
    again = visit("compare", runs=ids, **kept)
    assert (box(again, "Slice by").value, box(again, "By").value) == ("genre", "auc")
    assert not next(found for found in again.toggle if found.label == "Only what differs").value
    box(again, "Slice by").set_value("activity").run()
    assert "slice" not in again.query_params
    strange = visit("compare", runs=ids, slice=HOSTILE, sliced="x", pairs="y", settings="z")
    assert (box(strange, "Slice by").value, box(strange, "By").value) == ("activity", "ndcg_at_10")
    assert not {"slice", "sliced", "pairs", "settings"} & set(strange.query_params)
