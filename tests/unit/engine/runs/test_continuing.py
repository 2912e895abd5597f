"""Which run may continue which is decided before anything starts, with a sentence."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.runs import continuing, processes, store
from engine.settings import settings
from workers.artifacts import sealed
from workers.run.spec import RunSpec
from workers.specs.schema import Categorical, FeatureSchema

SCHEMA = FeatureSchema(
    categorical=(
        Categorical(name="user_id", side="user", num_rows=9, vocabulary="user_id"),
        Categorical(name="item_id", side="item", num_rows=9, vocabulary="item_id"),
    )
)
DATASET, OTHER = "films-0123456789ab", "films-ba9876543210"


@pytest.fixture
def dataset(workspace: Path) -> str:
    """Two prepared datasets that are only manifests."""
    for id in (DATASET, OTHER):
        folder = settings().datasets / id
        folder.mkdir(parents=True)
        told = {"format": 1, "id": id, "name": "films", "label": {"kind": "threshold", "output": "binary"}, "split": {"kind": "time"}}
        counts = {"interactions": {"train": 80, "valid": 10, "test": 10}}
        whole = told | {"fingerprint": "f", "created_at": "2026-01-05", "counts": counts, "schema": SCHEMA.model_dump()}
        (folder / "manifest.json").write_text(json.dumps(whole))
    return DATASET


def spec(model: dict[str, Any] | None = None, **fields: Any) -> RunSpec:
    asked = {"dataset": DATASET, "model": {"kind": "dlrm", **(model or {})}, "train": {"epochs": 3, "seed": 7}}
    return RunSpec.model_validate(asked | fields)


def ended(asked: RunSpec, status: store.Status = "FINISHED", weights: bool = True) -> str:
    """A run as submit would record it, that has come to an end."""
    asked = asked.resolved(SCHEMA)
    run_id = store.create("train", asked.title, asked, {"dataset": asked.dataset, "model": asked.model.kind})
    store.set_status(run_id, status)
    if weights:
        folder = settings().runs / run_id / "checkpoint"
        folder.mkdir(parents=True)
        (folder / "best.json").write_text("{}")
    return run_id


def test_a_search_goes_on_as_its_winner_and_searches_no_more(dataset: str) -> None:
    first = ended(spec({"embedding_dim": 8}, search={"trials": 5}))
    with pytest.raises(ValueError, match="before one was chosen"):
        engine.runs.continued(first, 4)
    chosen = {"model.embedding_dim": 32, "model.over_layers": [16], "train.table_learning_rate": 0.2}
    (settings().runs / first / "done.json").write_text(json.dumps(sealed({"chosen": chosen})))
    more = engine.runs.continued(first, 4)
    assert (more.search, more.continues, more.train.epochs) == (None, first, 4)
    assert (more.network.embedding_dim, more.network.over_layers, more.train.table_learning_rate) == (32, (16,), 0.2)  # type: ignore[attr-defined]


def test_a_finished_network_goes_on_under_its_settings_for_more_epochs(dataset: str) -> None:
    first = ended(spec({"embedding_dim": 8}))
    more = engine.runs.continued(first, 4)
    assert (more.continues, more.train.epochs, more.train.seed, more.model.embedding_dim) == (first, 4, 7, 8)
    assert more.title == "DLRM · dim 8 · continued"  # no history here, so none is read
    again = engine.runs.continued(ended(more), 2)
    assert again.title == more.title  # and not continued · continued
    continuing.check(more.resolved(SCHEMA))
    assert len(engine.runs.continued(ended(spec(name="n" * 120)), 1).name or "") == 120


def test_what_cannot_go_on_is_refused_with_a_sentence_before_anything_starts(dataset: str) -> None:
    first = ended(spec())
    ease = ended(spec({"kind": "ease"}))
    prepared = store.create("prepare", "Prepare films", engine.datasets.DatasetSpec.model_validate({"source": {"kind": "sample"}}), {})
    refused: list[tuple[RunSpec, type[Exception], str]] = [
        (spec(continues="0" * 32), LookupError, "There is no run"),
        (spec(continues=ended(spec(), "FAILED", weights=False)), LookupError, "is failed and has left no checkpoint to continue from"),
        (spec(continues=prepared), ValueError, "is a preparation; only a training run can be continued"),
        (spec(continues=first, dataset=OTHER), ValueError, f"was trained on {DATASET}, not on {OTHER}"),
        (spec({"embedding_dim": 32}, continues=first), ValueError, "model.embedding_dim was 16 and is 32"),
        (spec({"kind": "deepfm"}, continues=first), ValueError, "model.kind was dlrm and is deepfm"),
        (spec({"kind": "ease"}, continues=ease), ValueError, "EASE is fitted at once"),
        (spec(continues=ended(spec(), weights=False)), LookupError, "are not in this workspace"),
    ]
    before = len(engine.runs.list_runs())
    for asked, kind, sentence in refused:
        with pytest.raises(kind, match=sentence):
            engine.runs.submit(asked, key="once")
    assert len(engine.runs.list_runs()) == before
    with pytest.raises(ValueError, match="fitted at once"):
        engine.runs.continued(ease, 5)


def test_a_run_that_failed_goes_on_from_whatever_checkpoint_it_left(dataset: str) -> None:
    best, step = ended(spec(), "FAILED"), ended(spec(), "KILLED", weights=False)
    left = settings().runs / step / "checkpoint" / "step-00000010"
    left.mkdir(parents=True)
    (left / "checkpoint.json").write_text("{}")
    assert [engine.runs.continued(one, 2).continues for one in (best, step)] == [best, step]


def test_a_live_run_is_not_continued(dataset: str) -> None:
    live = ended(spec(), "RUNNING")
    with (settings().runs / live / processes.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as its driver does
        with pytest.raises(ValueError, match="is running; only a run that has ended can be continued"):
            engine.runs.continued(live, 2)


def test_a_model_of_other_settings_is_refused_by_the_command_line_in_one_sentence(dataset: str, tmp_path: Path) -> None:
    path = tmp_path / "more.json"
    path.write_text(spec({"dropout": 0.5}, continues=ended(spec())).model_dump_json())
    words = [sys.executable, "-c", "from engine.cli import main; main()", "train", str(path)]
    told = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert told.returncode != 0
    assert "model.dropout was 0.2 and is 0.5" in told.stderr
    assert "Traceback" not in told.stderr
