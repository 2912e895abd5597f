"""Models that one process fits: with the settings that are given, or with the best of a search on validation within a budget."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

from workers.artifacts import METRICS
from workers.models import ModelSpec
from workers.run import RunContext, RunSpec, attempts
from workers.search import Ended, Study, first_settings, listed, space_of, with_settings
from workers.specs import SearchSpec

log = logging.getLogger("workers.training.fit")
PARTS = 100  # steps of the progress bar that one fit takes
M = TypeVar("M")


@dataclass
class Trials(ABC, Generic[M]):
    """Settings fitted on train and measured on validation, one after another; the best, or the first of equals, is kept."""

    context: RunContext[RunSpec]
    model: M = field(init=False)
    model_spec: ModelSpec = field(init=False)
    chosen: dict[str, Any] = field(init=False, default_factory=dict)  # dotted name -> value; empty where all were given
    at_edge: dict[str, Any] = field(init=False, default_factory=dict)  # those that lie at an end of what is tried
    valid: dict[str, float] = field(init=False, default_factory=dict)
    tried: list[dict[str, Any]] = field(init=False, default_factory=list)
    fit_s: float = field(init=False, default=0.0)  # of the fit that is kept
    search_s: float = field(init=False, default=0.0)
    started: float = field(init=False, default=0.0)

    @abstractmethod
    def _try(self, spec: RunSpec, place: int, total: int) -> tuple[RunSpec, M, float, dict[str, float]]:
        """Fit and measure with some settings: these, the model, seconds to fit it, its validation metrics."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """Rows of train that one fit reads."""

    @property
    @abstractmethod
    def chooses(self) -> tuple[str, ...]:
        """The validation metric that picks settings: the first that the split has."""

    def run(self) -> Self:
        """Try settings until the budget is spent; `model`, `model_spec` and `valid` are then the best one's."""
        spec, self.started = self.context.spec, time.monotonic()
        space = space_of(spec) if spec.budget else {}
        if not space:
            self._take(*self._try(spec, 1, 1))
            self.tried = [{"settings": {}, "fit_s": self.fit_s, "valid": self.valid, "rows": self.rows}]
        else:
            search = spec.budget or SearchSpec()
            self._search(Study(self.context.folder, search, space, first_settings(spec, space), spec.train.seed), search)
        return self

    def _value(self, metrics: Mapping[str, float]) -> float | None:
        """The metric that picks settings, signed so that more is better."""
        name = next((name for name in self.chooses if name in metrics), None)
        return None if name is None else metrics[name] * (-1 if METRICS[name].better == "lower" else 1)

    def _search(self, study: Study, search: SearchSpec) -> None:
        spec, kept = self.context.spec, -1
        while not self._concludes(study) and (trial := study.next()) is not None:
            log.info("%d of %d: %s", trial.number + 1, search.trials, listed(trial.settings))
            try:
                own, model, fit_s, metrics = self._try(with_settings(spec, trial.settings), trial.number + 1, search.trials)
            except ValueError as error:  # such as a matrix that these settings make singular
                log.warning("%d of %d failed: %s", trial.number + 1, search.trials, error)
                study.end(trial.number, "failed", None, {"fit_s": 0.0, "rows": 0, "why": str(error)})
                continue
            value = self._value(metrics)
            facts = {"fit_s": fit_s, "valid": metrics, "rows": self.rows, "seconds": study.seconds_of(trial.number)}
            study.end(trial.number, "done", value, facts)
            best = study.best()
            if kept < 0 or (best is not None and best.number == trial.number):
                self._take(own, model, fit_s, metrics)
                kept = trial.number
            if value is None:  # validation has nothing to choose by
                break
        best = study.best() or self._first(study)
        if best.number != kept:  # fitted by an attempt before this one
            self._take(*self._try(with_settings(spec, best.settings), search.trials, search.trials))
        self.chosen, self.at_edge, self.search_s = best.settings, study.at_edge(best.settings), study.seconds
        self.tried = [{**one.facts, "settings": one.settings, "state": one.state, "value": one.value} for one in study.ended()]
        named = next((METRICS[name].label for name in self.chooses if name in self.valid), None)
        why = f"best of {len(self.tried)} by {named} on validation" if named else "the first: validation has nothing to choose by"
        log.info("chosen: %s (%s)", listed(self.chosen), why)

    def _first(self, study: Study) -> Ended:
        """The first trial that could be fitted, where validation has nothing to choose by."""
        ended = study.ended()
        if fitted := [one for one in ended if one.state == "done"]:
            return fitted[0]
        raise ValueError(f"None of {len(ended)} settings could be fitted. The last one: {ended[-1].facts['why']}")

    def _concludes(self, study: Study) -> bool:
        """Whether somebody wants what there is measured as it is."""
        return attempts.current(self.context.folder).concludes and bool(study.ended())

    def _take(self, spec: RunSpec, model: M, fit_s: float, valid: dict[str, float]) -> None:
        self.model_spec, self.model, self.fit_s, self.valid = spec.model, model, fit_s, valid

    def _reporter(self, place: int, total: int, phase: str = "fitting") -> Callable[[float], None]:
        def report_progress(share: float) -> None:
            done = place - 1 + share
            left = (total - done) / done * (time.monotonic() - self.started) if done else None
            self.context.journal.progress(phase, int(done * PARTS), total * PARTS + 1, eta_s=left)

        return report_progress

    def filled(self, spec: RunSpec) -> RunSpec:
        """The run's spec with what was chosen."""
        return spec.model_copy(update={"model": self.model_spec, "search": None})

    def cost(self, read_s: float) -> dict[str, float]:
        """The cost of reading train and of all fits: tuning is part of what a model costs. `rows` counts the rows that all fits read."""
        rows = sum(row["rows"] for row in self.tried)
        seconds = read_s + sum(row["fit_s"] for row in self.tried)
        spent = {"trials": len(self.tried), "search_s": self.search_s} if self.chosen else {}
        return {"training_s": seconds, "fit_s": self.fit_s, "rows": rows, "rows_per_s": rows / max(seconds, 1e-9), **spent}
