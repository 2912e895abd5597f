"""Lists as files: the same rows to Parquet and to CSV, a bounded number at a time, either complete or not at all."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from workers.exports.spec import TOP_CSV, TOP_PARQUET
from workers.exports.spreadsheet import OPENS_A_FORMULA

ROWS = 1 << 17  # of a row group, which is held in memory until it is written
SCHEMA = pa.schema(
    [("user_id", pa.string()), ("rank", pa.int32()), ("item_id", pa.string()), ("title", pa.string()), ("score", pa.float32())]
)
COLUMNS = {
    "user_id": "id of the user as in the source, text",
    "rank": "place in the user's list, from 1",
    "item_id": "id of the item as in the source, text",
    "title": "title of the item; empty where the dataset has none",
    "score": "the model's score that ranks, float32; of one model only: scores of two models are in different units",
}
CSV_SAYS = "as top.parquet, UTF-8 with a mark; a text that a spreadsheet would take for a formula has an apostrophe in front"
_FORMULA = "^[" + "".join("\\" + c if c in "+-=@" else c for c in OPENS_A_FORMULA) + "]"


def formula_safe(table: pa.Table) -> pa.Table:
    """The table with an apostrophe in front of each text that a spreadsheet would take for a formula, as `engine.csv_safe` does."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            text = table.column(place)
            marked = pc.if_else(pc.match_substring_regex(text, _FORMULA), pc.binary_join_element_wise("'", text, ""), text)
            table = table.set_column(place, field, marked)
    return table


class Writer:
    """Both files in a folder. Rows wait in memory until they fill a row group; the files are complete when the block ends without error."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows, self._held, self._waiting = folder, 0, 0, list[pa.Table]()

    def __enter__(self) -> Self:
        self._files: list[Any] = [(self.folder / name).open("wb") for name in (TOP_PARQUET, TOP_CSV)]
        self._files[1].write(b"\xef\xbb\xbf")  # by this mark spreadsheets recognise UTF-8
        self._parquet = pq.ParquetWriter(self._files[0], SCHEMA, compression="zstd")
        self._csv = pyarrow.csv.CSVWriter(self._files[1], SCHEMA)
        return self

    def write(self, table: pa.Table) -> None:
        """Add rows, of SCHEMA."""
        self._waiting.append(table)
        self._held += len(table)
        self.rows += len(table)
        if self._held >= ROWS:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables(self._waiting).combine_chunks() if self._waiting else SCHEMA.empty_table()
        self._waiting, self._held = [], 0
        self._parquet.write_table(table, row_group_size=ROWS)
        self._csv.write_table(formula_safe(table))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
            self._parquet.close()
            self._csv.close()
            if kind is None:
                for file in self._files:
                    file.flush()
                    os.fsync(file.fileno())  # before the rename that makes the folder whole
        finally:
            for file in self._files:
                file.close()
