"""A run's spec: typed once, and a run of another version stays readable."""

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.datasets.downloads import DownloadSpec
from engine.datasets.spec import DatasetSpec
from engine.runs.read import Run, RunState
from workers.exports.spec import ListExportSpec
from workers.run.spec import RunSpec

EASE = {"dataset": "films-0123456789ab", "model": {"kind": "ease", "l2": 10}, "train": {"seed": 7}}


def run(kind: str, settings: dict[str, Any]) -> Run:
    return Run.model_validate(
        {
            "run_id": "a" * 32, "kind": kind, "title": "Films", "state": RunState.FINISHED, "dataset": None, "dataset_name": None,
            "model": None, "spec": settings, "submitted_at": datetime.now(UTC), "started_at": None, "ended_at": None, "message": None,
            "progress": None, "metrics": {}, "resources": {},
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "settings", "spec"),
    [
        ("train", EASE, RunSpec),
        ("prepare", {"name": "films", "source": {"kind": "sample"}}, DatasetSpec),
        ("download", {"key": "ml-1m"}, DownloadSpec),
        ("export", {"run": "a" * 32, "dataset": "films-0123456789ab"}, ListExportSpec),
    ],
)
def test_a_run_has_the_spec_of_its_kind(kind: str, settings: dict[str, Any], spec: type) -> None:
    one = run(kind, settings)
    assert type(one.spec) is spec
    assert one.spec == spec.model_validate(settings)
    assert one.spec is run(kind, settings).spec, "the same settings are checked once"
    assert one.unreadable is None


def test_the_spec_of_a_training_run_is_typed() -> None:
    assert run("train", EASE).training.train.seed == 7
    with pytest.raises(ValueError, match="Films is a download; choose a training run"):
        _ = run("download", {"key": "ml-1m"}).training


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("train", EASE | {"model": {"kind": "from the future"}}, "Unknown model 'from the future'; this checkout has"),
        ("train", EASE | {"warmth": 3}, "warmth is not a known setting"),
        ("download", {"key": "gone"}, "There is no download 'gone'"),
        ("prepare", {}, "source is missing"),
    ],
)
def test_a_run_of_another_version_can_be_read_and_says_why_it_has_no_spec(kind: str, settings: dict[str, Any], reason: str) -> None:
    one = run(kind, settings)
    assert one.spec is None
    assert reason in (one.unreadable or "")
    assert one.settings == settings
    with pytest.raises(ValueError, match="settings that this version does not accept") as refused:
        _ = one.training
    assert reason in str(refused.value)
