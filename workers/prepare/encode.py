"""Text to rows of vocabularies, on a Spark executor: one pass over any number of columns, without moving a row.

Runs inside mapInArrow; imports no Spark. For vocabularies that fit an executor's memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Encoder:
    """A mapInArrow function: adds to batches, for each (column, vocabulary file, target) of `wanted`, the row of the column's text as
    `target` (int32): 0 where it is null or the vocabulary does not have it. The columns of `spent` are left out of the result.

    A vocabulary file is Parquet with `row` and `value`, its rows numbered from 1 without a gap.
    """

    wanted: tuple[tuple[str, str, str], ...]
    spent: tuple[str, ...] = ()

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = {name: batch.column(name) for name in batch.schema.names if name not in self.spent}
            columns |= {target: pa.array(_rows(batch.column(column), path)) for column, path, target in self.wanted}
            yield pa.RecordBatch.from_pydict(columns)


def _rows(column: pa.Array, path: str) -> np.ndarray:
    # every distinct text of a batch is looked up once
    coded = column.dictionary_encode()
    rows = np.append(_vocabulary(path).get_indexer(coded.dictionary.to_numpy(zero_copy_only=False)) + 1, 0)
    return rows[coded.indices.fill_null(len(rows) - 1).to_numpy()].astype(np.int32)


@lru_cache(maxsize=512)
def _vocabulary(path: str) -> "pd.Index[Any]":
    import pandas as pd

    table = pd.read_parquet(path).sort_values("row")
    return pd.Index(table["value"].to_numpy(object))
