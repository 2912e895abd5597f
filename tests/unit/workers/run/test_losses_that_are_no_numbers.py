"""What a journal keeps of values that are no numbers, and what becomes of them in the store and in a chart."""

import json
import math
from pathlib import Path

import pytest

import engine
from engine.runs import store
from tests.workspace import create
from ui.shared import charts
from workers.artifacts import JOURNAL
from workers.run import Journal, RunSpec, read_journal

LOSSES = {1: 0.9, 2: 0.8, 3: math.nan, 4: math.inf, 5: -math.inf, 6: 0.5, 7: 0.4}
SPEC = {"dataset": "films-0123456789ab", "model": {"kind": "popularity"}}


@pytest.fixture
def run_id(workspace: Path) -> str:
    """A run that has reported a loss that is no number for three steps."""
    run_id, folder = create(RunSpec.model_validate(SPEC))
    journal = Journal(folder)
    for step, loss in LOSSES.items():
        journal.metrics({"train_loss": loss, "rows_per_s": 10.0 * step}, step=step, epoch=1, rows=step)
    return run_id


@pytest.mark.fault("F32")
def test_a_loss_that_is_no_number_is_null_in_the_journal_and_no_point_in_the_store(run_id: str, workspace: Path) -> None:
    path = workspace / "runs" / run_id / JOURNAL
    records = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert [record["values"]["train_loss"] for record in records] == [0.9, 0.8, None, None, None, 0.5, 0.4]
    store.log_records(run_id, read_journal(path)[0])
    assert [(step, value) for step, _, value in store.points(run_id, "train_loss")] == [(1, 0.9), (2, 0.8), (6, 0.5), (7, 0.4)]
    assert len(store.points(run_id, "rows_per_s")) == 7
    store.log_final(run_id, {"test_auc": math.inf, "test_ndcg_at_10": math.nan, "seconds": 3})
    assert store.get(run_id).data.metrics.keys() == {"train_loss", "rows_per_s", "epoch", "seconds"}
    assert max(store.get(run_id).data.metrics.values()) < 1e6, "MLflow would keep 1.8e308"


@pytest.mark.fault("F32")
@pytest.mark.parametrize("smooth", [0.0, 0.6])
@pytest.mark.parametrize("log_y", [False, True])
def test_a_curve_has_a_gap_where_the_loss_was_no_number(run_id: str, smooth: float, log_y: bool) -> None:
    history = engine.runs.history(run_id)
    losses = history[history["metric"] == "train_loss"].assign(contender="a")
    figure = charts.curves(losses, {"a": ("A", engine.compare.look(0))}, "step", "loss", smooth=smooth, log_y=log_y)
    assert len(figure.data) == (2 if smooth else 1)
    for line in figure.data:
        assert list(line.x) == [1, 2, 3, 4, 5, 6, 7]
        assert [step for step, value in zip(line.x, line.y, strict=True) if math.isnan(value)] == [3, 4, 5]
        assert not line.connectgaps
    assert json.loads(figure.to_json())["data"][0]["x"]


@pytest.mark.fault("F32")
def test_a_curve_of_nothing_but_such_losses_is_not_drawn(run_id: str) -> None:
    history = engine.runs.history(run_id)
    lost = history[(history["metric"] == "train_loss") & history["value"].isna()]
    assert len(lost) == 3
    assert len(charts.loss_curve(lost, "train_loss", "step", "loss").data) == 0


@pytest.mark.fault("F65")
def test_a_curve_of_a_hundred_thousand_steps_is_drawn_with_some_thousand_points(workspace: Path) -> None:
    run_id, folder = create(RunSpec.model_validate(SPEC))
    line = '{"time": %d, "step": %d, "epoch": %d, "rows": %d, "values": {"train_loss": %s, "rows_per_s": 1.0}}\n'
    text = "".join(line % (n, n, 1 + n // 10_000, 8 * n, "null" if n == 50_000 else 1 / n) for n in range(1, 100_001))
    (folder / JOURNAL).write_text(text)
    history = engine.runs.history(run_id)
    assert len(history) == 200_000
    figure = charts.loss_curve(history, "train_loss", "step", "loss")
    assert len(figure.data) == 2
    for drawn in figure.data:
        assert 1000 < len(drawn.x) <= charts.MOST_POINTS
        assert list(drawn.x) == sorted(drawn.x)
        assert (drawn.x[0] < 60) and (drawn.x[-1] > 99_940)
    assert len(figure.to_json()) < 400_000
