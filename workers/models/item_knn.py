"""Item-kNN: Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001; Deshpande and Karypis,
"Item-based top-N recommendation algorithms", ACM TOIS 22(1), 2004."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers.models.base import MatrixSpec
from workers.models.footprint import FLOAT, Footprint, TableSize
from workers.specs import BINARY, ITEM_ID, TUNED, Choices, FeatureSchema, Range, Task, searched

if TYPE_CHECKING:
    from workers.matrices import MatrixModel

MOST = 2000  # neighbours that a search tries


class ItemKNNSpec(MatrixSpec):
    """Items that are liked by the same people as those that a user liked: no gradient training, easy to explain."""

    label: ClassVar[str] = "Item-kNN"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"
    seeded: ClassVar[bool] = False

    kind: Literal["item_knn"] = "item_knn"
    neighbours: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Most similar items kept for each item; empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=5, high=MOST, log=True, whole=True), first=100),
    )
    similarity: Literal["cosine", "tfidf", "bm25"] | None = Field(
        None,
        description="cosine: by users who liked both items; tfidf, bm25: users with many likes count less; empty: searched on validation",
        json_schema_extra=TUNED | searched(Choices(choices=("cosine", "tfidf", "bm25")), first="cosine"),
    )

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        items = schema.feature(ITEM_ID).num_rows - 1
        kept = min(items, self.neighbours or MOST)
        # the place of each neighbour beside its weight, and both again of the best so far while settings are tried
        return Footprint((TableSize("neighbours of items", items, kept),), working_bytes=3 * FLOAT * items * kept)

    def build(self) -> "MatrixModel":
        from workers.matrices import ItemKNN

        assert self.neighbours is not None and self.similarity is not None
        return ItemKNN(self.neighbours, self.similarity)
