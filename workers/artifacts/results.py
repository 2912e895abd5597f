"""What a prepared dataset and a run leave behind, named once for writer and reader. Imports no torch."""

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

# A prepared dataset
MANIFEST, ITEMS, USERS, BASELINES = "manifest.json", "items.parquet", "users.parquet", "baselines"
TRAIN, VALID, TEST = "train", "valid", "test"
ORACLE, SETS, RANKING = "oracle.parquet", "sets", "ranking"  # true logits of made data; rated sets of items; users to rank for
FEATURE = "feature."  # prefix of encoded columns in items.parquet, users.parquet and ranking/*.parquet

# A run folder
SPEC, JOURNAL, PROGRESS, DONE, LOG, CANCEL = "spec.json", "journal.jsonl", "progress.json", "done.json", "run.log", "cancel"
CHECKPOINT, RESULTS = "checkpoint", "results"
PER_USER, TOP_K, ITEM_EMBEDDINGS, PLAN = "per_user.parquet", "top_k.parquet", "item_embeddings.parquet", "plan.json"
OUTPUTS, PREDICTIONS = "outputs.json", "predictions.parquet"  # tables behind the pictures of outputs; some test rows as foretold
FUNNEL = "funnel.json"  # of a funnel: what is reached and lost with how many candidates
SCORED = "scored.parquet"  # test rows with the score that ranks, sorted, so that two runs' files stand row by row beside each other
TUNING = "tuning.json"  # of a fitted model: every setting that was tried, and how it did on validation


class Metric(BaseModel):
    """How a metric is named, read and judged."""

    model_config = ConfigDict(frozen=True)

    key: str
    label: str
    better: Literal["higher", "lower", "one"]
    family: Literal["ranking", "lists", "pointwise", "value", "classes", "actions", "sets"]
    description: str
    per_user: bool = True
    crowned: bool = True  # whether the best value makes a winner: random lists are the most novel


RANKING_NAMES = ("ndcg", "recall", "precision", "map", "hit_rate")  # metrics of the family "ranking" that have a cutoff
LIST_NAMES = ("coverage", "novelty", "diversity", "popularity", "gini")  # those of the family "lists"
_AT_K = {
    "ndcg": ("NDCG", "Like recall, but a hit counts more the higher it stands in the top {k}; 1 is a perfect order."),
    "recall": ("Recall", "Share of a user's held-out liked items found in the top {k}, averaged over users."),
    "precision": ("Precision", "Share of the top {k} that the user went on to like, averaged over users."),
    "map": ("MAP", "Precision at each hit in the top {k}, over as many hits as there could be, averaged over users."),
    "hit_rate": ("Hit rate", "Share of users who went on to like at least one item of their top {k}."),
    "coverage": ("Coverage", "Share of the catalogue that stands in at least one user's top {k}."),
    "novelty": (
        "Novelty",
        "Bits of surprise of an item in the top {k}: 0 if all users liked it in train, 1 more whenever half as many did.",
    ),
    "diversity": ("Diversity", "How far the genres of two items of one top {k} differ: 0 they have the same ones, 1 they share none."),
    "popularity": ("Popularity", "Share of the catalogue that was liked less often than an item in the top {k}; 0.5 is drawing at random."),
    "gini": ("Gini", "How unevenly the catalogue is shown over the top {k} of all users: 0 all items equally, 1 one item alone."),
}
_LOWER = ("popularity", "gini")
_TOGETHER = ("coverage", "gini")  # of the lists of all users, not of each


def cutoff(key: str) -> tuple[str, int] | None:
    """The name and the k of a key such as ndcg_at_10; None where it is none of a metric that has a cutoff."""
    name, _, k = key.rpartition("_at_")
    return (name, int(k)) if name in _AT_K and k.isascii() and k.isdecimal() and int(k) > 0 else None


def metric(key: str) -> Metric:
    """The metric of a key: one of METRICS, or any that has a cutoff, at any k; LookupError where there is none."""
    if key in METRICS:
        return METRICS[key]
    if found := cutoff(key):
        return _at(*found)
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
    )


_KNOWN = " Over the test interactions whose user and item stand in train."


def _judging(
    key: str,
    label: str,
    better: Literal["higher", "lower", "one"],
    text: str,
    family: Literal["pointwise", "value", "classes", "actions"] = "pointwise",
) -> Metric:
    return Metric(key=key, label=label, better=better, family=family, description=text + _KNOWN, per_user=False, crowned=better != "one")


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
            family="pointwise",
            per_user=False,
            description="Chance that a liked test interaction is scored above a disliked one; 0.5 is a coin toss. "
            "Over the interactions whose user and item stand in train.",
        ),
        _judging(
            "user_auc", "AUC per user", "higher", "AUC among each user's own rows, averaged by rows over users with both labels (GAUC)."
        ),
        Metric(
            key="auc_all",
            label="AUC, cold too",
            better="higher",
            family="pointwise",
            per_user=False,
            description="AUC over every test interaction, those of users and items that train never met included.",
        ),
        _judging("log_loss", "Log loss", "lower", "Mean negative log likelihood of the labels, for models that predict a probability."),
        _judging(
            "ne",
            "Normalised entropy",
            "lower",
            "Log loss over that of always predicting the share of liked rows: below 1 the model knows more (He et al., 2014).",
        ),
        _judging("calibration", "Calibration", "one", "Mean predicted probability over the share of liked rows; 1 is right on average."),
        _judging(
            "ece", "ECE", "lower", "Expected calibration error: how far predicted probabilities are from what was observed, over 15 bins."
        ),
        _judging("rmse", "RMSE", "lower", "Root of the mean squared error of the predicted value, in its own unit.", "value"),
        _judging("mae", "MAE", "lower", "Mean absolute error of the predicted value, in its own unit.", "value"),
        _judging("accuracy", "Accuracy", "higher", "Share of rows whose class is the one predicted as likeliest.", "classes"),
        _judging(
            "macro_f1", "Macro F1", "higher", "F1 of each class, averaged over classes: rare ones count like frequent ones.", "classes"
        ),
        _judging("class_log_loss", "Class log loss", "lower", "Mean negative log likelihood of the class.", "classes"),
        _judging("action_auc", "Mean action AUC", "higher", "AUC of each action, averaged over actions.", "actions"),
        _judging("action_log_loss", "Mean action log loss", "lower", "Log loss of each action, averaged over actions.", "actions"),
        Metric(
            key="set_rmse",
            label="Set RMSE",
            better="lower",
            family="sets",
            per_user=False,
            description="How far, in stars, the mean of the items' scores is from the rating of a held-out set of items; scores are first "
            "put on the rating scale by a line fitted to the sets of train and valid.",
        ),
        Metric(
            key="set_spearman",
            label="Set Spearman",
            better="higher",
            family="sets",
            per_user=False,
            description="Rank correlation between the mean of the items' scores and the ratings of held-out sets of items; 0 is chance.",
        ),
    )
}


def write_json(path: Path, value: Any) -> None:
    """Write whole or not at all: a side file, flushed to disk, then one rename."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, default=str, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
