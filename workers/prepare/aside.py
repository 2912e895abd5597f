"""Rows that are set aside: the reason against each, and the row as text for people to read."""

import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

RAW_LIMIT = 20_000  # characters of a row that are kept with its reason


class Reasons:
    """The first reason against each row wins."""

    def __init__(self, rows: int) -> None:
        self.reasons, self.sound = np.full(rows, None, object), np.ones(rows, bool)

    def add(self, bad: np.ndarray, reason: str) -> None:
        if bad.any():
            self.reasons[bad & self.sound] = reason
            self.sound &= ~bad

    def add_texts(self, texts: list[str | None]) -> None:
        for place, text in enumerate(texts):
            if text is not None and self.sound[place]:
                self.reasons[place], self.sound[place] = text, False

    def column(self) -> "pa.Array":
        import pyarrow as pa

        return pa.array(self.reasons, pa.string())


def raw_text(raw: "pa.Table", reasons: "pa.Array") -> "pa.Array":
    """The rows that are set aside as text: as they stood in the file where the reader kept that, else as JSON."""
    import pyarrow as pa
    import pyarrow.compute as pc

    bad = np.flatnonzero(pc.is_valid(reasons).to_numpy(zero_copy_only=False))
    text = np.full(raw.num_rows, None, object)
    hidden = {"row", "problem", "raw", "oracle"}
    for place, row in zip(bad, raw.take(pa.array(bad)).to_pylist(), strict=True):
        shown = row.get("raw") or json.dumps({k: v for k, v in row.items() if k not in hidden}, ensure_ascii=False, default=str)
        text[place] = shown[:RAW_LIMIT]
    return pa.array(text, pa.string())
