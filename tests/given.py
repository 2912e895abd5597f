"""A source that gives the rows it is given, to pandas and to Spark alike."""

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd
from pydantic import Field

from engine.sources.base import SourceSpec, Tables
from workers.prepare.rows import Reading, SourceFeature


class GivenSource(SourceSpec):
    """Raw tables as Parquet files in a folder: interactions, and users, items and sets where there are any."""

    label: ClassVar[str] = "Given"
    description: ClassVar[str] = "Rows of a test."

    kind: Literal["given"] = "given"
    path: str
    reads: dict[str, Any] = Field({})
    told: tuple[tuple[str, str, str], ...] = ()
    preset: dict[str, Any] = Field({})

    def fingerprint(self) -> str:
        return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(self.path).iterdir()))).hexdigest()

    def size_hint(self) -> int:
        return 1000

    def reading(self) -> Reading:
        return Reading(**{name: tuple(value) if isinstance(value, list) else value for name, value in self.reads.items()})

    def features(self) -> tuple[SourceFeature, ...]:
        return tuple(SourceFeature(*one) for one in self.told)  # type: ignore[arg-type]

    def defaults(self) -> dict[str, Any]:
        return self.preset

    def load(self, spark: Any) -> Tables:
        found = {name: Path(self.path) / f"{name}.parquet" for name in ("interactions", "users", "items", "sets")}
        return Tables(*(spark.read.parquet(str(path)) if path.is_file() else None for path in found.values()))

    def frame(self, limit: int = 10**9) -> pd.DataFrame:
        return pd.read_parquet(Path(self.path) / "interactions.parquet").head(limit)

    def items_frame(self, limit: int = 10**9) -> pd.DataFrame:
        path = Path(self.path) / "items.parquet"
        return pd.read_parquet(path).head(limit) if path.is_file() else super().items_frame(limit)

    def users_frame(self, limit: int = 10**9) -> pd.DataFrame:
        path = Path(self.path) / "users.parquet"
        return pd.read_parquet(path).head(limit) if path.is_file() else super().users_frame(limit)


def given(folder: Path, interactions: Any, *, users: Any = None, items: Any = None, sets: Any = None, **fields: Any) -> GivenSource:
    """Write raw tables and name them as a source."""
    folder.mkdir(parents=True)
    for name, table in (("interactions", interactions), ("users", users), ("items", items), ("sets", sets)):
        if table is not None:
            pd.DataFrame(table).to_parquet(folder / f"{name}.parquet", index=False)
    return GivenSource(path=str(folder), **fields)
