"""Rows of equal times: their order is that of their content, in pandas and in Spark, whatever the order and the partitions of the input."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from engine.datasets.spec import DatasetSpec
from engine.prepare import rows as spark_rows
from engine.preview.first_rows import preview_rows
from engine.preview.row_hash import row_hash
from engine.preview.rows import LATER, NOT_CONTENT, set_aside_pairs, split_rows
from tests.given import given

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CONTENT = ["user_id", "item_id", "rating", "timestamp", "shop", "price"]
TOLD = (("shop", "context", "single"), ("price", "context", "dense"))


def ties(rows: int = 600) -> pd.DataFrame:
    """Three times, twelve users, eight items: most rows share their time with another, and many their user, item and rating too."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "user_id": [f"ü{k}" for k in rng.integers(0, 12, rows)],
            "item_id": [f"i{k}" for k in rng.integers(0, 8, rows)],
            "rating": rng.integers(3, 6, rows).astype(float),
            "timestamp": rng.integers(1, 4, rows),
            "shop": rng.choice(["p", "q", None], rows),
            "price": np.where(rng.random(rows) < 0.2, np.nan, rng.integers(-2, 3, rows) / 2),
        }
    )
    return table.drop_duplicates(ignore_index=True)


def spec_of(folder: Path, table: pd.DataFrame, **rules: Any) -> DatasetSpec:
    return DatasetSpec(name="ties", source=given(folder, table, told=TOLD), **rules)


def in_spark(spark: "SparkSession", rows: pd.DataFrame, partitions: int) -> "DataFrame":
    """The rows in a random order and in some partitions, with the numbers that Spark gives them there."""
    from pyspark.sql import functions as F

    shuffled = rows.sample(frac=1, random_state=partitions).drop(columns="row")
    columns = {name: shuffled[name].astype(object).where(shuffled[name].notna(), None) for name in shuffled.columns}
    kinds = dict.fromkeys(("user_id", "item_id", "shop", "reason", "raw"), "string") | {"timestamp": "bigint"}
    schema = ", ".join(f"{name} {kinds.get(name, 'double')}" for name in shuffled.columns)
    frame = spark.createDataFrame(pd.DataFrame(columns), schema)
    return frame.repartition(partitions).withColumn("row", F.monotonically_increasing_id()).persist()


def plain(rows: pd.DataFrame, column: str) -> list[tuple[Any, ...]]:
    """The content of rows and one more column, in an order of its own."""
    shown = rows[[*CONTENT, column]].astype(object).where(rows[[*CONTENT, column]].notna(), None)
    return sorted((tuple(row) for row in shown.itertuples(index=False)), key=repr)


def test_a_row_has_one_hash_in_pandas_and_in_spark(spark: "SparkSession", tmp_path: Path) -> None:
    rows = preview_rows(spec_of(tmp_path / "s", ties()).source)
    names = [name for name in rows.columns if name not in NOT_CONTENT]
    from pyspark.sql import functions as F

    hashed = in_spark(spark, rows, 3).withColumn("hash", F.xxhash64(*names)).toPandas()
    assert plain(rows.assign(hash=row_hash(rows, names)), "hash") == plain(hashed, "hash")


@pytest.mark.parametrize("split", ["per_user", "time"])
def test_another_order_of_rows_gives_the_same_split_to_the_row(spark: "SparkSession", tmp_path: Path, split: str) -> None:
    spec = spec_of(tmp_path / "s", ties(), split={"kind": split, "valid": 0.2, "test": 0.2})
    rows = preview_rows(spec.source).drop(columns=["reason", "raw"])
    wanted = plain(rows.assign(split=split_rows(rows, spec)), "split")
    assert {row[-1] for row in wanted} == {"train", "valid", "test"}
    turned = rows.sample(frac=1, random_state=9).assign(row=range(len(rows)))
    assert plain(turned.assign(split=split_rows(turned, spec)), "split") == wanted
    for partitions in (1, 7) if split == "per_user" else ():
        assert plain(spark_rows.split_rows(in_spark(spark, rows, partitions), spec).toPandas(), "split") == wanted


@pytest.mark.parametrize("policy", ["latest", "first"])
def test_of_a_pair_the_same_row_stays_in_any_order(spark: "SparkSession", tmp_path: Path, policy: str) -> None:
    spec = spec_of(tmp_path / "s", ties(), duplicates=policy)
    rows = preview_rows(spec.source)
    wanted = plain(set_aside_pairs(rows.copy(), spec)[0], "reason")
    assert sum(row[-1] is None for row in wanted) == len(rows.drop_duplicates(["user_id", "item_id"]))
    turned = rows.sample(frac=1, random_state=9, ignore_index=True).assign(row=range(len(rows)))
    assert plain(set_aside_pairs(turned, spec)[0], "reason") == wanted
    assert plain(spark_rows.set_aside_pairs(in_spark(spark, rows, 5), spec)[0].toPandas(), "reason") == wanted


@pytest.mark.parametrize("policy", ["latest", "mean"])
def test_what_is_later_than_the_cut_decides_nothing_in_pandas_and_in_spark(spark: "SparkSession", tmp_path: Path, policy: str) -> None:
    split = {"kind": "time", "valid": 0.2, "test": 0.2}
    whole = spec_of(tmp_path / "s", ties(), duplicates=policy, split=split)
    spec = whole.model_copy(update={"split": whole.split.model_copy(update={"until": 0.8})})
    rows = preview_rows(spec.source)
    found = set_aside_pairs(rows.copy(), spec)[0]
    later = found["reason"] == LATER
    assert 0.3 < later.mean() < 0.4  # the last of three times
    assert rows.loc[~later, "timestamp"].max() < rows.loc[later, "timestamp"].min()
    alone = set_aside_pairs(rows[~later].reset_index(drop=True), whole)[0]  # as if the others had never been there
    assert plain(found[~later], "reason") == plain(alone, "reason")
    in_full = spark_rows.set_aside_pairs(in_spark(spark, rows, 5), spec)[0].toPandas()
    assert plain(in_full, "reason") == plain(found, "reason")
