"""What a finished run leaves in its folder, done.json excepted: of networks rank 0 writes it. Imports no torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workers.artifacts import BASELINES, ITEM_EMBEDDINGS, OUTPUTS, PER_USER, PLAN, PREDICTIONS, RESULTS, SCORED, TOP_K, write_json
from workers.evaluation import DEFAULT, catalogue, list_alarms, predictions, write_ranked
from workers.run import RunSpec
from workers.specs import Task

if TYPE_CHECKING:
    from workers.evaluation import NetworkEvaluation, Scored

SHOWN_ROWS = 500  # test rows kept as they were foretold, for people to look at
SCORED_ROWS = 2_000_000  # test rows kept with their scores, at most: 20 MB or so


def write_results(run: Path, dataset: Path, spec: RunSpec, task: Task, judged: "NetworkEvaluation", plan: dict[str, Any]) -> None:
    """Plan, per-user metrics, top lists, scored rows, embeddings of a retriever's items, and what was foretold of some test rows."""
    folder = run / RESULTS
    folder.mkdir(exist_ok=True)
    write_json(folder / PLAN, plan)
    write_ranked(judged.ranked, folder / PER_USER, folder / TOP_K)
    rows = judged.scored
    scored_rows(rows.users, rows.items, rows.labels, rows.known, judged.preference).to_parquet(folder / SCORED, index=False)
    if spec.model.stage == "retrieval":
        items = catalogue(dataset)[["row", "item_id"]]
        items.assign(embedding=list(judged.item_states.numpy())).to_parquet(folder / ITEM_EMBEDDINGS, index=False)
    if judged.tables:
        write_json(folder / OUTPUTS, judged.tables)
        _some_rows(task, judged.scored).to_parquet(folder / PREDICTIONS, index=False)


def scored_rows(
    users: np.ndarray, items: np.ndarray, labels: np.ndarray, known: np.ndarray, scores: np.ndarray, most: int = SCORED_ROWS
) -> pd.DataFrame:
    """Test rows with the score that ranks: user, item (rows of the vocabularies, int32), label, known, score (float32).

    Sorted by user, item and label, rows alike in them in the order of the dataset, so that two runs' rows stand beside each other.
    Of more than `most` rows the same ones are kept of every run: those whose user and item, and place among the rows of both, hash
    lowest.

    Args:
        users, items, labels, known, scores: [B], in the order of the dataset.
    """
    order = np.lexsort((labels, items, users))
    if len(order) > most:
        pairs = (users[order].astype(np.uint64) << np.uint64(32)) | items[order].astype(np.uint64)
        first = np.r_[True, pairs[1:] != pairs[:-1]]
        place = np.arange(len(pairs)) - np.flatnonzero(first)[np.cumsum(first) - 1]
        order = order[np.sort(np.argsort(_hash(_hash(pairs) + place.astype(np.uint64)), kind="stable")[:most])]
    columns = {"user": users.astype(np.int32), "item": items.astype(np.int32), "label": labels.astype(np.float32), "known": known}
    return pd.DataFrame({name: column[order] for name, column in (columns | {"score": scores.astype(np.float32)}).items()})


def _hash(keys: np.ndarray) -> np.ndarray:
    """uint64 -> uint64, evenly spread: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _some_rows(task: Task, scored: "Scored") -> pd.DataFrame:
    """A fixed random part of the test rows: user and item (rows of the vocabularies), label, target, predicted (a list of O numbers)."""
    some = np.sort(np.random.default_rng(0).permutation(len(scored.labels))[:SHOWN_ROWS])
    told = predictions(task, scored.logits[some].astype(np.float64))
    rows = {"user": scored.users[some], "item": scored.items[some], "label": scored.labels[some]}
    return pd.DataFrame(rows).assign(target=list(scored.targets[some].tolist()), predicted=list(told.tolist()))


def alarms_of(dataset: Path, spec: RunSpec, judged: "NetworkEvaluation", losses: list[float]) -> list[str]:
    """Signs that the model is degenerate, a sentence each."""
    path = dataset / BASELINES / "popularity.json"
    alike = path.is_file() and spec.protocol.measures_like(DEFAULT)  # which baselines are measured under
    popularity = json.loads(path.read_text()).get("ndcg_at_10") if alike else None
    states = judged.item_states.numpy() if spec.model.stage == "retrieval" else np.zeros((0, 0))
    return list_alarms(
        logits=judged.preference if judged.tables.get("output") != "regression" else np.zeros(0),  # values may all be positive
        ranked=judged.ranked,
        item_states=states[:, :-1],  # the last is the bias
        losses=losses,
        popularity=popularity,
    )
