"""What the Compare page says of who is ahead, of baselines, and of what stands apart."""

import re

import pytest

import engine
from engine.compare import Comparison
from tests.pages.reading import Says, Visit, labelled
from tests.workspace import Workspace
from ui.compare import verdict
from ui.shared import words


def compared(workspace: Workspace, *names: str) -> Comparison:
    """The comparison of runs, made without the page."""
    return engine.compare.compare([workspace.runs[name] for name in names])


def test_compare_marks_the_best_and_judges_by_tests(shared: Workspace, visit: Visit, says: Says) -> None:
    comparison = compared(shared, "ease", "dcnv2")
    assert comparison.verdict is not None
    assert comparison.verdict.winner("ndcg_at_10") == "A"
    said = says(visit("compare", runs=shared.ids("ease", "dcnv2")))
    assert all(sentence in said for sentence in verdict.sentences(comparison)) and len(verdict.sentences(comparison)) == 4
    table = comparison.table.set_index(["metric", "contender"])
    for metric in ("ndcg_at_10", "auc"):
        judged = comparison.verdict.metrics[metric]
        assert judged.leader is not None
        best, star = table.loc[(metric, judged.leader)], "★" if judged.winner else "☆"
        places = words.decimals(table.loc[metric, "value"].max())
        assert re.search(rf'<span title="[^"]*">{star}</span> {words.number(best["value"], places)}', said)
        assert words.signed(best["delta"], places) in said  # over popularity


def test_retrieval_and_ranking_may_be_led_by_two_contenders(shared: Workspace, visit: Visit, says: Says) -> None:
    comparison = compared(shared, "deepfm", "ials")
    assert comparison.verdict is not None
    assert [(judged.metric, judged.run) for _, judged in comparison.verdict.of_stages()] == [("ndcg_at_10", "A"), ("auc", "B")]
    retrieval, ranking, _ = verdict.sentences(comparison)
    assert retrieval.startswith("For retrieval") and "**A " in retrieval
    assert ranking.startswith("For ranking") and "**B " in ranking
    said = says(visit("compare", runs=shared.ids("deepfm", "ials")))
    assert retrieval in said and ranking in said


def test_a_lead_that_chance_would_make_cannot_be_told(shared: Workspace, visit: Visit, says: Says) -> None:
    comparison = compared(shared, "ease", "ials")
    assert comparison.verdict is not None
    found = comparison.verdict.metrics["ndcg_at_10"]
    assert (found.leader, found.winner, found.unsure_of) == ("A", None, ("B",))
    said = says(visit("compare", runs=shared.ids("ease", "ials")))
    assert re.search(r"cannot be told from B \(p = 0\.\d+; [^)]* would tell\)", said)
    assert "For retrieval take" not in said
    assert f"☆</span> {words.number(found.value, 3)}" in said


@pytest.mark.fault("F64")
def test_a_run_of_other_data_stands_apart_with_its_reason(shared: Workspace, visit: Visit, says: Says) -> None:
    said = says(visit("compare", runs=shared.ids("two_tower", "clicks")))
    assert "is not compared" in said
    ((_, reason),) = compared(shared, "two_tower", "clicks").apart
    assert words.md(reason, 300) in said


def test_differences_can_be_taken_against_what_the_dataset_has(own: Workspace, visit: Visit) -> None:
    own.baselines(own.films, random={"auc": 0.5}, oracle={"auc": 0.8})
    own.measure("two_tower", auc=0.6)
    own.measure("dlrm", auc=0.7)
    at = visit("compare", runs=own.ids("two_tower", "dlrm"))
    box = at.selectbox("compare.baseline")
    assert box.options[:2] == ["Random", "Best possible"]
    assert box.value == "random"
    assert "baseline" not in at.query_params
    box.set_value("oracle").run()
    assert not at.exception
    assert "−0.200" in "".join(html.value for html in at.html)


def test_the_best_possible_is_told_and_wins_nothing(own: Workspace, visit: Visit, says: Says) -> None:
    own.baselines(own.films, random={"auc": 0.5}, oracle={"auc": 0.8})
    own.measure("two_tower", auc=0.6)
    own.measure("dlrm", auc=0.7)
    own.lose_results("two_tower", "dlrm")
    said = says(visit("compare", runs=own.ids("two_tower", "dlrm")))
    assert "For ranking, **B" in said and "has the highest AUC, 0.700, but it was not tested against A" in said
    assert "The best possible AUC here is 0.800" in said
    assert "A random order has 0.500; a difference was not tested." in said  # the data have no popularity
    assert re.search("[★☆]</span> 0.700", said)  # the lead is B's: nobody competes with the best possible


def test_sets_of_items_are_judged_by_the_lower_error(own: Workspace, visit: Visit, says: Says) -> None:
    own.baselines(own.films, random={"set_rmse": 0.9}, user_mean={"set_rmse": 0.6})
    own.measure("two_tower", set_rmse=0.55)
    own.measure("dlrm", set_rmse=0.7)
    own.lose_results("two_tower", "dlrm")
    said = says(visit("compare", runs=own.ids("two_tower", "dlrm")))
    assert "For rating sets of items, **A" in said and "has the lowest Set RMSE, 0.550, but it was not tested against B" in said
    assert "Each user's mean has 0.600; a difference was not tested." in said
    assert "Rating sets of items" in said  # the family in the table
    assert "Ranking the whole catalogue" not in said


def test_compare_leaves_out_metrics_that_no_run_has(own: Workspace, visit: Visit, says: Says) -> None:
    own.baselines(own.clicks, random={"auc": 0.5, "log_loss": 0.9})
    own.measure("clicks", auc=0.7)
    at = visit("compare", runs=own.ids("clicks"))
    assert "NDCG" not in "".join(html.value for html in at.html)
    assert at.selectbox("compare.quality").options == ["AUC"]
    assert "nobody to recommend to" in says(at)


def test_runs_without_any_metric_have_no_empty_chart(own: Workspace, visit: Visit, says: Says) -> None:
    own.baselines(own.films)
    for name in ("two_tower", "dlrm"):
        own.measure(name)
    own.lose_results("two_tower", "dlrm")
    at = visit("compare", runs=own.ids("two_tower", "dlrm"))
    assert "No run has a metric" in says(at)
    assert labelled(at.selectbox, "Differences against").options  # of the two runs alone


def test_compare_points_calibration_at_one(shared: Workspace, visit: Visit, says: Says) -> None:
    assert "calibration" in shared.run("dlrm").metrics
    said = says(visit("compare", runs=shared.ids("two_tower", "dlrm"), metrics="calibration,auc"))
    assert "Calibration</abbr> → 1" in said
    assert "Closest to 1 is best." in said
