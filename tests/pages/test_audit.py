"""The audit of a prepared dataset, and the pages where data are not ratings of items by users."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.datasets.audit_record import Audit, SplitFacts
from engine.runs.read import Progress, RunState
from tests.pages.fake import AUDIT, DATASET, HOSTILE, FakeEngine, advertising, dataset, run
from tests.pages.test_pages import button, foreign_markup, links
from ui.data import prepared
from ui.shared import states

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]
ROWS = Audit(
    rows_read=200,
    rows_used=200,
    set_aside={},
    truncated=False,
    users=None,
    items=None,
    density=None,
    output="binary",
    threshold=1.0,
    ratings=[(0.0, 150), (1.0, 50)],
    splits={name: SplitFacts(rows=n, positives=n // 4) for name, n in (("train", 160), ("valid", 20), ("test", 20))},
)
FETCHING = Progress(phase="downloading", step=12_300_000, total=78_000_000, bytes_per_s=2_000_000.0, eta_s=33.0)


def audited(fake: FakeEngine, visit: Visit, found: Audit, of: engine.datasets.Dataset | None = None) -> AppTest:
    fake.datasets = [of or dataset()]
    fake.audits[fake.datasets[0].id] = found
    return visit("data", dataset=fake.datasets[0].id, part="audit")


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def headings(at: AppTest) -> set[str]:
    return {element.value.strip("*") for element in at.markdown}


def test_what_is_wrong_comes_by_its_level(fake: FakeEngine, visit: Visit) -> None:
    levels = [("info", f"note {n}") for n in range(5)] + [("warn", f"odd {HOSTILE}"), ("block", "nothing to learn")]
    findings = [engine.datasets.Finding(level=level, text=text) for level, text in levels]  # type: ignore[arg-type]
    at = audited(fake, visit, AUDIT.model_copy(update={"findings": findings}))
    assert [error.value for error in at.error] == ["nothing to learn"]
    assert [warning.value.startswith("odd") for warning in at.warning] == [True]
    folded = next(box for box in at.expander if box.label == "How the data was read (5)")
    assert "note 4" in folded.caption[0].value
    assert not foreign_markup(at)


def test_every_figure_of_the_audit_is_explained(fake: FakeEngine, visit: Visit) -> None:
    at = audited(fake, visit, AUDIT)
    told = metrics(at)
    assert (told["Rows read"], told["Rows used"], told["Density"]) == ("1,010", "1,000", "80 %")
    assert (told["From"], told["To"], told["Models predict"]) == ("2020-09-13", "2021-05-03", "liked or not")
    assert all(metric.help for metric in at.metric)


def test_the_long_tail_is_told_at_a_fifth_of_the_items(fake: FakeEngine, visit: Visit, says: Says) -> None:
    said = says(audited(fake, visit, AUDIT))  # from (0.1, 0.4) straight to (1, 1): 0.4 + 0.6 / 9
    assert "The most popular 20 % of items have 47 % of the interactions" in said


def test_rows_set_aside_are_listed_when_they_are_asked_for(fake: FakeEngine, visit: Visit) -> None:
    at = audited(fake, visit, AUDIT)
    assert not [frame for frame in at.dataframe if "reason" in frame.value]
    at.session_state[f"audit.{DATASET}.aside"] = True
    at.run()
    assert not at.exception
    shown = next(frame.value for frame in at.dataframe if "reason" in frame.value)
    assert shown["row"].tolist() == [3, 9]
    assert any("The first 2 of 10 rows" in caption.value for caption in at.caption)


def test_rows_without_people_or_time_have_no_empty_charts(fake: FakeEngine, visit: Visit) -> None:
    at = audited(fake, visit, ROWS, advertising())
    told = metrics(at)
    assert not {"Users", "Items", "Density", "From", "To", "Repeated pairs"} & told.keys()
    assert not {"Interactions per user", "Interactions per item", "Popularity, long tail", "Label over time"} & headings(at)
    assert len(at.get("plotly_chart")) == 3  # where the rows went, the labels, the split


def test_time_that_is_a_count_is_no_date(fake: FakeEngine, visit: Visit, says: Says) -> None:
    at = audited(fake, visit, AUDIT.model_copy(update={"time": "order", "first": 1, "last": 1000}))
    assert not {"From", "To"} & metrics(at).keys()
    assert "from 1 to 1,000, not a date" in says(at)


def test_an_audit_of_nothing_opens(fake: FakeEngine, visit: Visit) -> None:
    bare = Audit(rows_read=0, rows_used=0, set_aside={}, truncated=False, users=0, items=0, density=None, output="binary")
    at = audited(fake, visit, bare)
    assert metrics(at)["Rows read"] == "0"


@pytest.mark.parametrize(
    "label, told",
    [
        ({"kind": "threshold", "threshold": 4.0}, "liked from 4 ·"),
        ({"kind": "mean", "threshold": 3.6}, "liked from 3.6 (the mean)"),
        ({"kind": "user_mean", "threshold": None}, "liked from the user's mean"),
        ({"kind": "given", "threshold": 1.0}, "liked is label 1"),
        ({"kind": "implicit", "threshold": None}, "every row is liked"),
        ({"kind": "regression", "threshold": 3.0}, "predicts the value, liked from 3"),
        ({"kind": "multi_class", "threshold": None, "liked": ["4", "5"]}, "liked is class 4 or 5"),
        ({"kind": "actions", "threshold": None, "liked": ["buy"]}, "liked is buy"),
        ({"kind": "actions", "liked": ["buy", "see"], "classes": ["buy", "see"]}, "liked is any action"),
        ({"kind": "actions", "liked": list("abcdefg"), "classes": list("abcdefgh")}, "liked is one of 7"),
    ],
)
def test_a_title_says_its_label_rule(label: dict[str, Any], told: str) -> None:
    assert told in dataset(label=label).title


@pytest.mark.parametrize("kind, told", [("time", "by time"), ("per_user", "per user"), ("random", "at random"), ("column", "as given")])
def test_a_title_says_its_split(kind: str, told: str) -> None:
    assert f"split {told} · 1,000 rows" in dataset(split={"kind": kind}).title


def test_the_overview_of_rows_without_people_leaves_ranking_out() -> None:
    frame = prepared.split_counts(advertising().counts)
    assert frame.columns.tolist() == ["rows", "liked"]


def test_a_download_is_told_in_bytes(fake: FakeEngine, visit: Visit, says: Says) -> None:
    key = next(iter(engine.datasets.DOWNLOADS))
    fake.runs = [
        run("get", None, RunState.RUNNING, kind="download", title="Download films", dataset_name=None, progress=FETCHING, spec={"key": key})
    ]
    at = visit("runs", run="get")
    told = at.get("progress")[0].proto.text.replace("\\", "").replace("\u2060", "")
    assert told == "Running · downloading · 12.3 MB of 78.0 MB (16 %) · 2.00 MB/s · 35 s left"
    assert at.dataframe[0].value["Kind"].tolist() == ["Download"]
    assert any(caption.value.startswith("run get") for caption in at.caption)
    button(at, "Stop the run").click().run()
    assert fake.cancelled == ["get"]
    assert "Download films" in says(visit("home"))


def test_a_download_of_unknown_size_claims_no_share() -> None:
    unknown = FETCHING.model_copy(update={"total": FETCHING.step, "eta_s": None})
    told = states.sentence(run("get", None, RunState.RUNNING, kind="download", progress=unknown))
    assert told == "Running · downloading · 12.3 MB · 2.00 MB/s"


def test_a_finished_download_leads_back_to_the_sources(fake: FakeEngine, visit: Visit) -> None:
    fake.runs = [run("get", None, kind="download", title="Download films", dataset=None, dataset_name=None, spec={"key": "gone"})]
    at = visit("runs", run="get")
    assert "Open the sources" in links(at)
    assert not {"See the dataset", "Compare"} & set(links(at))


def judged(fake: FakeEngine, baselines: dict[str, dict[str, float]], **changed: dict[str, float]) -> None:
    """Two finished runs whose metrics are `changed` and what needs no training."""
    fake.baselines = baselines
    fake.datasets = [dataset()]
    fake.runs = [run("a", metrics=changed.get("a", {})), run("d", "dlrm", metrics=changed.get("d", {}))]


def test_differences_can_be_taken_against_what_the_dataset_has(fake: FakeEngine, visit: Visit) -> None:
    judged(fake, {"random": {"auc": 0.5}, "oracle": {"auc": 0.8}}, a={"auc": 0.6}, d={"auc": 0.7})
    at = visit("compare", runs="a,d")
    box = at.selectbox("compare.baseline")
    assert box.options[:2] == ["Random", "Best possible"]
    assert box.value == "random"
    assert "baseline" not in at.query_params
    box.set_value("oracle").run()
    assert not at.exception
    assert "−0.200" in "".join(html.value for html in at.html)


def test_the_best_possible_is_told_and_wins_nothing(fake: FakeEngine, visit: Visit, says: Says) -> None:
    judged(fake, {"random": {"auc": 0.5}, "oracle": {"auc": 0.8}}, a={"auc": 0.6}, d={"auc": 0.7})
    said = says(visit("compare", runs="a,d"))
    assert "For ranking take **B" in said
    assert "The best possible AUC here is 0.800" in said
    assert "That is 0.200 above random (0.500)" in said  # the data have no popularity
    assert "☆</span> 0.700" in said  # the lead is B's, and nothing here tests it


def test_sets_of_items_are_judged_by_the_lower_error(fake: FakeEngine, visit: Visit, says: Says) -> None:
    judged(fake, {"random": {"set_rmse": 0.9}, "user_mean": {"set_rmse": 0.6}}, a={"set_rmse": 0.55}, d={"set_rmse": 0.7})
    at = visit("compare", runs="a,d")
    said = says(at)
    assert "For rating sets of items take **A" in said
    assert "0.150 below B" in said
    assert "0.0500 below each user's mean (0.600), which is better" in said
    assert "Rating sets of items" in said  # the family in the table
    assert "Ranking the whole catalogue" not in said


def test_compare_leaves_out_metrics_that_no_run_has(fake: FakeEngine, visit: Visit, says: Says) -> None:
    clicks = advertising()
    judged(fake, {"random": {"auc": 0.5, "log_loss": 0.9}}, a={}, d={"auc": 0.7})
    fake.datasets = [clicks]
    fake.runs = [run("d", "dlrm", dataset=clicks.id, metrics={"auc": 0.7})]
    at = visit("compare", runs="d")
    assert "NDCG" not in "".join(html.value for html in at.html)
    assert at.selectbox("compare.quality").options == ["AUC"]
    assert "nobody to recommend to" in says(at)


def test_runs_without_any_metric_have_no_empty_chart(fake: FakeEngine, visit: Visit, says: Says) -> None:
    judged(fake, {})
    said = says(visit("compare", runs="a,d"))
    assert "No run has a metric" in said


def test_the_dataset_list_reads_well_for_every_kind(fake: FakeEngine, visit: Visit) -> None:
    fake.datasets = [advertising(), dataset(label={"kind": "multi_class", "liked": ["4", "5"]}, split={"kind": "column"})]
    shown = visit("data").dataframe[0].value
    assert shown["Liked"].tolist() == ["label 1", "class 4 or 5"]
    assert shown["Split"].tolist() == ["Random", "My column"]
    assert pd.isna(shown["Users"].iloc[0])
