"""python -m workers.training.boost RUN_DIR DATASET_DIR ATTEMPT: fits and evaluates gradient-boosted trees, in one process.

The counterpart of `workers/training/train.py` for trees: it writes the same files, and measures trees as a network of one rank.
"""

import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch.distributed as dist

from workers.artifacts import CANCEL, CHECKPOINT, IMPORTANCE, KEEP, METRICS, RESULTS, STOPPED, TEST, TUNING, VALID, checkpoint, write_json
from workers.boosting import SETTINGS, BoostedRanker, Fitted, Ground, Grown, fit, importance, lay, load, save
from workers.evaluation import NetworkEvaluation, at_edge, evaluate_network, users_to_validate
from workers.models import LightGBMSpec, ModelSpec
from workers.run import RESUMED, RunContext, RunSpec, attempts, peak_memory, refuse_unfit, run_context
from workers.serving import measure, open_run
from workers.specs import ITEM_ID
from workers.training.progress import Learned
from workers.training.share import facts_of, learned_of
from workers.training.trials import Trials
from workers.training.write_results import alarms_of, write_results

log = logging.getLogger("workers.training.boost")
MANY_TREES = 10  # up to which nobody expects validation to have been through
REPORT_S = 0.5  # between two looks at whether somebody wants the training to stop


class _StoppedError(Exception):
    """Somebody asked that training stops, and that what there is be kept."""


def main(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Fit and evaluate one model; writes the results and, last of all, done.json. Arguments and errors as in `run_context`.

    Where `cancel` holds KEEP, it ends after a checkpoint of the trees that there are, and writes stopped.json in place of results.
    """
    with run_context(run_dir, dataset_dir, attempt, RunSpec, "fit") as context, _alone():
        _boost(context)


@contextmanager
def _alone() -> Iterator[None]:
    """A process group of this process alone, as the measuring of networks asks for; it opens no port."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _boost(context: RunContext[RunSpec]) -> None:
    journal, dataset, spec = context.journal, context.dataset, context.spec
    journal.event("imported")
    if context.attempt > 1:
        journal.event(RESUMED, step=0)
        log.info("attempt %d: trees are not continued; they are grown anew, from the first one", context.attempt)
    if not isinstance(spec.model, LightGBMSpec):
        raise TypeError(f"{spec.model.label} has no trees.")
    refuse_unfit(spec, dataset)
    with tempfile.TemporaryDirectory(prefix=".trees-", dir=context.folder) as matrices:
        boosting = Boosting(context, Path(matrices))
        try:
            boosting.run()
        except _StoppedError:
            context.refuse_older()
            write_json(context.folder / STOPPED, {"attempt": context.attempt, "step": boosting.grown, "epoch": boosting.grown})
            return
    journal.event("trained")
    evaluation = _evaluate(context, boosting.model_spec, boosting.model, TEST, boosting.progress("evaluating"))
    journal.event("evaluated")
    context.refuse_older()
    _finish(context, boosting, evaluation)


@dataclass
class Boosting(Trials[BoostedRanker]):
    """Trees with the settings that are given, or with those that a search tries. matrices: a folder for what is larger than memory."""

    matrices: Path
    ground: Ground | None = field(init=False, default=None)
    laid: dict[str, Any] = field(init=False, default_factory=dict)  # the settings that it was laid by
    fitted: Fitted = field(init=False)  # the last one
    kept: Learned = field(init=False)  # of the trees that are kept
    grown: int = field(init=False, default=0)  # trees of the last fit
    read_s: float = field(init=False, default=0.0)

    @property
    def rows(self) -> int:
        return self.ground.used if self.ground else 0

    @property
    def chooses(self) -> tuple[str, ...]:
        assert isinstance(self.context.spec.model, LightGBMSpec)
        return (self.context.spec.model.selection_metric(self.context.dataset.task), "auc")

    def run(self) -> Self:
        spec = self.context.spec
        if attempts.current(self.context.folder).concludes and not spec.budget:
            self._take_stored()
        else:
            super().run()
        return self

    def progress(self, phase: str) -> Callable[[int, int], None]:
        return lambda done, total: self.context.journal.progress(phase, done, total)

    def _try(self, spec: RunSpec, place: int, total: int) -> tuple[RunSpec, BoostedRanker, float, dict[str, float]]:
        assert isinstance(spec.model, LightGBMSpec)
        ground = self._lay(spec.model)
        since, searches = time.monotonic(), total > 1
        report_trees = self._reporter(place, total, "training")
        looked = 0.0

        def report(grown: Grown) -> bool:
            nonlocal looked
            self.grown = grown.trees
            report_trees(grown.trees / grown.of)
            if grown.value is not None and not searches:
                self._journal({self.chooses[0]: grown.value}, grown.trees, grown.trees * ground.rows)
            stops = time.monotonic() - looked > REPORT_S and self._asked_to_stop()
            looked = looked if time.monotonic() - looked <= REPORT_S else time.monotonic()
            return stops

        self.fitted = fitted = fit(spec.model, ground, spec.train.seed, report)
        fit_s = time.monotonic() - since
        model = BoostedRanker(spec.model, ground.task, ground.features, fitted.booster, fitted.trees)
        if fitted.stopped:
            self._stop(spec, model)
        limit = users_to_validate(self.context.dataset.schema.feature(ITEM_ID).num_rows) if self.context.dataset.schema.can_rank else None
        evaluation = _evaluate(self.context, spec.model, model, VALID, self.progress("validating"), limit)
        valid = {name: value for name, value in evaluation.metrics.items() if name in METRICS}
        if searches:
            self._journal(valid, place, place * ground.rows)
        log.info("%d of %d: %d trees, %s", place, total, fitted.trees, ", ".join(f"{n} {valid[n]:.4f}" for n in self.chooses if n in valid))
        return spec, model, fit_s, valid

    def _lay(self, model: LightGBMSpec) -> Ground:
        """What the trees learn from; the same for all trials that differ in other settings."""
        wanted = model.model_dump(include=SETTINGS)
        if self.ground is None or wanted != self.laid:
            since, context = time.monotonic(), self.context
            folder = Path(tempfile.mkdtemp(dir=self.matrices))
            self.ground, self.laid = None, wanted
            train = context.spec.train
            self.ground = lay(context.dataset, model, context.spec.protocol, train.seed, folder, self._say, train.user_share)
            self.read_s += time.monotonic() - since
            features = len(self.ground.features.names)
            log.info("%d rows of train, %d of the matrix, %d features", self.ground.used, self.ground.rows, features)
        return self.ground

    def _say(self, phase: str, done: int, total: int) -> None:
        self.context.journal.progress(phase, done, total, force=done == 0)

    def _journal(self, metrics: Mapping[str, float], step: int, rows: int) -> None:
        named = {f"valid_{name}": value for name, value in metrics.items()}
        self.context.journal.metrics(named, step=step, epoch=step, rows=rows)

    def _asked_to_stop(self) -> bool:
        try:
            return (self.context.folder / CANCEL).read_text().strip() == KEEP
        except OSError:
            return False

    def _stop(self, spec: RunSpec, model: BoostedRanker) -> None:
        """Keep the trees that there are, unless a search has kept better ones; raises _StoppedError."""
        log.info("stopping after %d trees, as asked; they are kept", self.grown)
        if not (self.context.checkpoints / "best.json").is_file():
            self._save(spec, model, {})
        raise _StoppedError

    def _take(self, spec: RunSpec, model: BoostedRanker, fit_s: float, valid: dict[str, float]) -> None:
        super()._take(spec, model, fit_s, valid)
        self.context.refuse_older()
        self._save(spec, model, valid)
        self.kept = _learned(self.fitted, fit_s, self.rows)

    def _save(self, spec: RunSpec, model: BoostedRanker, valid: Mapping[str, float]) -> None:
        spec = spec.model_copy(update={"search": None})
        facts = {"spec": spec.model_dump(mode="json"), "schema": self.context.dataset.schema.model_dump(mode="json"), "valid": valid}
        save(self.context.checkpoints, model, facts | {"learned": _learned(self.fitted, 0.0, self.rows).model_dump(mode="json")})

    def _take_stored(self) -> None:
        """The trees of an attempt before this one, which somebody wants measured as they are."""
        folder = checkpoint.best(self.context.checkpoints)
        facts = checkpoint.facts(folder)
        spec = self.context.spec
        assert isinstance(spec.model, LightGBMSpec)
        model = load(folder, spec.model, self.context.dataset.schema, self.context.dataset.task)
        self.model, self.model_spec, self.valid = model, spec.model, facts["valid"]
        self.kept = Learned.model_validate(facts["learned"]).model_copy(update={"concluded": True})
        self.tried = [{"settings": {}, "fit_s": 0.0, "valid": self.valid, "rows": self.kept.rows}]


def _learned(fitted: Fitted, fit_s: float, rows: int) -> Learned:
    """What came of a fit, with trees as epochs."""
    sign = -1 if METRICS[fitted.metric].better == "lower" else 1
    return Learned(
        best_epoch=fitted.trees,
        epochs=fitted.grown,
        planned_epochs=fitted.grown,
        training_s=fit_s,
        rows=rows,
        rows_per_s=rows / max(fit_s, 1e-9),
        metric=fitted.metric,
        best=sign * fitted.values[fitted.trees - 1] if fitted.values else None,
        valid=(),
        losses=(),
        stopped_early=True,
    )


def _evaluate(
    context: RunContext[RunSpec],
    spec: ModelSpec,
    model: BoostedRanker,
    split: str,
    report_progress: Callable[[int, int], None] = lambda done, total: None,
    limit: int | None = None,
) -> NetworkEvaluation:
    settings = {"predicts_label": spec.predicts_label, "protocol": context.spec.protocol, "limit": limit}
    return evaluate_network(model, context.dataset, split, report_progress=report_progress, **settings)


def _finish(context: RunContext[RunSpec], boosting: Boosting, evaluation: NetworkEvaluation) -> None:
    """Results, importance of features, timing, and done.json last of all."""
    dataset, model, learned = context.dataset, boosting.model, boosting.kept
    write_results(context, evaluation, {})
    write_json(context.folder / RESULTS / TUNING, {"chosen": boosting.chosen, "tried": boosting.tried})
    write_json(context.folder / RESULTS / IMPORTANCE, importance(model))
    served = (
        measure.serve(context.folder, open_run(context.folder, dataset), *measure.people_to_rank(dataset))
        if dataset.schema.can_rank
        else {}
    )
    alarms = [*alarms_of(context, evaluation, learned), *at_edge(context.spec.model.label, boosting.at_edge), *_cut(context, boosting)]
    for sentence in alarms:
        log.warning("alarm: %s", sentence)
    size = sum(path.stat().st_size for path in checkpoint.best(context.folder / CHECKPOINT).glob("*.safetensors"))
    context.finish(
        {"metrics": evaluation.metrics, "users": len(evaluation.ranked), "processes": 1, "best_epoch": learned.best_epoch}
        | {"epochs": learned.epochs, "trees": learned.best_epoch, "parameters": model.leaves, "checkpoint_bytes": size}
        | {"peak_memory_bytes": peak_memory(), "protocol": context.spec.protocol.model_dump(mode="json")}
        | {"chosen": boosting.chosen, "alarms": alarms, **boosting.cost(boosting.read_s), **served}
        | facts_of(learned_of(dataset, context.spec.train.user_share))
    )


def _cut(context: RunContext[RunSpec], boosting: Boosting) -> list[str]:
    """Whether rows were left out, and whether more trees would have helped."""
    spec, learned, ground = boosting.model_spec, boosting.kept, boosting.ground
    assert isinstance(spec, LightGBMSpec)
    signs = []
    if ground is not None and ground.used < ground.of:
        signs.append(
            f"It learnt from {ground.used:,} of {ground.of:,} rows of train, since most_rows is {spec.most_rows:,}: raise it where memory "
            "allows."
        )
    if learned.best is not None and learned.best_epoch >= spec.trees > MANY_TREES:
        signs.append(
            f"{spec.label}: validation was best with the last of its {spec.trees:,} trees: allow more trees, or raise learning_rate."
        )
    return signs


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
