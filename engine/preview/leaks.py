"""Features that alone tell the label, a sign that their value is only known after it. Of train rows, with pandas, in preview and
preparing alike."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from engine.datasets import FeatureFacts
from workers.evaluation import area
from workers.prepare import SourceFeature

LEAK_ROWS = 50_000  # train rows that are looked at, at most
LEAST_ROWS, LEAST_EACH = 200, 10  # rows, and rows of each label, below which nothing is said
KEYS = ("user_id", "item_id", "timestamp")


def train_rows(rows: pd.DataFrame, features: Sequence[SourceFeature], tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows that `with_label_auc` takes: label, what tells rows apart, and every feature, also of the source's tables.

    Args:
        rows: train rows with `label`. tables: "user" and "item": the source's tables.
    """
    some = rows[[name for name in ("label", *KEYS, *(f.name for f in features)) if name in rows]]
    if len(some) > LEAK_ROWS:
        some = some[np.argsort(_chance(some), kind="stable").argsort(kind="stable") < LEAK_ROWS]
    missing = [f for f in features if f.name not in rows]
    values = {f.name: tables[f.side].drop_duplicates(f"{f.side}_id").set_index(f"{f.side}_id")[f.name] for f in missing}
    return some.assign(**{f.name: some[f"{f.side}_id"].map(values[f.name]) for f in missing})


def with_label_auc(facts: Sequence[FeatureFacts], rows: pd.DataFrame) -> list[FeatureFacts]:
    """The facts, with how well the value of each feature alone tells the label of train rows, and how well its presence does."""
    if not _enough(label := rows["label"].to_numpy(float)):
        return list(facts)
    half = _chance(rows) >> np.uint64(32) & np.uint64(1) == 0
    updated = []
    for one in facts:
        known = rows[one.name].notna().to_numpy()
        measure = _dense_auc if one.kind == "dense" else _category_auc
        aucs = {"auc": measure(rows[one.name][known], label[known], half[known], one.kind == "multi"), "presence_auc": None}
        if not known.all() and known.any():
            aucs["presence_auc"] = _area(known.astype(float), label)
        updated.append(one.model_copy(update=aucs))
    return updated


def _enough(label: np.ndarray) -> bool:
    liked = int((label > 0).sum())
    return len(label) >= LEAST_ROWS and LEAST_EACH <= liked <= len(label) - LEAST_EACH


def _area(score: np.ndarray, label: np.ndarray) -> float:
    """AUC of a score in its better direction."""
    reached = area(score, label, np.arange(len(label))).value
    return max(reached, 1 - reached)


def _dense_auc(values: pd.Series, label: np.ndarray, *_: object) -> float | None:
    number = pd.to_numeric(values, errors="coerce").to_numpy(float)
    finite = np.isfinite(number)
    return _area(number[finite], label[finite]) if _enough(label[finite]) else None


def _category_auc(values: pd.Series, label: np.ndarray, half: np.ndarray, bags: bool) -> float | None:
    """AUC, on one half of the rows, of the share of liked rows that the value has in the other half; of a bag, their mean."""
    if not (_enough(label) and _enough(np.repeat(label[half], 2)) and _enough(np.repeat(label[~half], 2))):
        return None
    texts: pd.Series = values.astype(str).reset_index(drop=True)
    if bags:
        texts = pd.Series(texts.str.split("|")).explode()
    place, prior = texts.index.to_numpy(), float(label[half].mean())
    learnt = half[place]
    counts = pd.Series(label[place][learnt]).groupby(texts.to_numpy()[learnt]).agg(["sum", "size"])
    rate = texts.map((counts["sum"] + prior) / (counts["size"] + 1)).fillna(prior).astype(float)  # rare values near the mean
    score = rate.groupby(level=0).mean().to_numpy()
    return _area(score[~half], label[~half])


def _chance(rows: pd.DataFrame) -> np.ndarray:
    """A hash of what tells rows apart, uint64: the same in any order of the rows."""
    names = [name for name in KEYS if name in rows]
    names = names if {"user_id", "item_id"} & set(names) else [name for name in rows.columns if name != "label"]
    plain = {name: rows[name].astype(object).where(rows[name].notna(), "").astype(str) for name in names}
    return pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()
