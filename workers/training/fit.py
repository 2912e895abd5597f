"""python -m workers.training.fit RUN_DIR DATASET_DIR ATTEMPT: fits and judges one model of the matrix of likes, in one process.

The counterpart of `workers/training/train.py` where there is nothing to distribute; it leaves the same files.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from workers.artifacts import (
    CHECKPOINT,
    DONE,
    ITEM_EMBEDDINGS,
    MANIFEST,
    METRICS,
    PER_USER,
    RESULTS,
    SCORED,
    SPEC,
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
from workers.run import Journal, RunSpec, log_and_report_errors, peak_memory
from workers.serving import OpenedMatrix, measure
from workers.specs import FeatureSchema
from workers.training.write_results import scored_rows

log = logging.getLogger("workers.training.fit")
CHOOSES = ("ndcg_at_10", "auc")  # the validation metric that picks settings: the first that the split has
PARTS = 100  # of a fit, in what is told of progress


def main(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Fit and judge one model; leaves the results and, last of all, done.json.

    Args:
        run_dir: the run's folder, with spec.json in it.
        dataset_dir: the prepared dataset.
        attempt: goes into done.json, so that a late writer of an older attempt is known.

    Raises:
        Whatever went wrong, after leaving it in `fit.error.json`.
    """
    run = Path(run_dir)
    with log_and_report_errors(run, "fit"):
        _fit(run, Path(dataset_dir), RunSpec.read(run / SPEC), attempt)


def _fit(run: Path, dataset: Path, spec: RunSpec, attempt: int) -> None:
    journal = Journal(run)
    journal.event("imported")
    manifest = json.loads((dataset / MANIFEST).read_text())
    schema = FeatureSchema.model_validate(manifest["schema"])
    if not isinstance(spec.model, MatrixSpec):
        raise TypeError(f"{spec.model.label} is trained by ranks, not fitted at once.")
    if why := spec.model.refusal(schema, manifest.get("label", {})):
        raise ValueError(why)
    journal.progress("reading who liked what", 0, 1, force=True)
    started = time.monotonic()
    likes = read_likes(dataset, schema)
    read_s = time.monotonic() - started
    log.info("%d liked pairs of %d users and %d items", likes.matrix.nnz, likes.matrix.shape[0] - 1, likes.matrix.shape[1])
    if likes.unknown:
        log.warning("%d liked rows are left out: their user or item is the unknown one", likes.unknown)
    tuned = Tuning(dataset, likes, spec, journal).run()
    journal.event("trained")

    def told(done: int, total: int) -> None:
        journal.progress("evaluating", done, total)

    judged = evaluate_matrix(tuned.model, likes.matrix, dataset, TEST, told=told, protocol=spec.protocol)
    journal.event("evaluated")
    _write_results(run, dataset, tuned, judged)
    served = measure.serve(run, OpenedMatrix(catalogue(dataset), tuned.model), *measure.people_to_rank(dataset, likes.matrix))
    kept = {"spec": tuned.filled(spec).model_dump(mode="json"), "schema": schema.model_dump(mode="json"), "valid": tuned.valid}
    arrays = tuned.model.arrays()
    checkpoint.save_arrays(run / CHECKPOINT, arrays, kept)
    cost = {
        "parameters": sum(array.size for array in arrays.values() if np.issubdtype(array.dtype, np.floating)),
        "checkpoint_bytes": sum(path.stat().st_size for path in (run / CHECKPOINT).rglob("*.safetensors")),
        "peak_memory_bytes": peak_memory(),
    }
    done = {"attempt": attempt, "metrics": judged.metrics, "users": len(judged.ranked), "processes": 1, "best_epoch": 1, "epochs": 1}
    journal.event("done")
    measured = {"protocol": spec.protocol.model_dump(mode="json"), "chosen": tuned.chosen}
    write_json(run / DONE, done | cost | served | tuned.cost(read_s) | measured)


def candidates(spec: MatrixSpec) -> list[MatrixSpec]:
    """Every combination of the values to try of the settings that are None; the spec itself where all are given."""
    open_ = [name for name in spec.tuned if getattr(spec, name) is None]
    return [spec.model_copy(update=dict(zip(open_, values, strict=True))) for values in product(*(spec.tuned[name] for name in open_))]


@dataclass
class Tuning:
    """Every candidate fitted on train and measured on validation; the best, or the first of equals, is kept."""

    dataset: Path
    likes: Likes
    spec: RunSpec
    journal: Journal
    model: MatrixModel = field(init=False)
    model_spec: MatrixSpec = field(init=False)
    valid: dict[str, float] = field(default_factory=dict)
    tried: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0  # of all fits, without measuring them
    fit_s: float = 0.0  # of the fit that is kept

    def run(self) -> "Tuning":
        """Try all; `model`, `model_spec` and `valid` are then the best one's."""
        assert isinstance(self.spec.model, MatrixSpec)
        every, started = candidates(self.spec.model), time.monotonic()
        best = -np.inf
        for place, candidate in enumerate(every, 1):
            model, fit_s, found = self._try(candidate, place, len(every), started)
            value = next((found[name] for name in CHOOSES if name in found), -np.inf)
            self.tried.append({"settings": self._open(candidate), "fit_s": fit_s, "valid": found})
            if place == 1 or value > best:
                best, self.model, self.model_spec, self.valid, self.fit_s = value, model, candidate, found, fit_s
        if len(every) > 1:
            named = next((METRICS[name].label for name in CHOOSES if name in self.valid), None)
            why = f"best of {len(every)} by {named} on validation" if named else "the first: validation has nothing to choose by"
            log.info("chosen: %s (%s)", _said(self.chosen), why)
        return self

    def _try(self, candidate: MatrixSpec, place: int, total: int, started: float) -> tuple[MatrixModel, float, dict[str, float]]:
        """Fit and measure one candidate: the model, seconds to fit it, its validation metrics."""

        def told(share: float) -> None:
            done = place - 1 + share
            left = (total - done) / done * (time.monotonic() - started) if done else None
            self.journal.progress("fitting", int(done * PARTS), total * PARTS + 1, eta_s=left)

        told(0.0)
        model, since = candidate.build(), time.monotonic()
        model.fit(self.likes, self.spec.train.seed, told)
        fit_s = time.monotonic() - since
        self.seconds += fit_s
        some = users_to_validate(self.likes.matrix.shape[1])
        judged = evaluate_matrix(model, self.likes.matrix, self.dataset, VALID, some, protocol=self.spec.protocol)
        found = {name: value for name, value in judged.metrics.items() if name in METRICS}
        rows = place * self.likes.matrix.nnz
        self.journal.metrics({f"valid_{name}": value for name, value in found.items()}, step=place, epoch=place, rows=rows)
        measured = ", ".join(f"{name} {found[name]:.4f}" for name in CHOOSES if name in found)
        log.info("%d of %d, %s: %s", place, total, _said(self._open(candidate)) or "as given", measured)
        return model, fit_s, found

    def _open(self, candidate: MatrixSpec) -> dict[str, Any]:
        return {name: getattr(candidate, name) for name in candidate.tuned if getattr(self.spec.model, name) is None}

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings that tuning chose; empty where all were given."""
        return self._open(self.model_spec)

    def filled(self, spec: RunSpec) -> RunSpec:
        """The run's spec with what was chosen."""
        return spec.model_copy(update={"model": self.model_spec})

    def cost(self, read_s: float) -> dict[str, float]:
        """What reading the likes and all fits together took: tuning is part of what a model costs. `rows`: liked ones, once a fit."""
        rows, seconds = len(self.tried) * int(self.likes.counts.sum()), read_s + self.seconds
        return {"training_s": seconds, "fit_s": self.fit_s, "rows": rows, "rows_per_s": rows / seconds}


def _said(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _write_results(run: Path, dataset: Path, tuned: Tuning, judged: MatrixEvaluation) -> None:
    folder = run / RESULTS
    folder.mkdir(exist_ok=True)
    write_json(folder / TUNING, {"chosen": tuned.chosen, "tried": tuned.tried})
    write_ranked(judged.ranked, folder / PER_USER, folder / TOP_K)
    rows = judged.rows
    scored_rows(rows.users, rows.items, rows.labels, rows.known, judged.scores).to_parquet(folder / SCORED, index=False)
    embeddings = tuned.model.item_embeddings()
    if embeddings is not None:
        items = catalogue(dataset)[["row", "item_id"]]
        items.assign(embedding=list(embeddings)).to_parquet(folder / ITEM_EMBEDDINGS, index=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
