"""Causes in how a two-tower learned: rates, length, learning by heart."""

import math

import numpy as np

from engine.diagnosis.evidence import Evidence
from engine.diagnosis.record import Diagnosis, Fix, diagnosis
from workers.artifacts import METRICS
from workers.evaluation import RISING

FLAT = 0.01  # share of the first loss by which it falls at least where something is learnt
WILD = 2.0  # times the loss of a guess, which fresh weights of a softmax with logQ correction exceed by a tenth
FELL = 0.1  # share by which validation falls from its best epoch, while the loss goes on falling, where a model learns by heart
EPOCHS = 40  # that the usual training may take


def diverged(of: Evidence) -> Diagnosis | None:
    if len(of.losses) == 0:
        return None
    nothing = math.log(of.candidates) if of.model.objective == "softmax" else math.log(2)  # the loss of a guess
    rose = len(of.losses) > 1 and of.losses[-1] > of.losses[0] * (1 + FLAT)
    if np.isfinite(of.losses).all() and not rose and of.losses.max() < WILD * nothing:
        return None
    rate = of.train.table_learning_rate or of.model.table_rate
    lower = {"table_learning_rate": min(rate / 10, of.model.table_rate), "dense_learning_rate": min(of.train.dense_learning_rate, 0.001)}
    course = f"rose from {of.losses[0]:.3g} to {of.losses[-1]:.3g}" if rose else f"was {of.losses.max():.3g} in one epoch"
    return diagnosis(
        of,
        "diverged",
        "Training went astray: the learning rate is too high",
        f"The training loss {course}; a guess has {nothing:.3g}. The tables learned with a rate of {rate:g}.",
        Fix(f"Learn with a rate of {lower['table_learning_rate']:g}.", train=lower),
    )


def flat(of: Evidence) -> Diagnosis | None:
    if len(of.losses) < 2 or of.losses[0] - np.nanmin(of.losses) >= FLAT * abs(of.losses[0]):
        return None
    rate, usual = of.train.table_learning_rate or of.model.table_rate, of.model.table_rate
    if rate >= usual:
        return None  # something else keeps it from learning
    return diagnosis(
        of,
        "flat",
        "Hardly anything was learnt: the learning rate is too low",
        f"The training loss went from {of.losses[0]:.4g} to {np.nanmin(of.losses):.4g} in {len(of.losses)} epochs, with a rate of "
        f"{rate:g}.",
        Fix(f"Learn with the usual rate of {usual:g}.", train={"table_learning_rate": usual}),
    )


def too_short(of: Evidence) -> Diagnosis | None:
    if len(of.valid) < of.epochs or not np.isfinite(of.valid).all():
        return None  # patience ended it
    rising = len(of.valid) > 1 and of.valid[-1] - of.valid[:-1].max() > RISING * abs(of.valid[:-1].max())
    if not (rising or len(of.valid) == 1):
        return None
    usual = max(EPOCHS, 4 * of.epochs)
    course = " ".join(f"{abs(value):.3f}" for value in of.valid[-4:])
    seen = f"Validation {METRICS[of.metric].label} {course} was still improving" if rising else "There was one epoch alone"
    return diagnosis(
        of,
        "too short",
        "It was trained too short",
        f"{seen} when its {of.epochs} {'epoch was' if of.epochs == 1 else 'epochs were'} through.",
        Fix(f"Train for up to {usual} epochs; early stopping ends them.", train={"epochs": usual, "patience": of.train.patience or 3}),
    )


def by_heart(of: Evidence) -> Diagnosis | None:
    if len(of.valid) < 3 or len(of.losses) < 3 or not np.isfinite(of.valid).all():
        return None
    best, last = of.valid.max(), of.valid[-1]
    fell, learning = (best - last) / max(abs(best), 1e-12), of.losses[0] - of.losses[-1] > FELL * abs(of.losses[0])
    if fell < FELL or not learning or of.best_epoch > len(of.valid) / 2:
        return None
    wider = max(of.model.history_dropout, 0.5)
    return diagnosis(
        of,
        "by heart",
        "It learned train by heart",
        f"Validation {METRICS[of.metric].label} was best in epoch {of.best_epoch} ({abs(best):.3f}) and fell to {abs(last):.3f}, while the "
        f"training loss went on to {of.losses[-1]:.3g}.",
        Fix(f"Leave out {wider:.0%} of the history in training, and learn more slowly.", {"history_dropout": wider, "user_id": False},
            {"table_learning_rate": (of.train.table_learning_rate or of.model.table_rate) / 2}),
    )  # fmt: skip
