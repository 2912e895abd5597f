"""The funnel as a contender: one run's model retrieves candidates, another's ranks them (Covington et al., RecSys 2016, figure 2)."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from workers.models.base import ModelSpec
from workers.specs import MORE

RUN_ID = r"^[0-9a-f]{32}$"


class FunnelSpec(ModelSpec):
    """Two finished runs of one dataset, one after the other: nothing is trained, and the protocol measures it like any other model."""

    label: ClassVar[str] = "Funnel"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "ranking"
    module: ClassVar[str | None] = "workers.funnel.measure"
    offered: ClassVar[bool] = False

    kind: Literal["funnel"] = "funnel"
    retriever: str = Field(pattern=RUN_ID, description="Finished run whose model picks candidates out of the whole catalogue")
    ranker: str = Field(pattern=RUN_ID, description="Finished run whose model orders the candidates")
    candidates: int = Field(200, ge=1, le=10_000, description="Number of candidates that the retriever passes to the ranker, N")
    retriever_share: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of the retriever's score in the final order, the ranker's score has the rest; empty: tuned on validation, 0: "
        "the ranker's score alone, 1: the retriever's alone",
    )
    index: str | None = Field(
        None,
        max_length=100,
        pattern=r"^[A-Za-z0-9_,x() -]+$",
        description="FAISS factory string of the index, such as HNSW32 or IVF1024,SQ8; empty: that of the retriever's run, exact up to "
        "200,000 items",
        json_schema_extra=MORE,
    )
    titles: tuple[str, str] = Field(("", ""), description="Names of the retriever and the ranker", json_schema_extra=MORE)

    @model_validator(mode="after")
    def _two_runs(self) -> "FunnelSpec":
        if self.retriever == self.ranker:
            raise ValueError("retriever and ranker are the same run; choose another one to rank what the first retrieves.")
        return self

    @property
    def title(self) -> str:
        first, second = (title or run[:8] for title, run in zip(self.titles, (self.retriever, self.ranker), strict=True))
        return f"{self.label} · {first} → {second} · N {self.candidates:,}"
