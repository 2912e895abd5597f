"""Synthetic clicks with dense and sparse features and known click probabilities, so that the best possible AUC is known too.

The columns are those of the click logs that DLRM was designed for (Naumov et al., arXiv 1906.00091, 2019): 13 numbers and 26
categories with long tails, with a user and an item. A click has the probability sigmoid(logit); the logit is the sum of a dot product
of hidden vectors of user and item, effects of the numbers and categories, and interactions of a few pairs of categories.
All properties of an id come from a hash of it, so that no table of users or items is stored.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from engine.sources.base import FRAME_LIMIT, SourceSpec, Tables
from workers.prepare import Reading, SourceFeature

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import SparkSession

VERSION = 1  # increase it when the same spec gives other rows
CHUNK = 50_000  # rows generated at a time, each chunk from its own seed
DENSE, SPARSE, FACTORS = 13, 26, 8
FIRST_DAY, SPAN_S = 1_704_067_200, 60 * 86_400  # sixty days from 2024-01-01
ORACLE_ROWS = 200_000
CLICKED = 0.25  # share of clicks, for any signal
MISSING = np.linspace(0, 0.45, DENSE)  # share of a dense feature's values that are missing
PAIRS = ((0, 1), (2, 5), (3, 8), (4, 11))  # pairs of categories with an interaction


class SyntheticSource(SourceSpec):
    """Generated clicks from 13 dense and 26 categorical features with long tails, and planted preferences of users for items."""

    label: ClassVar[str] = "Synthetic clicks"
    description: ClassVar[str] = "Generated clicks with 13 dense and 26 categorical features; the best AUC any model could reach is known."

    kind: Literal["synthetic"] = "synthetic"
    rows: int = Field(100_000, ge=1000, le=10_000_000_000, description="Interactions, spread over sixty days")
    users: int = Field(5000, ge=20, le=1_000_000_000, description="Number of users; few of them occur often, most of them rarely")
    items: int = Field(1000, ge=20, le=100_000_000, description="Number of items; few of them occur often, most of them rarely")
    most_values: int = Field(
        100_000,
        ge=10,
        le=10_000_000,
        description="Values of the largest category (a tenth of the rows at most); rare ones cannot be learned, so with fewer models "
        "come closer to the best possible AUC",
    )
    signal: float = Field(1.5, gt=0, le=10, description="How strongly features decide a click; the best possible AUC grows with it")
    seed: int = Field(7, ge=0, lt=2**31, description="Another seed generates other data")

    def fingerprint(self) -> str:
        return hashlib.sha256(f"synthetic {VERSION} {self.model_dump_json()}".encode()).hexdigest()

    def size_hint(self) -> int:
        return self.rows

    def reading(self) -> Reading:
        return Reading(low=0, high=1)

    def features(self) -> tuple[SourceFeature, ...]:
        dense = tuple(SourceFeature(f"D{k + 1}", "context", "dense") for k in range(DENSE))
        return dense + tuple(SourceFeature(f"C{k + 1}", "context", "single") for k in range(SPARSE))

    def defaults(self) -> dict[str, Any]:
        return {"label": {"kind": "given"}, "history": 20, "log1p": [f"D{k + 1}" for k in range(DENSE)]}

    def notes(self) -> tuple[str, ...]:
        return (
            f"The best AUC that any model could reach is {oracle_auc(self):.4f}, measured with the true probabilities on "
            f"{min(self.rows, ORACLE_ROWS):,} of these rows.",
        )

    def frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        import pyarrow as pa

        chunks = range(-(-min(limit, self.rows) // CHUNK))
        return pa.Table.from_batches([make(self, chunk) for chunk in chunks]).to_pandas().head(limit)

    def load(self, spark: "SparkSession") -> Tables:
        from pyspark.sql.pandas.types import from_arrow_schema

        chunks = -(-self.rows // CHUNK)
        wanted = from_arrow_schema(make(self.model_copy(update={"rows": 1000}), 0).schema)
        return Tables(spark.range(0, chunks, 1, min(chunks, 8192)).mapInArrow(_Maker(self.model_dump()), wanted))


class _Maker:
    """Generates chunks of rows on an executor."""

    def __init__(self, spec: dict[str, object]) -> None:
        self.spec = spec

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        spec = SyntheticSource.model_validate(self.spec)
        for batch in batches:
            for chunk in batch.column(0).to_pylist():
                yield make(spec, chunk)


def make(spec: SyntheticSource, chunk: int) -> "pa.RecordBatch":
    """The rows of one chunk as raw columns; `oracle` is the true logit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rng = np.random.default_rng([spec.seed, VERSION, chunk])
    n = min(CHUNK, spec.rows - chunk * CHUNK)
    users, items, dense, there, sparse = _draw(spec, rng, n)
    logit = (true_logit(spec, users, items, dense, there, sparse) + intercept(spec)).astype(np.float32)
    clicked = rng.random(n) < 1 / (1 + np.exp(-logit))
    columns: dict[str, Any] = {
        "user_id": pc.cast(pa.array(users + 1), pa.string()),
        "item_id": pc.cast(pa.array(items + 1), pa.string()),
        "rating": clicked.astype(np.float64),
        "timestamp": FIRST_DAY + np.sort(rng.integers(0, SPAN_S, n)),
        "oracle": logit.astype(np.float64),
    }
    columns |= {f"D{k + 1}": pa.array(np.round(dense[k], 3).astype(np.float64), mask=~there[k]) for k in range(DENSE)}
    names = [_names(size) for size in cardinalities(spec)]
    columns |= {f"C{k + 1}": pa.DictionaryArray.from_arrays(pa.array(sparse[k]), names[k]).cast(pa.string()) for k in range(SPARSE)}
    return pa.RecordBatch.from_pydict(columns)


@lru_cache(maxsize=64)
def _names(size: int) -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(pa.scalar("v"), pc.cast(pa.array(np.arange(size)), pa.string()), "")


def cardinalities(spec: SyntheticSource) -> list[int]:
    """Values of each categorical feature: from a few to as many as a tenth of the rows, `most_values` at most."""
    most = max(10, min(spec.most_values, spec.rows // 10))
    return np.geomspace(3, most, SPARSE).astype(int).tolist()


def _draw(
    spec: SyntheticSource, rng: np.random.Generator, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Users [n], items [n], numbers [13, n], whether each is known [13, n], and categories, 26 of [n]."""
    users, items = _long_tail(rng, n, spec.users), _long_tail(rng, n, spec.items)
    dense = rng.lognormal(1.0, 1.2, (DENSE, n)).astype(np.float32)
    there = rng.random((DENSE, n)) >= MISSING[:, None]
    return users, items, dense, there, [_long_tail(rng, n, size) for size in cardinalities(spec)]


@lru_cache(maxsize=8)
def intercept(spec: SyntheticSource) -> float:
    """The intercept with which a quarter of the rows are clicks; to two digits, so that it is the same on every machine."""
    from scipy.optimize import brentq
    from scipy.special import expit

    logit = true_logit(spec, *_draw(spec, np.random.default_rng([spec.seed, VERSION, 1, 1]), 20_000)).astype(np.float64)
    return round(float(brentq(lambda shift: expit(logit + shift).mean() - CLICKED, -50, 50)), 2)


def _long_tail(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """int64 [n] in 0..size-1; the k-th most frequent about 1/k as often as the first (Zipf, by its inverse)."""
    return np.minimum(np.floor(np.exp(rng.random(n) * np.log(size + 1))).astype(np.int64) - 1, size - 1)


def true_logit(
    spec: SyntheticSource, users: np.ndarray, items: np.ndarray, dense: np.ndarray, there: np.ndarray, sparse: list[np.ndarray]
) -> np.ndarray:
    """Logits but for the intercept, [n]. dense [13, n], there [13, n]; a missing number adds nothing."""
    world = np.random.default_rng([spec.seed, VERSION, 2, 1])  # numpy reads missing digits as 0: four distinguish it from a chunk
    slope = world.normal(0, 0.35, DENSE)
    strength = world.uniform(0.1, 0.45, SPARSE)
    numbers = np.where(there, np.log1p(dense) - 1.4, 0)
    logits = slope @ numbers
    logits += 0.5 * np.sum([_drawn(users, spec.seed, k) * _drawn(items, spec.seed, 100 + k) for k in range(FACTORS)], axis=0) / FACTORS**0.5
    logits += 0.3 * _drawn(users, spec.seed, 50) + 0.5 * _drawn(items, spec.seed, 51)
    for k, values in enumerate(sparse):
        logits += strength[k] * _drawn(values, spec.seed, 200 + k)
    for place, (a, b) in enumerate(PAIRS):
        logits += 0.3 * _drawn(sparse[a] * 1_000_003 + sparse[b], spec.seed, 300 + place)
    return spec.signal * 0.6 * logits


def _drawn(ids: np.ndarray, seed: int, stream: int) -> np.ndarray:
    """A number of mean 0 and deviation 1 for each id, uniform, the same wherever the id occurs (splitmix64; Steele et al., 2014)."""
    with np.errstate(over="ignore"):
        x = ids.astype(np.uint64) + np.uint64((seed * 1_000_003 + stream + 1) & 0xFFFFFFFF) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * (3.4641016 / 2**53) - 1.7320508


@lru_cache(maxsize=8)
def oracle_auc(spec: SyntheticSource) -> float:
    """AUC of the true logit over the first rows: no model can have a higher one but by chance."""
    from workers.evaluation import area

    rows = spec.frame(ORACLE_ROWS)
    return area(rows["oracle"].to_numpy(np.float64), rows["rating"].to_numpy(np.float64), np.arange(len(rows))).value
