"""The base of sources: what each declares and returns."""

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from workers.prepare import Reading, SourceFeature
from workers.specs import Spec

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession


FRAME_LIMIT = 2_000_000


class Tables(NamedTuple):
    """A source as Spark tables.

    interactions: raw columns as `SourceSpec.reading` says; rows that cannot be read stay in, with `problem` set.
    users: user_id (unique text) and any columns. items: item_id (unique text), title, genres ("A|B" or null) and any columns.
    sets: one rating of several items at once: user_id, item_ids array<string>, rating double, timestamp long (unix seconds).
    """

    interactions: "DataFrame"
    users: "DataFrame | None" = None
    items: "DataFrame | None" = None
    sets: "DataFrame | None" = None


class SourceSpec(Spec):
    """Base of the sources in this folder: where interactions come from."""

    label: ClassVar[str]
    description: ClassVar[str]
    kind: str

    def check(self) -> None:
        """Raise ValueError or FileNotFoundError, in one plain sentence, when the source as a whole cannot be read.

        Quick for any size. Bad rows raise nothing: they are set aside later, with the reason.
        """

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the content: the same interactions give the same digest, whatever their path."""
        raise NotImplementedError

    def size_hint(self) -> int:
        """Approximate number of interactions, without reading them."""
        raise NotImplementedError

    def reading(self) -> Reading:
        """How to read the raw columns. Reads no file."""
        return Reading()

    def features(self) -> tuple[SourceFeature, ...]:
        """Features that models may read besides ids, in the order that they have everywhere. May read the head of a file."""
        return ()

    def defaults(self) -> dict[str, Any]:
        """Fields of a DatasetSpec where this source has other defaults. Reads no file."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """Sentences that a user of this source should know. May read the head of a file."""
        return ()

    def load(self, spark: "SparkSession") -> Tables:
        """The whole source as Spark tables."""
        raise NotImplementedError

    def frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        """The first `limit` interactions without Spark: the same raw columns and values as `load` gives."""
        raise NotImplementedError

    def items_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        """The first `limit` items without Spark: item_id, title, genres (str or None) and any columns; may be empty."""
        import pandas as pd

        return pd.DataFrame({"item_id": [], "title": [], "genres": []}, dtype=object)

    def users_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        """The first `limit` users without Spark: user_id and any columns; may be empty."""
        import pandas as pd

        return pd.DataFrame({"user_id": []}, dtype=object)
