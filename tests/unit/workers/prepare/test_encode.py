"""Text to rows: what a vocabulary has gets its row, all else the unknown row."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from workers.prepare.encode import Encoder


def test_texts_become_their_rows_and_unknown_ones_zero(tmp_path: Path) -> None:
    path = tmp_path / "shop.parquet"
    pd.DataFrame({"row": [2, 1, 3], "value": ["b", "a", "NaN"], "count": [1, 2, 1]}).to_parquet(path)
    batch = pa.RecordBatch.from_pydict({"shop": ["a", None, "b", "x", "NaN", "", "a"], "kept": [1, 2, 3, 4, 5, 6, 7]})
    found = pa.Table.from_batches(Encoder((("shop", str(path), "at"),), ("shop",))(iter([batch, batch.slice(0, 0)])))
    assert found.column_names == ["kept", "at"]
    assert found["at"].to_pylist() == [1, 0, 2, 0, 3, 0, 1]
    assert found.schema.field("at").type == pa.int32()
    twice = pa.Table.from_batches(Encoder((("shop", str(path), "a"), ("shop", str(path), "b")))(iter([batch])))
    assert twice["a"].to_pylist() == twice["b"].to_pylist()
