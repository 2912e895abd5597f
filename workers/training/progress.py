"""How far a run has come: what a checkpoint keeps beside weights, optimizers and rows."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

Ends = Callable[[int, float], bool]  # takes an epoch and its value, says whether training ends there; rank 0 asks it


def never(epoch: int, value: float) -> bool:
    """Leave the end to the epochs and to patience."""
    return False


class Start(NamedTuple):
    """Where the run begins: the epoch of the weights, the seconds and rows spent on them, and their metrics on validation.

    Not nothing where a run continues another.
    """

    epoch: int = 0
    seconds: float = 0.0
    rows: int = 0
    valid: dict[str, float] = {}  # noqa: RUF012 (never written to)


NOTHING = Start()


class Progress(BaseModel):
    """A run at one of its steps. Ready for JSON: values that are not finite are None."""

    model_config = ConfigDict(frozen=True)

    first: Start = NOTHING
    step: int = 0  # of the run, over all attempts
    epoch: int = 0
    done: bool = True  # whether the epoch is through and validated
    epoch_rows: int = 0  # rows of the epoch that were trained on, over all ranks
    scheduled: float = 0.0  # steps of the schedule of learning rates that are through, of `planned`
    planned: float = 0.0
    best: float | None = None  # the value of the best epoch so far
    best_epoch: int = 0
    valid: tuple[float | None, ...] = ()  # the value of each epoch
    losses: tuple[float | None, ...] = ()  # mean training loss of each epoch; of the last one, of the part that is through
    seconds: float = 0.0  # of training, without those of `first`
    rows: int = 0
    stopped_early: bool = False


class Learned(BaseModel):
    """What came of a training. Ready for JSON: values that are not finite are None."""

    model_config = ConfigDict(frozen=True)

    best_epoch: int
    epochs: int
    planned_epochs: int
    training_s: float
    rows: int
    rows_per_s: float
    metric: str  # the key of the validation metric that picks the epoch
    best: float | None  # its value in the best epoch, signed so that more is better
    valid: tuple[float | None, ...]  # of each epoch
    losses: tuple[float | None, ...]  # mean training loss of each epoch
    stopped_early: bool
    concluded: bool = False
    pruned: bool = False

    @property
    def cost(self) -> dict[str, float]:
        """For done.json."""
        return self.model_dump(include={"best_epoch", "epochs", "training_s", "rows", "rows_per_s"})


def finite(value: float) -> float | None:
    """A value for JSON."""
    return float(value) if np.isfinite(value) else None
