"""The settings of a fitted model that are left empty, chosen on validation: a grid, then on from its best until that is inside.

Coordinate search from the best of the grid: the next value on either side of each setting is tried, beyond an edge by the grid's own
step, and the search moves there as long as validation improves. So a best value at the edge of the grid is no longer the last word.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from workers.artifacts import METRICS, VALID
from workers.batches import Likes
from workers.evaluation import evaluate_matrix, users_to_validate
from workers.matrices import MatrixModel
from workers.models import MatrixSpec
from workers.run import RunContext, RunSpec

Number = int | float
log = logging.getLogger("workers.training.fit")
CHOOSES = ("ndcg_at_10", "auc")  # the validation metric that picks settings: the first that the split has
PARTS = 100  # steps of the progress bar that one fit takes
MOST_STEPS, MOST_EFFORT = (
    16,
    2.0,
)  # of the search beyond the grid: fits, and effort in units of the grid's; both are the same on any machine


def candidates(spec: MatrixSpec) -> list[MatrixSpec]:
    """Every combination of the grid's values of the settings that are None; the spec itself where all are given."""
    open_ = [name for name in spec.tuned if getattr(spec, name) is None]
    values = [spec.tuned[name][:1] if name in spec.options else spec.tuned[name] for name in open_]
    return [spec.model_copy(update=dict(zip(open_, one, strict=True))) for one in product(*values)]


def beyond(values: Sequence[Number], value: Number, up: bool) -> Number:
    """The value next to one on a grid or outside it, by the step at the grid's end: a factor, or a difference where a value is 0."""
    first, second = (values[-2], values[-1]) if up else (values[1], values[0])
    following = value + second - first if 0 in values else value * second / first
    return round(following) if isinstance(value, int) else float(f"{following:.6g}")


@dataclass
class Tuning:
    """Every candidate fitted on train and measured on validation; the best, or the first of equals, is kept."""

    context: RunContext[RunSpec]
    likes: Likes
    model: MatrixModel = field(init=False)
    model_spec: MatrixSpec = field(init=False)
    valid: dict[str, float] = field(default_factory=dict)
    tried: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0  # of all fits, without measuring them
    fit_s: float = 0.0  # of the fit that is kept
    best: float = -np.inf
    started: float = 0.0

    def run(self) -> "Tuning":
        """Try all; `model`, `model_spec` and `valid` are then the best one's."""
        spec = self.context.spec.model
        assert isinstance(spec, MatrixSpec)
        every, self.started = candidates(spec), time.monotonic()
        for candidate in every:
            self._consider(candidate, len(every))
        if len(self.tried) > 1 and np.isfinite(self.best):
            self._climb(MOST_EFFORT * sum(one.effort for one in every))
        if len(self.tried) > 1:
            named = next((METRICS[name].label for name in CHOOSES if name in self.valid), None)
            why = f"best of {len(self.tried)} by {named} on validation" if named else "the first: validation has nothing to choose by"
            log.info("chosen: %s (%s)", _listed(self.chosen), why)
        return self

    def _climb(self, left: float) -> None:
        """Move to better neighbours of the best, the cheapest first, until there is none or the fits or the effort are spent.

        Args:
            left: the effort that may be spent.
        """
        last, moved = len(self.tried) + MOST_STEPS, True
        while moved:
            moved = False
            for candidate in self._neighbours(self.model_spec):
                if len(self.tried) < last and candidate.effort <= left:
                    left -= candidate.effort
                    if moved := self._consider(candidate, len(self.tried) + 1):
                        break

    def _neighbours(self, spec: MatrixSpec) -> list[MatrixSpec]:
        """The settings next to some that were not tried yet."""
        around = [spec.model_copy(update={name: value}) for name in self._open(spec) for value in self._beside(spec, name)]
        return sorted((one for one in around if not self._was_tried(one)), key=lambda one: one.effort)

    def _was_tried(self, spec: MatrixSpec) -> bool:
        return self._open(spec) in [row["settings"] for row in self.tried]

    def _beside(self, spec: MatrixSpec, name: str) -> list[Any]:
        """The values next to that of one setting: of names all others."""
        values, value = spec.tuned[name], getattr(spec, name)
        if isinstance(value, str) or name in spec.options or len(values) < 2:
            return [other for other in values if other != value]
        known = sorted({row["settings"][name] for row in self.tried})
        above, below = [one for one in known if one > value], [one for one in known if one < value]
        up = above[0] if above else beyond(values, value, up=True)
        down = below[-1] if below else beyond(values, value, up=False)
        low, high = spec.range_of(name)
        return [one for one in (up, down) if low <= one <= high and one != value]

    def _consider(self, candidate: MatrixSpec, total: int) -> bool:
        """Fit and measure a candidate, and keep it where it is the first or better than all before."""
        model, fit_s, metrics = self._try(candidate, len(self.tried) + 1, total)
        value = next((metrics[name] for name in CHOOSES if name in metrics), -np.inf)
        self.tried.append({"settings": self._open(candidate), "fit_s": fit_s, "valid": metrics})
        better = len(self.tried) == 1 or value > self.best
        if better:
            self.best, self.model, self.model_spec, self.valid, self.fit_s = value, model, candidate, metrics, fit_s
        return better

    def _try(self, candidate: MatrixSpec, place: int, total: int) -> tuple[MatrixModel, float, dict[str, float]]:
        """Fit and measure one candidate: the model, seconds to fit it, its validation metrics."""
        report_progress = self._reporter(place, total)
        report_progress(0.0)
        model, since = candidate.build(), time.monotonic()
        model.fit(self.likes, self.context.spec.train.seed, report_progress)
        fit_s = time.monotonic() - since
        self.seconds += fit_s
        likes, limit = self.likes.matrix, users_to_validate(self.likes.matrix.shape[1])
        evaluation = evaluate_matrix(model, likes, self.context.dataset, VALID, protocol=self.context.spec.protocol, limit=limit)
        metrics = {name: value for name, value in evaluation.metrics.items() if name in METRICS}
        named = {f"valid_{name}": value for name, value in metrics.items()}
        self.context.journal.metrics(named, step=place, epoch=place, rows=place * likes.nnz)
        measured = ", ".join(f"{name} {metrics[name]:.4f}" for name in CHOOSES if name in metrics)
        log.info("%d of %d, %s: %s", place, total, _listed(self._open(candidate)) or "as given", measured)
        return model, fit_s, metrics

    def _reporter(self, place: int, total: int) -> Callable[[float], None]:
        def report_progress(share: float) -> None:
            done = place - 1 + share
            left = (total - done) / done * (time.monotonic() - self.started) if done else None
            self.context.journal.progress("fitting", int(done * PARTS), total * PARTS + 1, eta_s=left)

        return report_progress

    def _open(self, candidate: MatrixSpec) -> dict[str, Any]:
        """The candidate's values of the settings that were left open."""
        return {name: getattr(candidate, name) for name in candidate.tuned if getattr(self.context.spec.model, name) is None}

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings that tuning chose; empty where all were given."""
        return self._open(self.model_spec)

    @property
    def at_edge(self) -> dict[str, Any]:
        """The chosen settings that are the last value tried on one side, although the search could have gone on there."""
        if len(self.tried) < 2 or not np.isfinite(self.best):
            return {}
        edges = {}
        for name, value in self.chosen.items():
            known = {row["settings"][name] for row in self.tried}
            if isinstance(value, str) or name in self.model_spec.options or len(known) < 2 or min(known) < value < max(known):
                continue
            following = beyond(self.model_spec.tuned[name], value, up=value == max(known))
            low, high = self.model_spec.bounds_of(name)
            meant = value in self.model_spec.tuned[name] and value in self.model_spec.limits.get(name, ())  # such as 16 sweeps
            if low <= following <= high and following != value and not meant:
                edges[name] = value
        return edges

    def filled(self, spec: RunSpec) -> RunSpec:
        """The run's spec with what was chosen."""
        return spec.model_copy(update={"model": self.model_spec})

    def cost(self, read_s: float) -> dict[str, float]:
        """The cost of reading the likes and of all fits: tuning is part of what a model costs. `rows` counts liked rows once a fit."""
        rows, seconds = len(self.tried) * int(self.likes.counts.sum()), read_s + self.seconds
        return {"training_s": seconds, "fit_s": self.fit_s, "rows": rows, "rows_per_s": rows / seconds}


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
