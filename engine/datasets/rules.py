"""Label rules and splits: what models predict, what counts as liked, and what is held out."""

from typing import Annotated, Literal

from pydantic import Field

from workers.specs import MORE, Output, Spec


class MeanLabel(Spec):
    """Liked when the rating is at or above the mean rating of train (the reference method's rule)."""

    kind: Literal["mean"] = "mean"


class ThresholdLabel(Spec):
    """Liked when the rating is at or above a threshold."""

    kind: Literal["threshold"] = "threshold"
    threshold: float = Field(4.0, description="Ratings at or above this are liked")


class UserMeanLabel(Spec):
    """Liked when the rating is at or above the user's own mean in train; for users not in train, the mean of train."""

    kind: Literal["user_mean"] = "user_mean"


class GivenLabel(Spec):
    """The label is given as 0 and 1 (or −1 and 1, false and true), such as shown and clicked."""

    kind: Literal["given"] = "given"


class ImplicitLabel(Spec):
    """There is no label: every row is a choice of the user, and counts as liked."""

    kind: Literal["implicit"] = "implicit"


class RegressionLabel(Spec):
    """Models predict the value itself; a row with a value at or above a threshold counts as liked, for ranking and history."""

    kind: Literal["regression"] = "regression"
    liked_from: float | None = Field(None, description="Values at or above this count as liked; empty: the mean of train")


class MultiClassLabel(Spec):
    """Models predict one of several classes; some of them count as liked, for ranking and history."""

    kind: Literal["multi_class"] = "multi_class"
    liked: tuple[str, ...] = Field((), description="Classes that count as liked, separated by commas; empty: the last in order")


class ActionsLabel(Spec):
    """Several actions, such as view, cart and buy: models predict each; some of them count as liked."""

    kind: Literal["actions"] = "actions"
    liked: tuple[str, ...] = Field(
        (), description="Actions that count as liked, separated by commas; empty: the stronger ones (buy > cart > fav > click > view)"
    )


class TimeSplit(Spec):
    """Train is before one point in time, then valid, then test; the same points for all users."""

    kind: Literal["time"] = "time"
    valid: float = Field(0.1, gt=0, lt=0.5, description="Share of interactions, by time, for validation")
    test: float = Field(0.1, gt=0, lt=0.5, description="Share of the latest interactions for test")
    until: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the interactions, by time, that is used at all: what is later is set aside before anything else is done, as "
        "if the data had been prepared back then. For a backtest",
        json_schema_extra=MORE,
    )


class PerUserSplit(Spec):
    """Each user's last interactions are test, those before are valid; users with fewer than three have all in train."""

    kind: Literal["per_user"] = "per_user"
    valid: float = Field(0.1, gt=0, lt=0.5, description="Share of each user's interactions for validation, at least one")
    test: float = Field(0.1, gt=0, lt=0.5, description="Share of each user's last interactions for test, at least one")


class LastSplit(Spec):
    """Leave-one-out: each user's last like is test, the like before it is valid; users with fewer than three likes have all in train.

    Rows that are no likes go with the like before them. Models train on what others liked later than a test item: Ji et al., "A critical
    study on data leakage in recommender system offline evaluation", TOIS 2023.
    """

    kind: Literal["last"] = "last"


class RandomSplit(Spec):
    """Each row is assigned at random: for data without time. Models then train on rows that are later than test rows."""

    kind: Literal["random"] = "random"
    valid: float = Field(0.1, gt=0, lt=0.5, description="Share of interactions for validation")
    test: float = Field(0.1, gt=0, lt=0.5, description="Share of interactions for test")


class ColumnSplit(Spec):
    """A column of the source says train, valid or test."""

    kind: Literal["column"] = "column"


Label = Annotated[
    MeanLabel | ThresholdLabel | UserMeanLabel | GivenLabel | ImplicitLabel | RegressionLabel | MultiClassLabel | ActionsLabel,
    Field(discriminator="kind"),
]
Split = Annotated[TimeSplit | PerUserSplit | LastSplit | RandomSplit | ColumnSplit, Field(discriminator="kind")]
OUTPUTS: dict[str, Output] = {"regression": "regression", "multi_class": "multi_class", "actions": "actions"}
LABELS_OF: dict[str, tuple[str, ...]] = {
    "number": ("threshold", "mean", "user_mean", "given", "regression", "multi_class"),
    "category": ("multi_class", "actions"),
    "actions": ("actions",),
    "none": ("implicit",),
}  # label rules for each kind of value in the rows (Reading.value); the first is the default
OF_EACH_USER = ("per_user", "last")  # kinds of splits by each user's own order of time


def waits_for_train(label: Label) -> bool:
    """Whether a rule says what is liked by statistics of train, so that rows must be split before."""
    return label.kind in ("mean", "user_mean") or (isinstance(label, RegressionLabel) and label.liked_from is None)
