"""One cause why a two-tower is not better: the evidence, what to do, and the run that does it."""

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from engine.diagnosis.evidence import Evidence
from workers.run import RunSpec

Cause = Literal[
    "few users", "unknown rows", "label rule", "reads nothing", "diverged", "flat", "too short", "pointwise", "dislikes", "few negatives",
    "temperature", "collapsed", "by heart", "noise", "dropout", "narrow", "popularity alone",
]  # fmt: skip


class Diagnosis(BaseModel):
    """One cause: what it is, the evidence, what to do, and the run that does it (None: the data must be prepared otherwise)."""

    model_config = ConfigDict(frozen=True)

    cause: Cause
    title: str
    evidence: str
    advice: str
    run: RunSpec | None = None


class Fix(NamedTuple):
    """What to do, in words, and the settings that do it."""

    advice: str
    model: dict[str, Any] = {}  # noqa: RUF012 (never written to)
    train: dict[str, Any] = {}  # noqa: RUF012


def diagnosis(of: Evidence, cause: Cause, title: str, evidence: str, fix: Fix) -> Diagnosis:
    """The record of a cause, with the run that its settings make."""
    changed = bool(fix.model or fix.train)
    spec = of.spec.model_copy(
        update={
            "name": None,
            "continues": None,
            "model": of.model.model_copy(update=fix.model),
            "train": of.spec.train.model_copy(update=fix.train),
        }
    )
    return Diagnosis(cause=cause, title=title, evidence=evidence, advice=fix.advice, run=spec if changed else None)
