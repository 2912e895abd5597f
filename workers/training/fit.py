"""python -m workers.training.fit RUN_DIR DATASET_DIR ATTEMPT: fits and evaluates one model of the matrix of likes, in one process.

The counterpart of `workers/training/train.py` where there is nothing to distribute; it writes the same files.
"""

import logging
import sys
import time

import numpy as np

from workers.artifacts import (
    CHECKPOINT,
    ITEM_EMBEDDINGS,
    PER_USER,
    RATED_SETS,
    RESULTS,
    SCORED,
    TEST,
    TOP_K,
    TUNING,
    VALID,
    PreparedDataset,
    checkpoint,
    write_json,
)
from workers.batches import Likes, read_likes
from workers.evaluation import MatrixEvaluation, at_edge, catalogue, evaluate_matrix, scored_rows, write_ranked
from workers.models import MatrixSpec
from workers.run import RESUMED, RunContext, RunSpec, peak_memory, refuse_unfit, run_context
from workers.serving import KnownLikes, OpenedMatrix, measure
from workers.training.share import facts_of, learned_of
from workers.training.tuning import Tuning
from workers.training.write_results import data_alarms

log = logging.getLogger("workers.training.fit")


def main(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Fit and evaluate one model; writes the results and, last of all, done.json. Arguments and errors as in `run_context`."""
    with run_context(run_dir, dataset_dir, attempt, RunSpec, "fit") as context:
        _fit(context)


def _fit(context: RunContext[RunSpec]) -> None:
    journal, dataset, spec = context.journal, context.dataset, context.spec
    journal.event("imported")
    if context.attempt > 1:
        journal.event(RESUMED, step=0)
    if not isinstance(spec.model, MatrixSpec):
        raise TypeError(f"{spec.model.label} is trained by ranks, not fitted at once.")
    refuse_unfit(spec, dataset)
    likes, read_s = _read_likes(context)
    share = spec.train.user_share
    tuned = Tuning(context, likes, read_likes(dataset, spec.model.reads_order, share) if share < 1 else None).run()
    journal.event("trained")
    known = _known_at_test(dataset, likes, spec.model.reads_order)
    evaluation = evaluate_matrix(
        tuned.model,
        known.matrix,
        dataset,
        TEST,
        protocol=spec.protocol,
        report_progress=lambda done, total: journal.progress("evaluating", done, total),
    )
    journal.event("evaluated")
    context.refuse_older()
    _write_results(context, tuned, evaluation)
    opened_model = OpenedMatrix(catalogue(dataset.folder), tuned.model)
    served = measure.serve(context.folder, opened_model, *measure.people_to_rank(dataset, _as_read(opened_model, known)))
    cost = _save(context, tuned) | {"peak_memory_bytes": peak_memory()}
    done = {"metrics": evaluation.metrics, "users": len(evaluation.ranked), "processes": 1, "best_epoch": 1, "epochs": 1}
    alarms = [*data_alarms(context, len(evaluation.ranked)), *at_edge(spec.model.label, tuned.at_edge)]
    for sentence in alarms:
        log.warning("alarm: %s", sentence)
    facts = {"protocol": spec.protocol.model_dump(mode="json"), "chosen": tuned.chosen, "alarms": alarms}
    cost |= facts_of(learned_of(dataset, share))
    context.finish(done | cost | served | tuned.cost(read_s) | facts)


def _read_likes(context: RunContext[RunSpec]) -> tuple[Likes, float]:
    """Who liked what, and the seconds that reading it took."""
    context.journal.progress("reading who liked what", 0, 1, force=True)
    started = time.monotonic()
    likes = read_likes(context.dataset, in_order=context.spec.model.reads_order)
    seconds = time.monotonic() - started
    log.info("%d liked pairs of %d users and %d items", likes.matrix.nnz, likes.matrix.shape[0] - 1, likes.matrix.shape[1])
    if likes.unknown:
        log.warning("%d liked rows are left out: their user or item is the unknown one", likes.unknown)
    return likes, seconds


def _known_at_test(dataset: PreparedDataset, likes: Likes, in_order: bool) -> Likes:
    """Who liked what before test. likes: of train."""
    splits = dataset.known(TEST)
    return likes if splits == dataset.known(VALID) else read_likes(dataset, in_order, splits=splits)


def _as_read(opened_model: OpenedMatrix, likes: Likes) -> KnownLikes:
    return KnownLikes(in_order=likes.matrix) if opened_model.reads_order else KnownLikes(likes.matrix)


def _save(context: RunContext[RunSpec], tuned: Tuning) -> dict[str, int]:
    """Write the checkpoint: parameters and checkpoint_bytes."""
    spec, schema = tuned.filled(context.spec), context.dataset.schema
    facts = {"spec": spec.model_dump(mode="json"), "schema": schema.model_dump(mode="json"), "valid": tuned.valid}
    arrays, root = tuned.model.arrays(), context.folder / CHECKPOINT
    checkpoint.save_arrays(root, arrays, facts)
    return {
        "parameters": sum(array.size for array in arrays.values() if np.issubdtype(array.dtype, np.floating)),
        "checkpoint_bytes": sum(path.stat().st_size for path in root.rglob("*.safetensors")),
    }


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
        items = catalogue(context.dataset.folder, ["row", "item_id"])
        items.assign(embedding=list(embeddings)).to_parquet(folder / ITEM_EMBEDDINGS, index=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
