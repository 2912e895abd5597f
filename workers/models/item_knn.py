"""Item-kNN: Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001; Deshpande and Karypis,
"Item-based top-N recommendation algorithms", ACM TOIS 22(1), 2004."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from workers.models.base import MatrixSpec
from workers.models.footprint import FLOAT, Footprint, TableSize
from workers.specs import BINARY, ITEM_ID, TUNED, FeatureSchema, Task

if TYPE_CHECKING:
    from workers.matrices import MatrixModel


class ItemKNNSpec(MatrixSpec):
    """Items that are liked by the same people as those that a user liked: no gradient training, easy to explain."""

    label: ClassVar[str] = "Item-kNN"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"
    seeded: ClassVar[bool] = False
    tuned: ClassVar[Mapping[str, tuple[Any, ...]]] = {"neighbours": (10, 20, 50, 100, 200, 400), "similarity": ("cosine", "tfidf", "bm25")}

    kind: Literal["item_knn"] = "item_knn"
    neighbours: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Most similar items kept for each item; empty: the best of 10, 20, 50, 100, 200, 400, and beyond while an end is best",
        json_schema_extra=TUNED,
    )
    similarity: Literal["cosine", "tfidf", "bm25"] | None = Field(
        None,
        description="cosine: by users who liked both items; tfidf, bm25: users with many likes count less; empty: the best of the three",
        json_schema_extra=TUNED,
    )

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        items = schema.feature(ITEM_ID).num_rows - 1
        kept = min(items, self.neighbours or max(self.tuned["neighbours"]))
        # the place of each neighbour beside its weight, and both again of the best so far while settings are tried
        return Footprint((TableSize("neighbours of items", items, kept),), working_bytes=3 * FLOAT * items * kept)

    def build(self) -> "MatrixModel":
        from workers.matrices import ItemKNN

        assert self.neighbours is not None and self.similarity is not None
        return ItemKNN(self.neighbours, self.similarity)
