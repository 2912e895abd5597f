"""Who differs from whom and where: sentences judged by tests, pairs as rows or as a matrix, slices as a figure."""

import json
import shutil
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pandas as pd
import pytest

import engine
from engine.compare import Answer, Comparison, PairVerdict, Reason
from tests.pages.compare.test_contenders import CROWD, Row, told
from tests.pages.reading import Says, Visit, foreign_markup, labelled, links
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.compare import pairs
from ui.compare import slices as slices_view
from ui.compare import verdict as verdict_
from ui.shared import words

NO = float("nan")
Pair = tuple[str, str, float, Answer, Reason | None]
BETTER, WORSE, UNTOLD = Answer.A_BETTER, Answer.B_BETTER, Answer.UNKNOWN
CHANCE = Reason.CHANCE


def pairwise(*rows: Pair, metric: str = "ndcg_at_10", **more: Any) -> list[PairVerdict]:
    """What the engine says of pairs: a, b, corrected p, answer, reason."""
    numbers = {"lead": 0.03, "difference": 0.031, "low": 0.01, "high": 0.052, "n": 477, "unit": "users", "needed": 4123} | more
    return [
        PairVerdict(a=a, b=b, metric=metric, p=p / 3, p_holm=p, p_same=p, answer=answer, reason=reason, **numbers)
        for a, b, p, answer, reason in rows
    ]


def every_pair(letters: Sequence[str], p: float = 0.0001, answer: Answer = BETTER, reason: Reason | None = None) -> list[PairVerdict]:
    return pairwise(*((a, b, p, answer, reason) for a, b in combinations(letters, 2)))


def said(tested: list[PairVerdict], *rows: Row, models: dict[str, str] | None = None, costs: Any = None) -> str:
    found = told(*rows, models=models)
    found = found if costs is None else found.model_copy(update={"costs": costs})
    return verdict_.sentences(judged(found, tested))[0]


def judged(comparison: Comparison, tested: list[PairVerdict]) -> Comparison:
    """A comparison that is judged by such tests of each metric, with the differences of its values, each ± 0.021."""
    tests = {}
    for metric, rows in comparison.table.groupby("metric"):
        value = rows.set_index("contender")["value"].to_dict()
        apart = {(pair.a, pair.b): value[pair.a] - value[pair.b] for pair in tested}
        tests[str(metric)] = [
            pair.model_copy(update={"metric": metric, "difference": gap, "low": gap - 0.021, "high": gap + 0.021})
            for pair in tested
            for gap in (apart[pair.a, pair.b],)
        ]
    return comparison.model_copy(update={"verdict": engine.compare.judge(comparison, tests), "tests": tests})


def ndcg(**values: float) -> list[Row]:
    return [("ndcg_at_10", letter, value, 0.1, 0.4, NO) for letter, value in values.items()]


def test_who_is_surely_ahead_is_to_be_taken() -> None:
    found = said(every_pair("ABC"), *ndcg(A=0.3, B=0.27, C=0.2))
    assert found == (
        "For retrieval take **A Model A**: NDCG@10 0.300, 0.03 ± 0.02 above B (p < 0.001, 477 test users). Further behind: C (p < 0.001)."
    )


def test_whoever_cannot_be_told_from_the_best_is_named_with_the_users_that_would_tell() -> None:
    tested = pairwise(("A", "B", 0.034, BETTER, None), ("A", "C", 0.34, UNTOLD, CHANCE), ("B", "C", 0.01, WORSE, None))
    assert said(tested, *ndcg(A=0.3, C=0.29, B=0.2)) == (
        "For retrieval, **A Model A** has the highest NDCG@10, 0.300, but it cannot be told from C (p = 0.34; about 4,100 test users would "
        "tell). Behind it: B (p = 0.034)."
    )
    nothing = pairwise(("A", "B", 0.34, UNTOLD, CHANCE), needed=None)
    assert "(p = 0.34; more seeds, not more users, would tell)" in said(nothing, *ndcg(A=0.3, B=0.29))


@pytest.mark.parametrize(
    "answer, reason, end",
    [
        (UNTOLD, Reason.SEEDS, "but another seed may change its place against B: more seeds would tell."),
        (UNTOLD, Reason.SAME_SETTINGS, "but it differs from B in its seed alone."),
        (UNTOLD, Reason.FEW_USERS, "but the test users are too few to compare it with B."),
        (Answer.SAME, None, "but it is the same as B (p < 0.001) to within the 1.0 % that matters."),
        (Answer.B_SLIGHTLY, None, "but it is better than B (0.10 ± 0.02) by less than the 1.0 % that matters."),
    ],
)
def test_why_nobody_is_simply_better_is_said(answer: Answer, reason: Reason | None, end: str) -> None:
    assert said(pairwise(("B", "A", 0.0001, answer, reason)), *ndcg(A=0.3, B=0.2)).endswith(end)


def test_a_test_that_has_another_leader_says_nothing() -> None:
    assert "it was not tested against B" in said(every_pair("BA"), *ndcg(A=0.3, B=0.2))
    below = said(pairwise(("pop", "A", 0.0001, BETTER, None)), *ndcg(A=0.2, pop=0.3))
    assert below == (
        "For retrieval, **A Model A** reaches NDCG@10 0.200. Popularity has 0.300, which is better (p < 0.001): no run here does better "
        "than popularity."
    )


def test_a_tie_has_nobody_ahead() -> None:
    found = said(pairwise(("A", "B", 1.0, UNTOLD, CHANCE)), *ndcg(A=0.3, B=0.3))
    assert found.startswith("For retrieval, **A Model A** has the highest NDCG@10, 0.300, but it cannot be told from B (p = 1.00")


def test_the_lower_is_better_where_it_is() -> None:
    rows = [("rmse", "A", 0.9, NO, NO, NO), ("rmse", "B", 1.0, NO, NO, NO)]
    assert said(pairwise(("B", "A", 0.002, WORSE, None)), *rows).startswith(
        "For predicting the value take **A Model A**: RMSE 0.900, 0.10 ± 0.02 below B (p = 0.002, 477 test users)."
    )


@pytest.mark.parametrize(
    "answer, reason, end",
    [
        (UNTOLD, CHANCE, "Popularity has 0.250: the two cannot be told apart (p = 0.20; about 4,100 test users would tell)."),
        (UNTOLD, Reason.SEEDS, "Popularity has 0.250: another seed may change that order."),
        (UNTOLD, Reason.FEW_USERS, "Popularity has 0.250; a difference was not tested."),
        (Answer.SAME, None, "Popularity has 0.250: the same to within what matters (p = 0.20)."),
        (BETTER, None, "That is 20 % above popularity (0.250), p = 0.20."),
        (Answer.A_SLIGHTLY, None, "That is 20 % above popularity (0.250), p = 0.20, which is less than matters."),
    ],
)
def test_a_lone_run_is_set_against_popularity(answer: Answer, reason: Reason | None, end: str) -> None:
    found = said(pairwise(("A", "pop", 0.2, answer, reason)), *ndcg(A=0.3, pop=0.25))
    start = (
        "For retrieval take **A Model A**: NDCG@10 0.300." if answer is BETTER else "For retrieval, **A Model A** reaches NDCG@10 0.300."
    )
    assert found == f"{start} {end}"


@pytest.mark.parametrize(
    "of_popularity, popularity, end",
    [
        (("A", "pop", 0.2, UNTOLD, CHANCE), 0.28, "the two cannot be told apart (p = 0.20; about 4,100 test users would tell)."),
        (("pop", "A", 0.0001, BETTER, None), 0.4, "which is better (p < 0.001): no run here does better than popularity."),
    ],
)
def test_nobody_is_told_to_take_what_is_no_better_than_popularity(of_popularity: Pair, popularity: float, end: str) -> None:
    found = said(pairwise(("A", "B", 0.0001, BETTER, None), of_popularity), *ndcg(A=0.3, B=0.2, pop=popularity))
    assert found.startswith(
        "For retrieval, **A Model A** is the best run with NDCG@10 0.300, 0.10 ± 0.02 above B (p < 0.001, 477 test users)."
    )
    assert found.endswith(end) and "ahead" not in found


@pytest.mark.parametrize(
    "p, seconds, end",
    [
        (0.0001, (31.0, 10.0), "It takes 3.1 times the training time of B: 31.0 s against 10.0 s."),
        (0.0001, (10.0, 31.0), "It also trains faster: 10.0 s against 31.0 s for B."),
        (0.0001, (10.0, 11.0), "477 test users)."),
        (0.0001, (NO, 11.0), "477 test users)."),
        (0.4, (31.0, 10.0), "Of the two, B trains faster: 10.0 s against 31.0 s."),
        (0.4, (10.0, 31.0), "would tell)."),
    ],
)
def test_the_cost_of_a_lead_is_told_where_it_matters(p: float, seconds: tuple[float, float], end: str) -> None:
    tested = every_pair("AB", p, *((BETTER, None) if p < 0.05 else (UNTOLD, CHANCE)))
    costs = pd.DataFrame([{"fact": "Training time", "unit": "s", "A": seconds[0], "B": seconds[1]}])
    assert said(tested, *ndcg(A=0.3, B=0.2), costs=costs).endswith(end)


def test_a_cost_is_told_once() -> None:
    rows = [*ndcg(A=0.3, B=0.2), ("auc", "A", 0.8, NO, NO, NO), ("auc", "B", 0.7, NO, NO, NO)]
    costs = pd.DataFrame([{"fact": "Training time", "unit": "s", "A": 31.0, "B": 10.0}])
    comparison = told(*rows).model_copy(update={"costs": costs})
    found = verdict_.sentences(judged(comparison, every_pair("AB")))
    assert " ".join(found).count("training time of B") == 1


def test_twelve_are_judged_in_a_few_lines() -> None:
    letters = "ABCDEFGHIJKL"
    rows = ndcg(**{letter: 0.3 - at / 100 for at, letter in enumerate(letters)})
    assert len(said(every_pair(letters), *rows)) < 200
    assert said(every_pair(letters, 0.5, UNTOLD, CHANCE), *rows).endswith(
        "but it cannot be told from B, C, D, E, F, G, H, I, J, K and L (p = 0.50 or more; about 4,100 test users would tell)."
    )


@pytest.mark.parametrize("p, shown", [(0.00001, "< 0.001"), (0.0343, "0.034"), (0.0009999, "< 0.001"), (1.0, "1.00"), (NO, "–")])
def test_p_is_said_as_it_is_read(p: float, shown: str) -> None:
    assert pairs.p_value(p) == shown


def page(at: Any) -> str:
    return "\n".join(html.value for html in at.html)


def test_pairs_as_rows_name_the_better_one() -> None:
    tested = pairwise(("A", "B", 0.0001, WORSE, None), ("A", "pop", 0.3, UNTOLD, CHANCE), smallest=0.0612)
    comparison = told(*ndcg(A=0.2, B=0.3, pop=0.25))
    html = pairs.rows(tested, comparison, "ndcg_at_10")
    assert "<td>B is better</td><td>+0.03 ± 0.02</td><td>&lt; 0.001</td><td>0.0612</td><td>–</td>" in html
    assert "<td>0.30</td><td>0.0612</td><td>about 4,100</td>" in html and "<td>cannot be told</td>" in html
    basis = engine.compare.pairs_basis(tested, comparison)
    assert "Paired t-tests over 477 test users, with what seeds may change · p corrected for 2 pairs" in basis


@pytest.mark.parametrize(
    "answer, reason, shown",
    [
        (Answer.SAME, None, "the same for your purpose"),
        (Answer.A_SLIGHTLY, None, "A is better, by less than matters"),
        (Answer.B_SLIGHTLY, None, "B is better, by less than matters"),
        (UNTOLD, Reason.SEEDS, "cannot be told: another seed may change it by as much"),
        (UNTOLD, Reason.SAME_SETTINGS, "the two differ in their seed alone"),
        (UNTOLD, Reason.FEW_USERS, "cannot be told: too few users"),
    ],
)
def test_each_answer_has_its_words(answer: Answer, reason: Reason | None, shown: str) -> None:
    (pair,) = pairwise(("A", "B", 0.2, answer, reason))
    assert engine.compare.pair_answer(pair, told(*ndcg(A=0.2, B=0.3))) == shown


def compared(workspace: Workspace, *names: str, k: int = 10) -> Comparison:
    """The comparison of runs, made without the page."""
    return engine.compare.compare([workspace.runs[name] for name in names], k=k)


def test_a_few_pairs_are_rows(shared: Workspace, visit: Visit, says: Says) -> None:
    comparison = compared(shared, "dcnv2", "ease")
    tested = engine.compare.pairs(comparison, "ndcg_at_10")
    assert {(pair.a, pair.b): pair.answer for pair in tested}["A", "B"] is WORSE
    at = visit("compare", runs=shared.ids("dcnv2", "ease"))
    assert "Who differs from whom" in says(at)
    assert pairs.rows(tested, comparison, "ndcg_at_10") in page(at)
    assert engine.compare.pairs_basis(tested, comparison) in says(at)
    assert f"over {tested[0].n} test users, with what seeds may change · p corrected for {len(tested)} pairs" in says(at)
    assert f"All {len(tested)} pairs" not in [box.label for box in at.expander]


@pytest.mark.parametrize(
    "metric, unit, text",
    [
        ("auc", "users", "t-tests over 477 test users, all rows of a user together, with"),
        ("log_loss", "rows", "t-tests over 477 test rows, with"),
        ("ndcg_at_10", "users", "t-tests over 477 test users, with"),
    ],
)
def test_how_pairs_are_tested_is_told(metric: str, unit: str, text: str) -> None:
    assert text in engine.compare.pairs_basis(pairwise(("A", "B", 0.2, BETTER, None), metric=metric, unit=unit), told(*ndcg(A=0.2, B=0.3)))


def test_what_matters_is_the_persons_own(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("compare", runs=shared.ids("dcnv2", "ease"))
    assert at.number_input("compare.matters").value == 1 and "what matters: 1.0 % of a value" in says(at)
    at.number_input("compare.matters").set_value(20).run()
    assert not at.exception
    assert at.query_params["matters"] == "20" and "what matters: 20 % of a value" in says(at)
    for asked, taken in (("20", 20), ("x", 1), ("nan", 1), ("-3", 0), ("1e9", 50)):
        assert visit("compare", runs=shared.ids("dcnv2", "ease"), matters=asked).number_input("compare.matters").value == taken


def test_what_rests_on_one_seed_is_repeated_with_a_click(own: Workspace, visit: Visit, says: Says, drivers: None) -> None:
    at = visit("compare", runs=own.ids("dcnv2", "ease"))
    assert "A was trained with one seed. What another seed may change is counted" in says(at)
    at.button("compare.seeds.launch").click().run()
    assert not at.exception
    launched = own.launched()
    assert [run.training.train.seed for run in launched] == [2, 3]
    assert {run.training.model.kind for run in launched} == {"dlrm_dcnv2"}
    at = visit("compare", runs=own.ids("two_tower", "ease"))  # trained with other seeds already, which are a click away
    assert "Add 2 more seeds that were trained" in links(at)
    assert "compare.seeds.launch" not in [button.key for button in at.button]


def test_pairs_are_tested_at_the_k_of_the_table(shared: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "dlrm"), k="5")
    assert at.selectbox("compare.pairs").options[0] == "NDCG@5"
    at.number_input("compare.k").set_value(20).run()
    assert not at.exception
    assert at.selectbox("compare.pairs").options[0] == "NDCG@20"
    assert "AUC" in at.selectbox("compare.pairs").options


def test_many_pairs_are_a_matrix_with_the_rows_folded_away(shared: Workspace, visit: Visit) -> None:
    names = CROWD[:8]
    tested = engine.compare.pairs(compared(shared, *names), "ndcg_at_10")
    decided, slightly = ({pair.answer for pair in tested} & kind for kind in ({BETTER, WORSE}, {Answer.A_SLIGHTLY, Answer.B_SLIGHTLY}))
    better, same = (sum(pair.answer in kind for pair in tested) for kind in ({BETTER, WORSE}, {Answer.SAME}))
    assert decided and not slightly and 0 < better < len(tested)
    at = visit("compare", runs=shared.ids(*names))
    found = next(html.value for html in at.html if 'aria-label="Who is better by NDCG@10"' in html.value)
    assert (found.count(">▲</span></td>"), found.count(">▼</span></td>")) == (better, better)
    assert (found.count(">·<"), found.count(">=<")) == (2 * (len(tested) - better - same), 2 * same)
    assert "p &lt; 0.001" in found
    assert f"All {len(tested)} pairs" in [box.label for box in at.expander]


def test_nothing_to_test_leaves_no_section(own: Workspace, visit: Visit, says: Says) -> None:
    own.lose_results("two_tower", "dlrm")  # what is left is of baselines alone
    said = says(visit("compare", runs=own.ids("two_tower", "dlrm")))
    assert "Who differs from whom" not in said and "Where they differ" not in said


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
