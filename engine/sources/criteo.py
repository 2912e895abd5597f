"""Criteo display advertising: a label, 13 counts and 26 hashed categories per row, in the format of Kaggle or of the 1 TB release."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from engine.sources.base import FRAME_LIMIT, SourceSpec, Tables
from engine.tables import Layout, local
from engine.tables import plain_lines as lines
from workers.prepare import Reading, SourceFeature

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

COUNTS = tuple(f"I{k}" for k in range(1, 14))
CATEGORIES = tuple(f"C{k}" for k in range(1, 27))
COLUMNS = ("rating", *COUNTS, *CATEGORIES)
BYTES_A_ROW, BYTES_A_PACKED_ROW = 240, 85
SUFFIXES = {".txt", ".csv", ".tsv", ".gz", ""}
LARGE_ROWS = 100_000_000


class CriteoSource(SourceSpec):
    """Rows of an advertising log: was the advertisement clicked? It names no user and no item."""

    label: ClassVar[str] = "Criteo"
    description: ClassVar[str] = (
        "Criteo display advertising (Kaggle or 1 TB): label, 13 integers, 26 categories; a file or a folder of days."
    )

    kind: Literal["criteo"] = "criteo"
    path: str = Field(
        min_length=1, max_length=4096, description="File (tabs or commas, with or without header, .gz too) or folder of day_* files"
    )

    def check(self) -> None:
        paths, layout = self._find()
        for path in paths:
            lines.check_rows(path, layout)

    def fingerprint(self) -> str:
        return lines.fingerprint(self._find()[0])

    def size_hint(self) -> int:
        return sum(p.stat().st_size // (BYTES_A_PACKED_ROW if p.suffix == ".gz" else BYTES_A_ROW) for p in self._find()[0])

    def reading(self) -> Reading:
        return Reading(user=False, item=False, value="number", low=0, high=1, time=None)

    def features(self) -> tuple[SourceFeature, ...]:
        counts = (SourceFeature(name, "context", "dense") for name in COUNTS)
        return (*counts, *(SourceFeature(name, "context", "single") for name in CATEGORIES))

    def defaults(self) -> dict[str, Any]:
        # nothing can be learned of a value that occurs once, and half of Criteo's values do
        return {"label": {"kind": "given"}, "split": {"kind": "random"}, "history": 0, "log1p": COUNTS, "min_count": 2}

    def notes(self) -> tuple[str, ...]:
        paths, _ = self._find()
        sentences = ["It names no user and no item: only DLRM and DeepFM train on it, and there are no recommendations to browse."]
        if self.size_hint() > LARGE_ROWS:
            sentences.append("At this size raise min_count (10 is usual) or hash the largest categories, so that tables fit in memory.")
        if any(p.suffix == ".gz" and p.stat().st_size > 1 << 30 for p in paths):
            sentences.append("A .gz file is read by one core only; unpack it, so that all cores read it.")
        return tuple(sentences)

    def load(self, spark: "SparkSession") -> Tables:
        return Tables(lines.load(spark, *self._find()))

    def frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        return lines.read(*self._find(), limit)

    def _find(self) -> tuple[list[Path], Layout]:
        """The files, in the order of their days, and their common format."""
        paths = [local(str(path)) for path in _files(local(self.path))]
        layouts = [_layout(path) for path in paths]
        for path, layout in zip(paths, layouts, strict=True):
            if layout != layouts[0]:
                raise ValueError(f"{path.name} is written unlike {paths[0].name} (separator or header); give them one by one.")
        return paths, layouts[0]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES and not path.name.startswith("day_"):
            raise ValueError(f"{path.name} is neither text nor .gz; unpack it and give the text file.")
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"There is no file or folder {path}; check the path.")
    candidates = [p for p in path.iterdir() if p.is_file() and not p.name.startswith(".") and p.suffix.lower() in SUFFIXES]
    days = sorted((p for p in candidates if re.match(r"day_\d+", p.name)), key=lambda p: (int(p.name[4:].split(".")[0]), p.name))
    rest = [p for p in candidates if p.stem in ("train", "criteo_sample")] or candidates
    if not days and len(rest) != 1:
        raise ValueError(f"{path} has no day_* files and {len(rest)} other text files; give the one to read, such as train.txt.")
    return days or rest


def _layout(path: Path) -> Layout:
    """Separator and header, from the first line; ValueError when its fields are not Criteo's."""
    first = lines.first_line(path)
    separator = "\t" if "\t" in first else ","
    names = [name.strip().lower() for name in first.split(separator)]
    wanted = {"label": "rating", **{name.lower(): name for name in COLUMNS[1:]}}
    if set(wanted) <= set(names):
        if len(set(names)) < len(names):
            raise ValueError(f"The header of {path.name} has a name twice; name each column once.")
        return Layout(tuple(wanted.get(name) for name in names), separator, header=first)
    if len(names) == len(COLUMNS) and names[0] not in ("", "0", "1", "0.0", "1.0"):
        raise ValueError(f"{path.name} begins with {first[:60]!r}: neither a label of 0 or 1 nor the header label, I1 … I13, C1 … C26.")
    if len(names) == len(COLUMNS) - 1:
        raise ValueError(f"{path.name} has {len(names)} columns, as test sets without a label have; give the file with labels (train.txt).")
    return Layout(COLUMNS, separator)
