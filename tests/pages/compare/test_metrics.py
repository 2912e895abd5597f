"""Which metrics the Compare page shows and how: chosen by family, kept in the address, turned round and ordered."""

import re
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.compare import MetricVerdict, Verdict
from tests.pages.compare.test_contenders import told
from tests.pages.reading import Visit
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.compare import metric_tables, metrics

NO = float("nan")
MANY = {"ndcg_at_10": 0.2, "ndcg_at_20": 0.25, "recall_at_100": 0.5, "auc": 0.7, "auc_all": 0.69, "ece": 0.02}


@pytest.fixture
def measured(own: Workspace) -> Workspace:
    """Two runs with a few metrics."""
    own.measure("two_tower", **MANY)
    own.measure("dlrm", **MANY | {"auc": 0.8, "ndcg_at_10": 0.1})
    own.lose_results("two_tower", "dlrm")
    own.baselines(own.films, popularity={"ndcg_at_10": 0.197, "auc": 0.665}, random={"ndcg_at_10": 0.01, "auc": 0.5})
    return own


def rows(at: AppTest) -> list[str]:
    """The names of the metric table's rows."""
    html = next(h.value for h in at.html if "<table" in h.value and ("Metrics of the compared" in h.value or "best first" in h.value))
    body = html.split("<tbody>")[1]
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r'<th scope="row"[^>]*>(.*?)</th>', body)]


def pills(at: AppTest, label: str) -> Any:
    return next(group for group in at.get("button_group") if group.label == label)


def test_a_sensible_few_are_shown_to_who_has_not_chosen(measured: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=measured.ids("two_tower", "dlrm"))
    assert rows(at) == ["NDCG@10 ↑", "Recall@100 ↑", "AUC ↑", "ECE ↓"]
    assert "metrics" not in at.query_params


def test_metrics_are_chosen_by_family_and_stand_in_the_address(measured: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=measured.ids("two_tower", "dlrm"), metrics="auc_all,ndcg_at_20,made_up")
    assert rows(at) == ["NDCG@20 ↑", "AUC, all rows ↑"]  # in the order of the protocol
    pills(at, engine.compare.FAMILIES["ranking"]).set_value(["ndcg_at_10", "ndcg_at_20"]).run()
    assert not at.exception
    assert at.query_params["metrics"] == "ndcg_at_10,ndcg_at_20,auc_all"
    assert rows(at) == ["NDCG@10 ↑", "NDCG@20 ↑", "AUC, all rows ↑"]


@pytest.mark.parametrize("asked, count", [("all", 6), ("none", 0), ("made_up", 4), (HOSTILE, 4), ("x," * 5000, 4)])
def test_words_and_nonsense_in_the_address(measured: Workspace, visit: Visit, asked: str, count: int) -> None:
    at = visit("compare", runs=measured.ids("two_tower", "dlrm"), metrics=asked)
    if count:
        assert len(rows(at)) == count
    else:
        assert any("No metric is chosen" in c.value for c in at.caption)
        assert at.query_params["metrics"] == "none"


def test_contenders_as_rows_stand_best_first_with_baselines_among_them(measured: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=measured.ids("two_tower", "dlrm"), order="auc")
    assert [name[:3] for name in rows(at)] == ["▲ B", "● A", "┄ P", "┄ R"]  # 0.8, 0.7, popularity 0.665, random 0.5
    box = next(b for b in at.selectbox if b.label == "Contenders")
    assert box.value == "auc"
    box.set_value("").run()
    assert "order" not in at.query_params
    assert rows(at)[0] == "NDCG@10 ↑"
    assert (
        next(
            b for b in visit("compare", runs=measured.ids("two_tower", "dlrm"), order="made_up").selectbox if b.label == "Contenders"
        ).value
        == ""
    )


@pytest.mark.parametrize(
    "metric, values, order",
    [
        ("auc", {"A": 0.6, "B": 0.7, "pop": NO}, ["B", "A", "pop"]),
        ("log_loss", {"A": 0.6, "B": 0.7, "pop": NO}, ["A", "B", "pop"]),
        ("calibration", {"A": 1.4, "B": 0.9, "pop": 1.0}, ["pop", "B", "A"]),
        ("auc", {"A": 0.6, "B": 0.6}, ["A", "B"]),  # a tie keeps the order of the letters
    ],
)
def test_the_order_follows_the_direction_that_is_better(metric: str, values: dict[str, float], order: list[str]) -> None:
    comparison = told(*((metric, letter, value, NO, NO, NO) for letter, value in values.items()))
    html = metric_tables.leaderboard(comparison, "pop", [metric], metric)
    found = re.findall(r"</span> (?:Model )?(\w+)</span>", html.split("<tbody>")[1])
    assert [name for name in found if name in values] == order


def test_names_in_rows_are_escaped() -> None:
    comparison = told(("auc", "A", 0.6, NO, NO, NO))
    hostile = comparison.contenders[0].model_copy(update={"name": HOSTILE})
    comparison = comparison.model_copy(update={"contenders": [hostile]})
    html = metric_tables.leaderboard(comparison, "pop", ["auc"], "auc", {"A": [HOSTILE]})
    assert "<img" not in html
    assert "&lt;img" in html


def test_a_family_that_is_not_known_here_shows_its_first_few(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"m{at}" for at in range(6)]
    made = {key: engine.specs.METRICS["mae"].model_copy(update={"key": key, "family": "lists"}) for key in keys}
    monkeypatch.setattr(engine.specs, "metric", made.__getitem__)
    table = pd.DataFrame({"metric": keys, "contender": "A", "value": 0.5})
    comparison = told(("auc", "A", 0.6, NO, NO, NO)).model_copy(update={"table": table})
    families = metrics._families(comparison)
    assert families == {"lists": keys}
    assert metrics._usual(families["lists"], 10) == keys[:4]


@pytest.mark.fault("F64")
def test_metrics_of_lists_are_at_the_k_that_is_asked_for(shared: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "dlrm"), k="50", metrics="ndcg_at_10,auc", order="ndcg_at_10")
    box = next(b for b in at.selectbox if b.label == "Contenders")
    assert box.value == "ndcg_at_50"  # the same metrics, at this k
    assert at.query_params["metrics"] == "ndcg_at_50,auc"
    html = next(h.value for h in at.html if "best first" in h.value)
    assert "NDCG@50" in html
    assert "NDCG@10" not in html
    at.number_input("compare.k").set_value(10).run()
    assert not at.exception
    assert "k" not in at.query_params
    assert at.query_params["metrics"] == "ndcg_at_10,auc"


@pytest.mark.parametrize("k", ["0", "101", "-1", "x", "1e2", "\u0665", "9" * 5000])
def test_a_k_that_is_none_is_the_usual_one(shared: Workspace, visit: Visit, k: str) -> None:
    assert visit("compare", runs=shared.ids("two_tower", "dlrm"), k=k).number_input("compare.k").value == 10


def test_the_star_is_full_only_where_tests_are_sure(shared: Workspace) -> None:
    found = engine.compare.compare([shared.runs["two_tower"], shared.runs["dlrm"]])
    sure = MetricVerdict(metric="ndcg_at_10", leader="A")
    unsure = sure.model_copy(update={"unsure_of": ("B",)})
    full, hollow = (
        metric_tables.metric_table(
            found.model_copy(update={"verdict": Verdict(metrics={"ndcg_at_10": one}, stages=())}), "pop", keys=["ndcg_at_10"]
        )
        for one in (sure, unsure)
    )
    assert "★" in full and "☆" not in full
    assert "☆" in hollow and "by too little to matter, ahead of B" in hollow and "★" not in hollow
