"""The settings of a fitted model that are left empty, chosen on validation by a search with a budget, as those of networks are."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workers.artifacts import METRICS, VALID
from workers.batches import Likes
from workers.evaluation import evaluate_matrix, users_to_validate
from workers.matrices import MatrixModel
from workers.models import MatrixSpec
from workers.run import RunContext, RunSpec, attempts
from workers.search import Ended, Study, first_settings, listed, space_of, with_settings
from workers.specs import SearchSpec

log = logging.getLogger("workers.training.fit")
CHOOSES = ("ndcg_at_10", "auc")  # the validation metric that picks settings: the first that the split has
PARTS = 100  # steps of the progress bar that one fit takes


@dataclass
class Tuning:
    """Settings fitted on train and measured on validation, one after another; the best, or the first of equals, is kept."""

    context: RunContext[RunSpec]
    likes: Likes  # of everybody, whom lists are made for
    of_share: Likes | None = None  # of the users who are learned from; None: of everybody
    model: MatrixModel = field(init=False)
    model_spec: MatrixSpec = field(init=False)
    chosen: dict[str, Any] = field(default_factory=dict)  # dotted name -> value; empty where all were given
    at_edge: dict[str, Any] = field(default_factory=dict)  # those that lie at an end of what is tried
    valid: dict[str, float] = field(default_factory=dict)
    tried: list[dict[str, Any]] = field(default_factory=list)
    fit_s: float = 0.0  # of the fit that is kept
    search_s: float = 0.0
    started: float = 0.0

    @property
    def learned(self) -> Likes:
        """What models are fitted on."""
        return self.of_share or self.likes

    def run(self) -> "Tuning":
        """Try settings until the budget is spent; `model`, `model_spec` and `valid` are then the best one's."""
        spec, self.started = self.context.spec, time.monotonic()
        space = space_of(spec)
        if not space:
            self._take(*self._try(spec, 1, 1))
            self.tried = [{"settings": {}, "fit_s": self.fit_s, "valid": self.valid, "rows": int(self.learned.counts.sum())}]
        else:
            search = spec.budget or SearchSpec()
            self._search(Study(self.context.folder, search, space, first_settings(spec, space), spec.train.seed), search)
        return self

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
            value = next((metrics[name] for name in CHOOSES if name in metrics), None)
            facts = {"fit_s": fit_s, "valid": metrics, "rows": int(self.learned.counts.sum()), "seconds": study.seconds_of(trial.number)}
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
        named = next((METRICS[name].label for name in CHOOSES if name in self.valid), None)
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

    def _take(self, spec: RunSpec, model: MatrixModel, fit_s: float, valid: dict[str, float]) -> None:
        assert isinstance(spec.model, MatrixSpec)
        self.model_spec, self.model, self.fit_s, self.valid = spec.model, model, fit_s, valid

    def _try(self, spec: RunSpec, place: int, total: int) -> tuple[RunSpec, MatrixModel, float, dict[str, float]]:
        """Fit and measure with some settings: these, the model, seconds to fit it, its validation metrics."""
        assert isinstance(spec.model, MatrixSpec)
        report_progress = self._reporter(place, total)
        report_progress(0.0)
        model, since = spec.model.build(), time.monotonic()
        model.fit(self.learned, spec.train.seed, report_progress)
        fit_s = time.monotonic() - since
        likes, limit = self.likes.matrix, users_to_validate(self.likes.matrix.shape[1])
        evaluation = evaluate_matrix(model, likes, self.context.dataset, VALID, protocol=spec.protocol, limit=limit)
        metrics = {name: value for name, value in evaluation.metrics.items() if name in METRICS}
        named = {f"valid_{name}": value for name, value in metrics.items()}
        self.context.journal.metrics(named, step=place, epoch=place, rows=place * self.learned.matrix.nnz)
        log.info("%d of %d: %s", place, total, ", ".join(f"{name} {metrics[name]:.4f}" for name in CHOOSES if name in metrics))
        return spec, model, fit_s, metrics

    def _reporter(self, place: int, total: int) -> Callable[[float], None]:
        def report_progress(share: float) -> None:
            done = place - 1 + share
            left = (total - done) / done * (time.monotonic() - self.started) if done else None
            self.context.journal.progress("fitting", int(done * PARTS), total * PARTS + 1, eta_s=left)

        return report_progress

    def filled(self, spec: RunSpec) -> RunSpec:
        """The run's spec with what was chosen."""
        return spec.model_copy(update={"model": self.model_spec, "search": None})

    def cost(self, read_s: float) -> dict[str, float]:
        """The cost of reading the likes and of all fits: tuning is part of what a model costs. `rows` counts liked rows once a fit."""
        rows = sum(row["rows"] for row in self.tried)
        seconds = read_s + sum(row["fit_s"] for row in self.tried)
        spent = {"trials": len(self.tried), "search_s": self.search_s} if self.chosen else {}
        return {"training_s": seconds, "fit_s": self.fit_s, "rows": rows, "rows_per_s": rows / max(seconds, 1e-9), **spent}
