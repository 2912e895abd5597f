"""What rank 0 leaves of a finished run in its folder, done.json excepted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workers.alarms import alarms
from workers.evaluate import catalogue
from workers.outputs import predictions
from workers.results import BASELINES, ITEM_EMBEDDINGS, OUTPUTS, PER_USER, PLAN, PREDICTIONS, RESULTS, TOP_K, write_json
from workers.scoring import Judged, Scored
from workers.specs import NetworkSpec, RunSpec, Task

SHOWN_ROWS = 500  # test rows kept as they were foretold, for people to look at


def results(run: Path, dataset: Path, spec: RunSpec, task: Task, judged: Judged, plan: dict[str, Any]) -> None:
    """Plan, per-user metrics, top lists, embeddings of a retriever's items, and what was foretold of some test rows."""
    folder = run / RESULTS
    folder.mkdir(exist_ok=True)
    write_json(folder / PLAN, plan)
    judged.ranked.drop(columns=["items", "scores"], errors="ignore").to_parquet(folder / PER_USER, index=False)
    if len(judged.ranked):
        judged.ranked[["user_id", "items", "scores"]].to_parquet(folder / TOP_K, index=False)
    if spec.model.stage == "retrieval":
        items = catalogue(dataset)[["row", "item_id"]]
        items.assign(embedding=list(judged.item_states.numpy())).to_parquet(folder / ITEM_EMBEDDINGS, index=False)
    if judged.tables:
        write_json(folder / OUTPUTS, judged.tables)
        _some_rows(task, judged.scored).to_parquet(folder / PREDICTIONS, index=False)


def _some_rows(task: Task, scored: Scored) -> pd.DataFrame:
    """A fixed random part of the test rows: user and item (rows of the vocabularies), label, target, predicted (a list of O numbers)."""
    some = np.sort(np.random.default_rng(0).permutation(len(scored.labels))[:SHOWN_ROWS])
    told = predictions(task, scored.logits[some].astype(np.float64))
    rows = {"user": scored.users[some], "item": scored.items[some], "label": scored.labels[some]}
    return pd.DataFrame(rows).assign(target=list(scored.targets[some].tolist()), predicted=list(told.tolist()))


def alarms_of(dataset: Path, network: NetworkSpec, judged: Judged, losses: list[float]) -> list[str]:
    """Signs that the model is degenerate, a sentence each."""
    path = dataset / BASELINES / "popularity.json"
    popularity = json.loads(path.read_text()).get("ndcg_at_10") if path.is_file() else None
    states = judged.item_states.numpy() if network.stage == "retrieval" else np.zeros((0, 0))
    return alarms(
        logits=judged.preference if judged.tables.get("output") != "regression" else np.zeros(0),  # values may all be positive
        ranked=judged.ranked,
        item_states=states[:, :-1],  # the last is the bias
        losses=losses,
        popularity=popularity,
    )
