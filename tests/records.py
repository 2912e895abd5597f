"""Records as the engine gives them: runs in any state, manifests of datasets, an audit; for tests of what reads records."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

import engine
from engine.datasets.audit_record import Audit, FeatureFacts, Finding, SplitFacts
from engine.datasets.read import Dataset
from engine.runs.read import Progress, Run, RunState
from workers.specs.schema import Categorical, Dense, FeatureSchema

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
HOSTILE = "**Bold** :red[x] $a$ <img src=x onerror=alert(1)> [l](http://e.vil) :material/home: & #1"
DATASET = "films-0123456789ab"
SCHEMA = FeatureSchema(
    categorical=(
        Categorical(name="user_id", side="user", num_rows=41, vocabulary="user_id"),
        Categorical(name="history", side="user", num_rows=31, multi_valued=True, vocabulary="item_id"),
        Categorical(name="item_id", side="item", num_rows=31, vocabulary="item_id"),
        Categorical(name="genres", side="item", num_rows=5, multi_valued=True, vocabulary="genres"),
    ),
    dense=(Dense(name="age", side="user", mean=33.0, std=10.0),),
)
MANIFEST = {
    "created_at": "2026-01-05T11:00:00+00:00",
    "fingerprint": "0123456789ab" * 5,
    "spec": {"name": "films", "source": {"kind": "sample"}},
    "counts": {
        "rows_read": 1000,
        "interactions": {"train": 800, "valid": 100, "test": 100},
        "positives": {"train": 480, "valid": 55, "test": 60},
        "users": 40,
        "items": 30,
        "train_users": 39,
        "train_items": 30,
        "cold_user_rows_test": 3,
        "cold_item_rows_test": 1,
        "users_to_rank": {"valid": 31, "test": 28},
        "sampled_users": {"valid": 31, "test": 28},
        "items_without_title": 0,
    },
    "label": {"kind": "threshold", "threshold": 4.0, "mean": 3.6},
    "split": {"kind": "time", "valid_from": 1, "test_from": 2},
}


ROWS_ONLY = FeatureSchema(
    categorical=(Categorical(name="C1", side="context", num_rows=9, vocabulary="C1"),),
    dense=(Dense(name="I1", side="context", mean=3.0, std=1.0),),
)
AUDIT = Audit(
    rows_read=1010,
    rows_used=1000,
    set_aside={"no user id": 6, "an exact copy of another row": 4},
    truncated=False,
    users=40,
    items=30,
    density=0.8,
    output="binary",
    threshold=4.0,
    ratings=[(1.0, 50), (2.0, 100), (3.0, 250), (4.0, 400), (5.0, 200)],
    exact_copies=4,
    repeated_pairs=2,
    conflicting_pairs=1,
    splits={
        "train": SplitFacts(rows=800, positives=480, users=39, items=30, cold_users=0, cold_items=0),
        "valid": SplitFacts(rows=100, positives=55, users=31, items=29, cold_users=0, cold_items=0, users_to_rank=31),
        "test": SplitFacts(
            rows=100, positives=60, users=32, items=28, cold_users=1, cold_items=1, cold_user_rows=3, cold_item_rows=1, users_to_rank=28
        ),
    },
    activity=[(8, 10), (16, 30)],
    popularity=[(1, 5), (16, 20), (32, 5)],
    long_tail=[(0.0, 0.0), (0.1, 0.4), (1.0, 1.0)],
    first=1_600_000_000,
    last=1_620_000_000,
    time="s",
    timeline=[(1_600_000_000, "train", 800), (1_610_000_000, "valid", 100), (1_620_000_000, "test", 100)],
    label_over_time=[(1_600_000_000, 800, 0.6), (1_610_000_000, 100, 0.55), (1_620_000_000, 100, 0.6)],
    features=[
        FeatureFacts(name="genres", side="item", kind="multi", rows=30, missing=0.1, distinct=4, top=[("Drama", 9)], unknown={"test": 0.2}),
        FeatureFacts(name="age", side="user", kind="dense", rows=40, missing=0.0, mean=33, std=10, low=18, high=70, histogram=[(18, 40)]),
    ],
    findings=[
        Finding(level="info", text=f"Titles such as {HOSTILE} are shown as they are."),
        Finding(level="warn", text="2 pairs of user and item occur more than once."),
    ],
)

ASIDE = pd.DataFrame({"row": [3, 9], "reason": ["no user id", "an exact copy of another row"], "raw": ["=cmd()," + HOSTILE, None]})


def dataset(id: str = DATASET, schema: FeatureSchema = SCHEMA, **changes: Any) -> Dataset:
    """A prepared dataset that is only a manifest."""
    name = id.rsplit("-", 1)[0]
    return Dataset(id, name, Path("/nowhere") / id, MANIFEST | {"id": id, "name": name} | changes, schema)


def advertising() -> Dataset:
    """A dataset whose rows name no user and no item."""
    counts = {
        "rows_read": 1000,
        "interactions": {"train": 800, "valid": 100, "test": 100},
        "positives": {"train": 200, "valid": 25, "test": 25},
    }
    label = {"kind": "given", "output": "binary", "threshold": 1.0}
    return dataset("clicks-0123456789ab", ROWS_ONLY, counts=counts, label=label, split={"kind": "random"})


def run(run_id: str, model: str | None = "two_tower", state: RunState = RunState.FINISHED, **changes: Any) -> Run:
    """A training run; a preparation when `model` is None."""
    done = state not in (RunState.QUEUED, RunState.PREPARING, RunState.RUNNING, RunState.CANCELLING)
    spec: Any
    if model:
        spec = engine.specs.RunSpec(dataset=DATASET, model=engine.specs.MODELS[model]())
    else:
        spec = engine.datasets.DatasetSpec(name="films", source=engine.sources.SOURCES["sample"]())
    finished = state == RunState.FINISHED and model is not None
    ndcg, auc = (0.229, 0.656) if model == "two_tower" else (0.06, 0.788)
    values: dict[str, Any] = {
        "run_id": run_id,
        "kind": "train" if model else "prepare",
        "title": spec.title if model else "Prepare films",
        "state": state,
        "dataset": DATASET if model or finished else None,
        "dataset_name": "films",
        "model": model,
        "spec": spec.model_dump(mode="json"),
        "submitted_at": NOW - timedelta(minutes=5),
        "started_at": None if state == RunState.QUEUED else NOW - timedelta(minutes=4),
        "ended_at": NOW - timedelta(minutes=3) if done else None,
        "message": None,
        "progress": Progress(phase="training", step=42, total=100, epoch=3, epochs=10, rows_per_s=12_345.0, eta_s=61.0)
        if state == RunState.RUNNING
        else None,
        "metrics": {"ndcg_at_10": ndcg, "auc": auc} if finished else {},
        "resources": {"training_s": 12.5, "rows_per_s": 50_000.0, "parameters": 98_304.0, "users": 28} if finished else {},
    }
    return Run(**(values | changes))
