"""What MLflow would refuse or cut: names of metrics, long parameters, parameters that change."""

from pathlib import Path

import pytest

import engine
from engine.runs import store
from tests.workspace import create
from workers.artifacts import METRICS
from workers.run import RunSpec

SPEC = {"dataset": "films-0123456789ab", "model": {"kind": "two_tower", "embedding_dim": 8}}


@pytest.mark.fault("F33")
def test_every_metric_has_a_name_that_the_store_takes(workspace: Path) -> None:
    """MLflow refuses recall@10."""
    run_id, _ = create(RunSpec.model_validate(SPEC))
    assert any("@" in metric.label for metric in METRICS.values()), "people read recall@10"
    store.log_records(run_id, [{"time": 1.0, "step": 3, "epoch": 1, "values": {f"valid_{key}": 0.5 for key in METRICS}}])
    store.log_final(run_id, {f"test_{key}": 0.25 for key in METRICS})
    run = engine.runs.get_run(run_id)
    assert run.metrics == dict.fromkeys(METRICS, 0.25)
    assert store.points(run_id, "valid_recall_at_100")[0][::2] == (3, 0.5)


@pytest.mark.fault("F33")
def test_a_parameter_that_is_too_long_is_cut_in_the_store_and_whole_in_the_run(workspace: Path) -> None:
    long = [f"column-{n}-{'x' * 90}" for n in range(200)]
    spec = engine.datasets.DatasetSpec.model_validate(
        {"name": "wide", "source": {"kind": "table", "path": "t.csv", "columns": [
            {"name": "u", "role": "user"}, {"name": "i", "role": "item"}, *({"name": name, "role": "category"} for name in long),
        ]}}
    )  # fmt: skip
    run_id, _ = create(spec)
    (cut,) = (value for name, value in store.get(run_id).data.params.items() if name.endswith("columns"))
    assert len(cut) == 6000 and "column-3-xxx" in cut
    assert engine.runs.get_run(run_id).spec == spec


@pytest.mark.fault("F33")
def test_parameters_are_those_that_were_submitted_and_what_an_attempt_changed_is_recorded_beside_them(workspace: Path) -> None:
    """MLflow refuses another value for a parameter."""
    spec = RunSpec.model_validate(SPEC | {"train": {"processes": 1}})
    run_id, _ = create(spec)
    store.log_params(run_id, spec)  # again, as when a run is adopted
    assert store.get(run_id).data.params["train.processes"] == "1"
    store.log_final(run_id, {"processes": 2})  # the next attempt had other ranks: tests.integration.test_stop_and_resume
    run = engine.runs.get_run(run_id)
    assert store.get(run_id).data.params["train.processes"] == "1"
    assert run.resources["processes"] == 2 and run.training.train.processes == 1
