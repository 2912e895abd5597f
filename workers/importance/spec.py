"""A test of features: which finished run, on how many test rows, and what it says. Imports no torch."""

from typing import Final, Literal

from pydantic import Field

from workers.models import RUN_ID
from workers.specs import Output, Spec

FEATURES = "features.json"  # in the test's run folder
Measured = Literal["auc", "rmse", "class_log_loss", "action_auc"]
MEASURED: Final[dict[Output, Measured]] = {
    "binary": "auc", "regression": "rmse", "multi_class": "class_log_loss", "actions": "action_auc",
}  # fmt: skip


class FeatureTestSpec(Spec):
    """Which run's features are tested, and on how many rows."""

    features_of: str = Field(pattern=RUN_ID, description="Finished run whose model is tested")
    title: str = Field("", max_length=120, description="Name of that run")
    dataset: str = Field(description="Id of the prepared dataset that it was trained on")
    rows: int = Field(
        200_000, ge=1000, le=1_000_000_000, description="Test rows that are read at most; blocks are shuffled, so the first do"
    )
    tolerance: float = Field(
        0.001, gt=0, le=0.5, description="Loss of the metric that does not matter: an absolute difference for AUC, a share for others"
    )
    seed: int = Field(1, ge=0, lt=2**31, description="Seed of the permutations")


class FeatureLoss(Spec):
    """What the metric loses when features are permuted among rows: positive where the model needs them."""

    features: tuple[str, ...]  # one, or several together; a number comes with the flag of its missing values
    loss: float
    low: float | None  # of the interval of 95 %, over users; None where there are too few of them
    high: float | None


class FeatureTest(Spec):
    """Each feature by what its permutation costs, the dearest first, and the most of them that can go together."""

    metric: Measured
    value: float  # with all features in place
    rows: int
    users: int
    each: tuple[FeatureLoss, ...]
    together: tuple[FeatureLoss, ...]  # the one that surely costs little, the next beside it, …, permuted together
    tolerance: float  # of the loss, in the metric's own unit

    @property
    def spare(self) -> FeatureLoss | None:
        """The most features that surely cost no more than the tolerance together; None: not even one."""
        return next((one for one in reversed(self.together) if one.high is not None and one.high <= self.tolerance), None)
