"""Names of the files of a prepared dataset and of a run, and all metrics; shared by writers and readers. Imports no torch."""

import json
import math
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

# A prepared dataset
MANIFEST, ITEMS, USERS, BASELINES = "manifest.json", "items.parquet", "users.parquet", "baselines"
TRAIN, VALID, TEST = "train", "valid", "test"
VOCABULARY = "vocabulary"  # a table of the values of each vocabulary, with their rows
SEQUENCES = "sequences"  # blocks of each user's liked items of train, in order of time
VALID_SEQUENCES = "sequences_valid"  # as SEQUENCES, of validation, by users of train: what is known of them before test, besides
ORACLE, SETS, RANKING = "oracle.parquet", "sets", "ranking"  # true logits of generated data; rated sets of items; users to rank for
NEXT, LAST = "next", "last"  # columns of users to rank for: of their relevant items the one liked first, and the one liked last
FEATURE = "feature."  # prefix of encoded columns in items.parquet, users.parquet and ranking/*.parquet

# A run folder
OUTPUT = "output.log"  # what the processes of a run print
SPEC, JOURNAL, PROGRESS, DONE, LOG, CANCEL = "spec.json", "journal.jsonl", "progress.json", "done.json", "run.log", "cancel"
CHECKPOINT, RESULTS = "checkpoint", "results"
BEST, INDEX = "best.json", "checkpoint.json"  # of a checkpoint folder: which is the best; of one checkpoint: its files, its facts
STOPPED = "stopped.json"  # written by ranks that stopped after a checkpoint because `cancel` holds KEEP: attempt and step
KEEP = "keep"
PER_USER, TOP_K, ITEM_EMBEDDINGS, PLAN = "per_user.parquet", "top_k.parquet", "item_embeddings.parquet", "plan.json"
OUTPUTS, PREDICTIONS = "outputs.json", "predictions.parquet"  # tables behind the figures of outputs; predictions for some test rows
FUNNEL = "funnel.json"  # of a funnel: hits and losses for each number of candidates
SCORED = "scored.parquet"  # test rows with the score that ranks, sorted, so that two runs have the same rows in the same order
RATED_SETS = "rated_sets.parquet"  # test ratings of sets, with the score and the rating that were predicted; in the order of the dataset
IMPORTANCE = "importance.json"  # of trees: the share of each feature in the gain of all splits
TUNING = "tuning.json"  # of a fitted model: every setting that was tried, with its validation metrics


class Metric(BaseModel):
    """The name, direction and description of a metric."""

    model_config = ConfigDict(frozen=True)

    key: str
    label: str
    better: Literal["higher", "lower", "one"]
    family: Literal["ranking", "lists", "pointwise", "value", "classes", "actions", "sets"]
    description: str
    per_user: bool = True
    crowned: bool = True  # whether the best value wins a comparison: random lists are the most novel
    chance: float = 0.0  # the value of guessing, from which shares of a value are taken
    bounds: tuple[float, float] = (0.0, 1.0)  # the least and the greatest value


RANKING_NAMES = ("ndcg", "recall", "precision", "map", "hit_rate")  # metrics of the family "ranking" that have a cutoff
LIST_NAMES = ("coverage", "novelty", "diversity", "popularity", "gini")  # those of the family "lists"
_AT_K = {
    "ndcg": ("NDCG", "Like recall, but hits near the top of the {k} items count more; 1 is a perfect order."),
    "recall": ("Recall", "Share of a user's held-out liked items that are in the top {k}, averaged over users."),
    "precision": ("Precision", "Share of the top {k} that the user went on to like, averaged over users."),
    "map": ("MAP", "Sum of the precision at each hit in the top {k}, divided by the most hits possible, averaged over users."),
    "hit_rate": ("Hit rate", "Share of users who went on to like at least one item of their top {k}."),
    "coverage": ("Coverage", "Share of the catalogue that appears in at least one user's top {k}."),
    "novelty": (
        "Novelty",
        "Self-information of the items in the top {k}, in bits: 0 if all users liked an item in train, 1 more each time half as many did.",
    ),
    "diversity": ("Diversity", "How much the genres of two items of a top {k} differ: 0 all the same, 1 none in common."),
    "popularity": (
        "Popularity",
        "Share of the catalogue that was liked less often than an item in the top {k}; 0.5 for items drawn at random.",
    ),
    "gini": ("Gini", "How unevenly items appear in the top {k} of all users: 0 all equally often, 1 a single item."),
}
_LOWER = ("popularity", "gini")
_TOGETHER = ("coverage", "gini")  # of the lists of all users together


def cutoff(key: str) -> tuple[str, int] | None:
    """The name and the k of a key such as ndcg_at_10; None for a metric without a cutoff."""
    name, _, k = key.rpartition("_at_")
    return (name, int(k)) if name in _AT_K and k.isascii() and k.isdecimal() and int(k) > 0 else None


def metric(key: str) -> Metric:
    """The metric of a key: one of METRICS, or any that has a cutoff, at any k; LookupError where there is none."""
    if key in METRICS:
        return METRICS[key]
    if parts := cutoff(key):
        return _at(*parts)
    raise LookupError(f"There is no metric {key[:80]!r}; choose one of {', '.join(METRICS)}, or one with _at_ and another number.")


def _at(name: str, k: int) -> Metric:
    label, text = _AT_K[name]
    ranks = name in RANKING_NAMES
    return Metric(
        key=f"{name}_at_{k}",
        label=f"{label}@{k}",
        better="lower" if name in _LOWER else "higher",
        family="ranking" if ranks else "lists",
        description=text.format(k=k),
        per_user=name not in _TOGETHER,
        crowned=ranks,
        bounds=(0.0, math.inf if name == "novelty" else 1.0),
    )


_KNOWN = " Over the test interactions whose user and item occur in train."


def _of_rows(
    key: str,
    label: str,
    better: Literal["higher", "lower", "one"],
    text: str,
    family: Literal["pointwise", "value", "classes", "actions"] = "pointwise",
) -> Metric:
    return Metric(
        key=key,
        label=label,
        better=better,
        family=family,
        description=text + _KNOWN,
        per_user=False,
        crowned=better != "one",
        chance=0.5 if key.endswith("auc") else 0.0,
        bounds=(0.0, 1.0 if better == "higher" or key == "ece" else math.inf),
    )


METRICS: dict[str, Metric] = {
    m.key: m
    for m in (
        _at("ndcg", 10),
        _at("ndcg", 20),
        *(_at("recall", k) for k in (10, 20, 100)),
        *(_at(name, 10) for name in ("precision", "map", "hit_rate")),
        Metric(
            key="mrr",
            label="MRR",
            better="higher",
            family="ranking",
            description="One divided by the rank of the first held-out liked item in the whole ranking, averaged over users.",
        ),
        *(_at(name, 10) for name in LIST_NAMES),
        Metric(
            key="auc",
            label="AUC",
            better="higher",
            chance=0.5,
            family="pointwise",
            per_user=False,
            description="Probability that a liked test interaction scores higher than a disliked one; 0.5 is chance. Over the interactions "
            "whose user and item occur in train.",
        ),
        _of_rows(
            "user_auc", "AUC per user", "higher", "AUC among each user's own rows, averaged by rows over users with both labels (GAUC)."
        ),
        Metric(
            key="auc_all",
            label="AUC, all rows",
            better="higher",
            chance=0.5,
            family="pointwise",
            per_user=False,
            description="AUC over every test interaction, including those of users and items that are not in train.",
        ),
        _of_rows("log_loss", "Log loss", "lower", "Mean negative log likelihood of the labels, for models that predict a probability."),
        _of_rows(
            "ne",
            "Normalised entropy",
            "lower",
            "Log loss divided by that of always predicting the share of liked rows; below 1 is better than that (He et al., 2014).",
        ),
        _of_rows(
            "calibration", "Calibration", "one", "Mean predicted probability divided by the share of liked rows; 1 is right on average."
        ),
        _of_rows(
            "ece", "ECE", "lower", "Expected calibration error: mean distance between predicted and observed probabilities, over 15 bins."
        ),
        _of_rows("rmse", "RMSE", "lower", "Root of the mean squared error of the predicted value, in its own unit.", "value"),
        _of_rows("mae", "MAE", "lower", "Mean absolute error of the predicted value, in its own unit.", "value"),
        _of_rows(
            "accuracy", "Accuracy", "higher", "Share of rows whose class is the one with the highest predicted probability.", "classes"
        ),
        _of_rows(
            "macro_f1",
            "Macro F1",
            "higher",
            "F1 of each class, averaged over classes, so that rare classes count as much as frequent ones.",
            "classes",
        ),
        _of_rows("class_log_loss", "Class log loss", "lower", "Mean negative log likelihood of the class.", "classes"),
        _of_rows("action_auc", "Mean action AUC", "higher", "AUC of each action, averaged over actions.", "actions"),
        _of_rows("action_log_loss", "Mean action log loss", "lower", "Log loss of each action, averaged over actions.", "actions"),
        Metric(
            key="set_rmse",
            label="Set RMSE",
            better="lower",
            bounds=(0.0, math.inf),
            family="sets",
            per_user=False,
            description="Root mean squared error, in stars, of predicting the rating of a held-out set of items by the mean of its items' "
            "scores; a line fitted to the sets of train and valid maps scores to ratings.",
        ),
        Metric(
            key="set_spearman",
            label="Set Spearman",
            better="higher",
            bounds=(-1.0, 1.0),
            family="sets",
            per_user=False,
            description="Rank correlation between the mean of the items' scores and the ratings of held-out sets of items; 0 is chance.",
        ),
    )
}


def write_json(path: Path, value: object) -> None:
    """Write a JSON file completely or not at all: a side file, flushed to disk, then one rename."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, default=str, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
