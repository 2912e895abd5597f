"""The source registry: a file in this folder that defines a SourceSpec with a `kind` is registered by being there."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from workers.specs import Spec

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

FRAME_LIMIT = 2_000_000


class SourceFeature(NamedTuple):
    """A column of the users or items table that models may read.

    A multi-valued column is text joined by "|" and null when there is nothing; a dense column is a double, null when unknown.
    """

    name: str
    side: Literal["user", "item"]
    kind: Literal["single", "multi", "dense"]


class Tables(NamedTuple):
    """What a source gives to Spark. Ids are text and unique in `users` and `items`; other columns are shown to people.

    interactions: user_id string, item_id string, rating double, timestamp long (unix seconds).
    users: user_id and any columns. items: item_id, title, genres ("A|B" or null) and any columns.
    """

    interactions: "DataFrame"
    users: "DataFrame | None"
    items: "DataFrame | None"
    features: tuple[SourceFeature, ...]


class SourceSpec(Spec):
    """Base of the sources in this folder: where interactions come from."""

    label: ClassVar[str]
    description: ClassVar[str]
    kind: str

    def check(self) -> None:
        """Raise ValueError or FileNotFoundError, in one plain sentence, when the source cannot be read."""

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the content: the same ratings give the same digits, wherever they stand."""
        raise NotImplementedError

    def size_hint(self) -> int:
        """About how many interactions there are, without reading them."""
        raise NotImplementedError

    def load(self, spark: "SparkSession") -> Tables:
        """The whole source as Spark tables; ValueError with file and line for a row that cannot be read."""
        raise NotImplementedError

    def frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        """The first `limit` interactions without Spark: user_id, item_id (str), rating (float), timestamp (int)."""
        raise NotImplementedError

    def items_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        """The first `limit` items without Spark: item_id, title (str), genres (str or None)."""
        raise NotImplementedError


def discover() -> dict[str, type[SourceSpec]]:
    """Every SourceSpec declared in this package, by kind."""
    found: dict[str, type[SourceSpec]] = {}
    for module in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, SourceSpec) and value is not SourceSpec:
                found[value.model_fields["kind"].default] = value
    return found


SOURCES = discover()
