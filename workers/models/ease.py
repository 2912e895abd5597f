"""EASE: Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019; closed form: section 3.1."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from workers.models.base import MatrixSpec
from workers.models.footprint import FLOAT, Footprint, TableSize
from workers.specs import BINARY, ITEM_ID, TUNED, FeatureSchema, Range, Task, searched

if TYPE_CHECKING:
    from workers.matrices import MatrixModel

MOST_ITEMS = 30_000
BYTES_A_PAIR = 16  # float64 while it is inverted; of the weights float32, twice while settings are tried


class EASESpec(MatrixSpec):
    """A weight for every pair of items, in closed form: hard to beat on small catalogues, and impossible on large ones."""

    label: ClassVar[str] = "EASE"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"
    seeded: ClassVar[bool] = False

    kind: Literal["ease"] = "ease"
    l2: float | None = Field(
        None,
        gt=0,
        le=1e7,
        description="L2 regularisation of the weights; empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=1, high=100_000, log=True), first=300.0),
    )

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        if schema.has_items:
            items, most = schema.feature(ITEM_ID).num_rows - 1, most_items()
            if items > most:
                need = BYTES_A_PAIR * items**2 / 1e9
                return (
                    f"EASE inverts a matrix of all pairs of items, which for {items:,} items takes {need:,.0f} GB of memory; here it takes "
                    f"{most:,} items at most. Choose iALS or item-kNN, or prepare the data with a higher minimum of interactions an item."
                )
        return super().refusal(schema, label)

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        items = schema.feature(ITEM_ID).num_rows - 1
        return Footprint((TableSize("pairs of items", items, items),), working_bytes=(BYTES_A_PAIR - FLOAT) * items**2)

    def build(self) -> "MatrixModel":
        from workers.matrices import EASE

        assert self.l2 is not None
        return EASE(self.l2)


def most_items() -> int:
    """The largest catalogue whose matrices fit three quarters of this machine's memory, 30,000 at most: beyond, an inverse takes hours."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(MOST_ITEMS, int((0.75 * memory / BYTES_A_PAIR) ** 0.5))
