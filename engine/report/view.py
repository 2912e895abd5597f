"""What a page drew of a comparison."""

from pydantic import BaseModel, ConfigDict, Field


class View(BaseModel):
    """The choices of who looks at a comparison. None, or what the comparison does not have: the usual."""

    model_config = ConfigDict(frozen=True)

    curve: str | None = Field(None, description="Metric of the learning curves; train_loss for the loss")
    quality: str | None = Field(None, description="Metric that is drawn against a cost")
    cost: str | None = Field(None, description="The cost: a fact of Comparison.costs")
    pairs: str | None = Field(None, description="Metric of the paired tests")
    slice_by: str | None = Field(None, description="What users, items or rows are sliced by")
    sliced: str | None = Field(None, description="Metric of the slices")
