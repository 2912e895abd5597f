"""The audit of a prepared dataset, and the pages where data are not ratings of items by users."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.datasets.audit_record import Audit, OrderFacts, SplitFacts
from tests.pages.reading import Says, Visit, foreign_markup
from tests.records import AUDIT, HOSTILE, advertising, dataset
from tests.workspace import Workspace
from ui.data import prepared

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


def audited(own: Workspace, visit: Visit, audit: Audit, of: str | None = None) -> AppTest:
    """The part of the Data page that shows an audit, which a dataset gets instead of its own."""
    id = of or own.films
    (own.folder / "datasets" / id / "audit.json").write_text(audit.model_dump_json())
    return visit("data", dataset=id, part="audit")


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def headings(at: AppTest) -> set[str]:
    return {element.value.strip("*") for element in at.markdown}


def test_what_is_wrong_comes_by_its_level(own: Workspace, visit: Visit) -> None:
    levels = [("info", f"note {n}") for n in range(5)] + [("warn", f"odd {HOSTILE}"), ("block", "nothing to learn")]
    findings = [engine.datasets.Finding(level=level, text=text) for level, text in levels]  # type: ignore[arg-type]
    at = audited(own, visit, AUDIT.model_copy(update={"findings": findings}))
    assert [error.value for error in at.error] == ["nothing to learn"]
    assert [warning.value.startswith("odd") for warning in at.warning] == [True]
    folded = next(box for box in at.expander if box.label == "How the data was read (5)")
    assert "note 4" in folded.caption[0].value
    assert not foreign_markup(at)


def test_whether_order_matters_is_said_where_it_was_looked_for(own: Workspace, visit: Visit) -> None:
    facts = OrderFacts(pairs=138, followed=170, shuffled=59, users=749, share=1.0, support=3)
    at = audited(own, visit, AUDIT.model_copy(update={"order": facts}))
    assert "Does order matter here?" in headings(at)
    assert any(text.startswith("Order matters") and "138 pairs" in text and "65%" in text for text in headings(at))
    assert not at.exception
    assert "Does order matter here?" not in headings(audited(own, visit, AUDIT.model_copy(update={"order": None})))


def test_every_figure_of_the_audit_is_explained(own: Workspace, visit: Visit) -> None:
    at = audited(own, visit, AUDIT)
    told = metrics(at)
    assert (told["Rows read"], told["Rows used"], told["Density"]) == ("1,010", "1,000", "80 %")
    assert (told["From"], told["To"], told["Models predict"]) == ("2020-09-13", "2021-05-03", "liked or not")
    assert all(metric.help for metric in at.metric)


def test_the_long_tail_is_told_at_a_fifth_of_the_items(own: Workspace, visit: Visit, says: Says) -> None:
    said = says(audited(own, visit, AUDIT))  # from (0.1, 0.4) straight to (1, 1): 0.4 + 0.6 / 9
    assert "The most popular 20 % of items have 47 % of the interactions" in said


@pytest.mark.fault("F49")
def test_rows_set_aside_are_listed_when_they_are_asked_for(shared: Workspace, visit: Visit) -> None:
    at = visit("data", dataset=shared.films, part="audit")
    assert not [frame for frame in at.dataframe if "reason" in frame.value]
    at.session_state[f"audit.{shared.films}.aside"] = True
    at.run()
    assert not at.exception
    aside = engine.datasets.set_aside(shared.films)
    assert len(aside) == sum(engine.datasets.audit(shared.films).set_aside.values()) == 2  # type: ignore[union-attr]
    shown = next(frame.value for frame in at.dataframe if "reason" in frame.value)
    assert shown["row"].tolist() == aside["row"].tolist()


def test_the_first_of_many_rows_set_aside_are_called_that(own: Workspace, visit: Visit) -> None:
    at = audited(own, visit, AUDIT)  # of ten rows
    at.session_state[f"audit.{own.films}.aside"] = True
    at.run()
    assert any("The first 2 of 10 rows" in caption.value for caption in at.caption)


def test_the_audit_is_kept_with_the_dataset(shared: Workspace, visit: Visit, says: Says) -> None:
    audit = engine.datasets.audit(shared.films)
    assert audit is not None
    at = visit("data", dataset=shared.films, part="audit")
    said = says(at)
    assert f"{audit.rows_read} rows read" in said
    assert all(reason in said for reason in audit.set_aside)
    assert all(finding.text[:30] in said for finding in audit.findings)
    assert not foreign_markup(at)


def test_a_dataset_without_an_audit_says_so(own: Workspace, visit: Visit) -> None:
    (own.folder / "datasets" / own.films / "audit.json").unlink()
    at = visit("data", dataset=own.films, part="audit")
    assert not at.metric
    assert [one.value for one in at.info] == ["This dataset was prepared before audits were kept; prepare it again to have one."]


def test_rows_without_people_or_time_have_no_empty_charts(own: Workspace, visit: Visit) -> None:
    at = audited(own, visit, ROWS, own.clicks)
    told = metrics(at)
    assert not {"Users", "Items", "Density", "From", "To", "Repeated pairs"} & told.keys()
    assert not {"Interactions per user", "Interactions per item", "Popularity, long tail", "Label over time"} & headings(at)
    assert len(at.get("plotly_chart")) == 3  # where the rows went, the labels, the split


def test_time_that_is_a_count_is_no_date(own: Workspace, visit: Visit, says: Says) -> None:
    at = audited(own, visit, AUDIT.model_copy(update={"time": "order", "first": 1, "last": 1000}))
    assert not {"From", "To"} & metrics(at).keys()
    assert "from 1 to 1,000, not a date" in says(at)


def test_an_audit_of_nothing_opens(own: Workspace, visit: Visit) -> None:
    bare = Audit(rows_read=0, rows_used=0, set_aside={}, truncated=False, users=0, items=0, density=None, output="binary")
    at = audited(own, visit, bare)
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
