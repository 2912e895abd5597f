"""python -m workers.training.fit RUN_DIR DATASET_DIR ATTEMPT: fits and evaluates one model of the matrix of likes, in one process.

The counterpart of `workers/training/train.py` where there is nothing to distribute; it writes the same files.
"""

import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from workers.artifacts import (
    CHECKPOINT,
    ITEM_EMBEDDINGS,
    METRICS,
    PER_USER,
    RATED_SETS,
    RESULTS,
    SCORED,
    TEST,
    TOP_K,
    TUNING,
    VALID,
    checkpoint,
    write_json,
)
from workers.batches import Likes, read_likes
from workers.evaluation import MatrixEvaluation, catalogue, evaluate_matrix, users_to_validate, write_ranked
from workers.matrices import MatrixModel
from workers.models import MatrixSpec
from workers.run import RunContext, RunSpec, peak_memory, refuse_unfit, run_context
from workers.serving import OpenedMatrix, measure
from workers.training.write_results import scored_rows

log = logging.getLogger("workers.training.fit")
CHOOSES = ("ndcg_at_10", "auc")  # the validation metric that picks settings: the first that the split has
PARTS = 100  # steps of the progress bar that one fit takes


def main(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Fit and evaluate one model; writes the results and, last of all, done.json. Arguments and errors as in `run_context`."""
    with run_context(run_dir, dataset_dir, attempt, RunSpec, "fit") as context:
        _fit(context)


def _fit(context: RunContext[RunSpec]) -> None:
    journal, dataset, spec = context.journal, context.dataset, context.spec
    journal.event("imported")
    if not isinstance(spec.model, MatrixSpec):
        raise TypeError(f"{spec.model.label} is trained by ranks, not fitted at once.")
    refuse_unfit(spec, dataset)
    likes, read_s = _read_likes(context)
    tuned = Tuning(context, likes).run()
    journal.event("trained")
    evaluation = evaluate_matrix(
        tuned.model,
        likes.matrix,
        dataset,
        TEST,
        protocol=spec.protocol,
        report_progress=lambda done, total: journal.progress("evaluating", done, total),
    )
    journal.event("evaluated")
    _write_results(context, tuned, evaluation)
    opened_model = OpenedMatrix(catalogue(dataset.folder), tuned.model)
    served = measure.serve(context.folder, opened_model, *measure.people_to_rank(dataset, likes.matrix))
    cost = _save(context, tuned) | {"peak_memory_bytes": peak_memory()}
    done = {"metrics": evaluation.metrics, "users": len(evaluation.ranked), "processes": 1, "best_epoch": 1, "epochs": 1}
    facts = {"protocol": spec.protocol.model_dump(mode="json"), "chosen": tuned.chosen}
    context.finish(done | cost | served | tuned.cost(read_s) | facts)


def _read_likes(context: RunContext[RunSpec]) -> tuple[Likes, float]:
    """Who liked what, and the seconds that reading it took."""
    context.journal.progress("reading who liked what", 0, 1, force=True)
    started = time.monotonic()
    likes = read_likes(context.dataset)
    seconds = time.monotonic() - started
    log.info("%d liked pairs of %d users and %d items", likes.matrix.nnz, likes.matrix.shape[0] - 1, likes.matrix.shape[1])
    if likes.unknown:
        log.warning("%d liked rows are left out: their user or item is the unknown one", likes.unknown)
    return likes, seconds


def _save(context: RunContext[RunSpec], tuned: "Tuning") -> dict[str, int]:
    """Write the checkpoint: parameters and checkpoint_bytes."""
    spec, schema = tuned.filled(context.spec), context.dataset.schema
    facts = {"spec": spec.model_dump(mode="json"), "schema": schema.model_dump(mode="json"), "valid": tuned.valid}
    arrays, root = tuned.model.arrays(), context.folder / CHECKPOINT
    checkpoint.save_arrays(root, arrays, facts)
    return {
        "parameters": sum(array.size for array in arrays.values() if np.issubdtype(array.dtype, np.floating)),
        "checkpoint_bytes": sum(path.stat().st_size for path in root.rglob("*.safetensors")),
    }


def candidates(spec: MatrixSpec) -> list[MatrixSpec]:
    """Every combination of the values to try of the settings that are None; the spec itself where all are given."""
    open_ = [name for name in spec.tuned if getattr(spec, name) is None]
    return [spec.model_copy(update=dict(zip(open_, values, strict=True))) for values in product(*(spec.tuned[name] for name in open_))]


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

    def run(self) -> "Tuning":
        """Try all; `model`, `model_spec` and `valid` are then the best one's."""
        spec = self.context.spec.model
        assert isinstance(spec, MatrixSpec)
        every, started = candidates(spec), time.monotonic()
        best = -np.inf
        for place, candidate in enumerate(every, 1):
            model, fit_s, metrics = self._try(candidate, place, len(every), started)
            value = next((metrics[name] for name in CHOOSES if name in metrics), -np.inf)
            self.tried.append({"settings": self._open(candidate), "fit_s": fit_s, "valid": metrics})
            if place == 1 or value > best:
                best, self.model, self.model_spec, self.valid, self.fit_s = value, model, candidate, metrics, fit_s
        if len(every) > 1:
            named = next((METRICS[name].label for name in CHOOSES if name in self.valid), None)
            why = f"best of {len(every)} by {named} on validation" if named else "the first: validation has nothing to choose by"
            log.info("chosen: %s (%s)", _listed(self.chosen), why)
        return self

    def _try(self, candidate: MatrixSpec, place: int, total: int, started: float) -> tuple[MatrixModel, float, dict[str, float]]:
        """Fit and measure one candidate: the model, seconds to fit it, its validation metrics."""

        def report_progress(share: float) -> None:
            done = place - 1 + share
            left = (total - done) / done * (time.monotonic() - started) if done else None
            self.context.journal.progress("fitting", int(done * PARTS), total * PARTS + 1, eta_s=left)

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

    def _open(self, candidate: MatrixSpec) -> dict[str, Any]:
        """The candidate's values of the settings that were left open."""
        return {name: getattr(candidate, name) for name in candidate.tuned if getattr(self.context.spec.model, name) is None}

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings that tuning chose; empty where all were given."""
        return self._open(self.model_spec)

    def filled(self, spec: RunSpec) -> RunSpec:
        """The run's spec with what was chosen."""
        return spec.model_copy(update={"model": self.model_spec})

    def cost(self, read_s: float) -> dict[str, float]:
        """The cost of reading the likes and of all fits: tuning is part of what a model costs. `rows` counts liked rows once a fit."""
        rows, seconds = len(self.tried) * int(self.likes.counts.sum()), read_s + self.seconds
        return {"training_s": seconds, "fit_s": self.fit_s, "rows": rows, "rows_per_s": rows / seconds}


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _write_results(context: RunContext[RunSpec], tuned: Tuning, evaluation: MatrixEvaluation) -> None:
    folder = context.folder / RESULTS
    folder.mkdir(exist_ok=True)
    write_json(folder / TUNING, {"chosen": tuned.chosen, "tried": tuned.tried})
    write_ranked(evaluation.ranked, folder / PER_USER, folder / TOP_K)
    rows = evaluation.rows
    scored_rows(rows.users, rows.items, rows.labels, rows.known, evaluation.scores).to_parquet(folder / SCORED, index=False)
    if evaluation.sets is not None:
        evaluation.sets.to_parquet(folder / RATED_SETS, index=False)
    embeddings = tuned.model.item_embeddings()
    if embeddings is not None:
        items = catalogue(context.dataset.folder)[["row", "item_id"]]
        items.assign(embedding=list(embeddings)).to_parquet(folder / ITEM_EMBEDDINGS, index=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
