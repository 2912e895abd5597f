"""Baselines that need no training, under the protocol."""

from pathlib import Path

import numpy as np
import pandas as pd

from workers.artifacts import BASELINES, ITEMS, ORACLE, RANKING, RATED_SETS, TEST, TOP_K, write_json
from workers.batches import blocks_of, known_to_train
from workers.evaluation.evaluate import catalogue, count_users, describe, pointwise, summarise, users_to_rank, write_ranked
from workers.evaluation.lists import facts_of
from workers.evaluation.rated_sets import evaluate_sets, has_sets, rated_sets
from workers.specs import ITEM_ID, TIE_SEED, USER_ID


def write_baselines(dataset: Path) -> None:
    """Measure baselines that need no training on test, under the protocol, and write them to the dataset's `baselines/` folder.

    popularity: scores an item by how often it was liked in train. random: random scores; the only one where nothing can be ranked. Neither
    is a probability, so they have no log loss. oracle: the true logit of generated data, which no model can beat; its rows are those of
    `oracle.parquet` (logit, label and, where it has one, `known`). user_mean: where sets of items were rated, the mean rating of the
    user's sets in train.
    """
    folder = dataset / BASELINES
    folder.mkdir(exist_ok=True)
    if (dataset / ORACLE).exists():
        generated = pd.read_parquet(dataset / ORACLE)
        known = generated["known"].to_numpy(bool) if "known" in generated else np.ones(len(generated), bool)
        write_json(folder / "oracle.json", pointwise(generated["logit"].to_numpy(), generated["label"].to_numpy(), known, probability=True))
    if has_sets(dataset):
        sets, left_out = rated_sets(dataset, TEST)
        means = sets["user_mean"].to_numpy(np.float64)
        rated = evaluate_sets(sets, means, means, left_out)
        write_json(folder / "user_mean.json", rated.metrics)
        rated.sets.to_parquet(folder / f"user_mean_{RATED_SETS}", index=False)
    if (dataset / ITEMS).exists() and (dataset / RANKING).exists():
        _write_ranking_baselines(dataset, folder)
    else:
        _, _, labels, known = _test_rows(dataset)
        chance = np.random.default_rng(TIE_SEED).random(len(labels))
        write_json(folder / "random.json", pointwise(chance, labels, known, probability=False))


def _write_ranking_baselines(dataset: Path, folder: Path) -> None:
    from workers.evaluation.ranking import Scorer, rank_users  # imports torch, which data without items does without

    items, users = catalogue(dataset), users_to_rank(dataset, TEST)
    liked, facts = items["train_positives"].to_numpy(np.float32), facts_of(items, count_users(dataset))
    rng = np.random.default_rng(TIE_SEED)
    scorers: dict[str, Scorer] = {
        "popularity": lambda places: np.broadcast_to(liked, (len(places), len(liked))),
        "random": lambda places: rng.random((len(places), len(liked)), np.float32),
    }
    by_row = np.concatenate([[0.0], liked])
    who, rows, labels, known = _test_rows(dataset)
    for name, score in scorers.items():
        ranked = describe(rank_users(users, len(items), score), facts)
        scored = by_row[rows] if name == "popularity" else rng.random(len(rows))
        values = summarise(ranked, len(items)) | pointwise(scored, labels, known, probability=False, users=who)
        write_json(folder / f"{name}.json", values)
        write_ranked(ranked, folder / f"{name}_per_user.parquet", folder / f"{name}_{TOP_K}")


def _test_rows(dataset: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """User and item row (0 without any), label, and whether train has both, of each test row; block by block."""
    none = np.zeros(0, np.int32)
    parts = [(none, none, np.zeros(0, np.float32), np.zeros(0, bool))]
    for block in blocks_of(dataset, TEST):
        rows = len(block["label"])
        user, item = (block.get(key, np.zeros(rows, np.int32)) for key in (USER_ID, ITEM_ID))
        parts.append((user, item, block["label"], known_to_train(block, rows)))
    users, items, labels, known = (np.concatenate(column) for column in zip(*parts, strict=True))
    return users, items, labels, known
