"""The one protocol, the same for every contender.

Pointwise: every interaction of a split once. Ranking: the full catalogue (items of train), for one fixed sample of users,
without the items that the user met in train, equal scores in one fixed random order. Letters: U users, N items.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workers import metrics
from workers.blocks import import_streaming
from workers.results import BASELINES, ITEMS, METRICS, TEST, write_json
from workers.specs import ITEM_ID, USER_ID

LIST_LENGTH = 100
TIE_SEED = 20_240_229
CHUNK = 64  # users scored at a time: bounds memory at CHUNK x N

Scorer = Callable[[np.ndarray], np.ndarray]  # positions of users in the sample [u] -> scores [u, N], item rows 1..N


def catalogue(dataset: Path) -> pd.DataFrame:
    """items.parquet without the items that train never met; row r stands at position r - 1."""
    items = pd.read_parquet(dataset / ITEMS)
    return items[items["row"] > 0].sort_values("row").reset_index(drop=True)


def users_to_rank(dataset: Path, split: str, limit: int | None = None) -> pd.DataFrame:
    """The fixed sample of users of a split, the first `limit` of it."""
    users = pd.read_parquet(dataset / "ranking" / f"{split}.parquet")
    return users.head(limit) if limit else users


def rank_users(users: pd.DataFrame, num_items: int, score: Scorer) -> pd.DataFrame:
    """Rank the catalogue for each user of a sample and measure the lists.

    Args:
        users: U rows with `user_id`, and `seen` and `relevant`, lists of item rows in 1..num_items.
        num_items: N.
        score: gives the scores of some users, by position in the sample.

    Returns:
        U rows: user_id, relevant (count), one column a per-user ranking metric, `items` and `scores` (top lists, item rows).
    """
    ties = metrics.tie_order(num_items, TIE_SEED)
    parts = [
        _rank_chunk(users.iloc[start : start + CHUNK], score(np.arange(start, min(start + CHUNK, len(users)))), ties)
        for start in range(0, len(users), CHUNK)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"user_id": [], "relevant": [], "items": [], "scores": []})


def _rank_chunk(users: pd.DataFrame, scores: np.ndarray, ties: np.ndarray) -> pd.DataFrame:
    scores = np.array(scores, np.float32)
    relevant = np.zeros(scores.shape, bool)
    for place, (seen, liked) in enumerate(zip(users["seen"], users["relevant"], strict=True)):
        scores[place, np.asarray(seen, int) - 1] = -np.inf
        relevant[place, np.asarray(liked, int) - 1] = True
    keys = metrics.sort_keys(scores, ties)
    top = metrics.top_items(keys, LIST_LENGTH)
    top_scores = np.take_along_axis(scores, top, axis=1)
    real = np.isfinite(top_scores)
    hits = np.take_along_axis(relevant, top, axis=1) & real
    counts = relevant.sum(axis=1)
    columns: dict[str, Any] = {"user_id": users["user_id"].to_numpy(), "relevant": counts}
    for metric in METRICS.values():
        name, _, k = metric.key.partition("_at_")
        if metric.family == "ranking" and metric.per_user and k:
            columns[metric.key] = {"recall": metrics.recall_at_k, "ndcg": metrics.ndcg_at_k}[name](hits, counts, int(k))
    columns["mrr"] = metrics.reciprocal_rank(metrics.first_hit_rank(keys, relevant))
    columns["items"] = [(row[ok] + 1).astype(np.int32) for row, ok in zip(top, real, strict=True)]
    columns["scores"] = [row[ok] for row, ok in zip(top_scores, real, strict=True)]
    return pd.DataFrame(columns)


def summarise(ranked: pd.DataFrame, num_items: int) -> dict[str, float]:
    """Means over users of the per-user metrics, and the coverage; empty without users."""
    if ranked.empty:
        return {}
    found = {m.key: float(ranked[m.key].mean()) for m in METRICS.values() if m.key in ranked}
    top = np.concatenate([items[:10] for items in ranked["items"]])
    return found | {"coverage_at_10": metrics.coverage(top, num_items)}


def pointwise(logits: np.ndarray, labels: np.ndarray, known: np.ndarray, *, probability: bool) -> dict[str, float]:
    """AUC over the interactions whose user and item train met, and over all of them; where the scores are logits of a
    probability, the log loss too. Each with its standard error as `<key>_se`; what one class or no row leaves undefined is absent.

    Args:
        logits, labels: [B]. known: [B] bool, train met both the user and the item.
    """
    logits, labels = logits.astype(np.float64), labels.astype(np.float64)
    found = dict(zip(("auc", "auc_se"), metrics.auc(logits[known], labels[known]), strict=True))
    found |= dict(zip(("auc_all", "auc_all_se"), metrics.auc(logits, labels), strict=True))
    if probability:
        found |= dict(zip(("log_loss", "log_loss_se"), metrics.log_loss(logits[known], labels[known]), strict=True))
    return {name: value for name, value in found.items() if np.isfinite(value)}


def write_baselines(dataset: Path) -> None:
    """Popularity and random under the protocol, on test, into the dataset's `baselines/` folder.

    Popularity scores an item by how often it was liked in train; both give nothing for log loss, being no probabilities.
    """
    folder = dataset / BASELINES
    folder.mkdir(exist_ok=True)
    items, users = catalogue(dataset), users_to_rank(dataset, TEST)
    liked = items["train_positives"].to_numpy(np.float32)
    rng = np.random.default_rng(TIE_SEED)
    scorers: dict[str, Scorer] = {
        "popularity": lambda places: np.broadcast_to(liked, (len(places), len(liked))),
        "random": lambda places: rng.random((len(places), len(liked)), np.float32),
    }
    by_row = np.concatenate([[0.0], liked])
    rows, labels, known = _test_rows(dataset)
    for name, score in scorers.items():
        ranked = rank_users(users, len(items), score)
        scored = by_row[rows] if name == "popularity" else rng.random(len(rows))
        found = summarise(ranked, len(items)) | pointwise(scored, labels, known, probability=False)
        write_json(folder / f"{name}.json", found)
        ranked.drop(columns=["items", "scores"]).to_parquet(folder / f"{name}_per_user.parquet", index=False)


def _test_rows(dataset: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Item row, label, and whether train met user and item, of each test interaction; from the MDS blocks one at a time."""
    import_streaming()
    from streaming.base.local import LocalDataset

    blocks = LocalDataset(str(dataset / TEST))
    parts = [(block[ITEM_ID], block["label"], block[USER_ID] > 0) for block in (blocks[k] for k in range(len(blocks)))]
    if not parts:
        return np.zeros(0, int), np.zeros(0), np.zeros(0, bool)
    items, labels, users = (np.concatenate(column) for column in zip(*parts, strict=True))
    return items, labels, users & (items > 0)
