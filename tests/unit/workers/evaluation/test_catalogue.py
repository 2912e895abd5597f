"""The catalogue of a dataset, whose bags are Arrow's flat arrays."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workers.artifacts import ITEMS
from workers.batches import table_columns
from workers.evaluation import catalogue
from workers.registry.package import write_items
from workers.specs import Categorical, FeatureSchema

SCHEMA = FeatureSchema(
    categorical=(
        Categorical(name="item_id", side="item", num_rows=6, vocabulary="item_id"),
        Categorical(name="genres", side="item", num_rows=9, multi_valued=True, vocabulary="genres"),
    )
)
BAGS = [[7], [], [1, 2, 3], [4], [5, 6], []]


@pytest.fixture
def folder(tmp_path):
    frame = pd.DataFrame({"row": [0, 3, 1, 2, 5, 4], "item_id": list("abcdef"), "feature.item_id": [0, 3, 1, 2, 5, 4]})
    table = pa.Table.from_pandas(frame).append_column("feature.genres", pa.array(BAGS, pa.list_(pa.int32())))
    pq.write_table(table, tmp_path / ITEMS)
    return tmp_path


def test_bags_of_any_part_of_the_catalogue_are_those_of_its_rows(folder):
    items = catalogue(folder)
    assert items["item_id"].tolist() == ["c", "d", "b", "f", "e"]  # by row, without the one that is not in train
    for rows in (slice(None), slice(1, 4), slice(2, 2), np.array([4, 0, 0])):
        part = items.iloc[rows]
        columns = table_columns(part, SCHEMA, "item")
        wanted = [BAGS["abcdef".index(item)] for item in part["item_id"]]
        assert columns["genres.lengths"].tolist() == [len(bag) for bag in wanted]
        assert columns["genres.values"].tolist() == [one for bag in wanted for one in bag]
        assert {columns[name].dtype for name in ("genres.values", "genres.lengths")} == {np.dtype(np.int32)}


def test_bags_are_no_objects_and_columns_can_be_chosen(folder):
    assert isinstance(catalogue(folder)["feature.genres"].dtype, pd.ArrowDtype)
    assert list(catalogue(folder, ["row", "item_id"])) == ["row", "item_id"]
    plain = pd.read_parquet(folder / ITEMS).iloc[1:].sort_values("row")  # bags as arrays, as tables of users have them
    assert (
        table_columns(plain, SCHEMA, "item")["genres.values"].tolist()
        == table_columns(catalogue(folder), SCHEMA, "item")["genres.values"].tolist()
    )


def test_a_package_keeps_the_catalogue_and_every_reader_reads_it(folder, tmp_path):
    items = catalogue(folder).assign(title=None, genres="Drama", train_positives=1)
    (tmp_path / "package").mkdir()
    write_items(items, tmp_path / "package")
    again = catalogue(tmp_path / "package")
    assert again["item_id"].tolist() == items["item_id"].tolist()
    assert table_columns(again, SCHEMA, "item")["genres.values"].tolist() == table_columns(items, SCHEMA, "item")["genres.values"].tolist()
    assert pd.read_parquet(tmp_path / "package" / ITEMS, columns=["item_id"])["item_id"].tolist() == items["item_id"].tolist()
