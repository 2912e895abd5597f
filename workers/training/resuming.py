"""Going on from a checkpoint: of an earlier attempt of the same run, or of the run that a new one continues."""

import logging
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from workers.artifacts import METRICS, checkpoint
from workers.run import RunContext, RunSpec
from workers.training.feed import Feed
from workers.training.progress import Progress, Start
from workers.training.sharding import DistributedModel, fused_state, optimizers_fit, restore_dense

log = logging.getLogger("workers.training.train")


def newest_of(context: RunContext[RunSpec]) -> Path | None:
    """Collective: the checkpoint that an attempt after the first goes on from; None: it begins anew.

    Raises:
        ValueError: the dataset is not the one that the run began with.
    """
    if context.attempt <= 1:
        return None
    root = context.checkpoints
    if context.trial and not _seen_by_all(root):
        return None  # a trial that no attempt before had begun
    if dist.get_rank() == 0:
        context.refuse_older()
        checkpoint.sweep(root)
    folder = checkpoint.newest(root)
    if dist.get_rank() == 0:
        checkpoint.drop_steps(root, after=folder)
    if folder is None:
        log.warning("attempt %d begins anew: there is no whole checkpoint", context.attempt)
        return None
    if checkpoint.facts(folder)["schema"] != context.dataset.schema.model_dump(mode="json"):
        raise ValueError(
            f"Dataset {context.spec.dataset} has other columns or vocabularies than when this run began: it was prepared anew. "
            "Train a new run on it."
        )
    return folder


def _seen_by_all(folder: Path) -> bool:
    """Collective: whether rank 0 sees a folder."""
    there = [folder.exists()]
    dist.broadcast_object_list(there)
    return there[0]


def resumed_progress(folder: Path) -> Progress:
    """How far the run had come at a checkpoint."""
    return Progress.model_validate(checkpoint.facts(folder)["progress"])


def take_weights(folder: Path, model: DistributedModel) -> None:
    """Collective: load a checkpoint's weights and its optimizers' states, which begin anew where they do not fit."""
    checkpoint.restore(folder, model.module.state_dict())
    states = checkpoint.restore_optimizers(folder, fused_state(model.optimizers))
    if states is None or not optimizers_fit(model.optimizers, states):
        log.warning("the optimizers of %s do not fit this plan: its weights are taken over, its optimizers begin anew", folder.name)
    else:
        restore_dense(model.optimizers, states)


def take_up(context: RunContext[RunSpec], model: DistributedModel, feed: Feed, folder: Path) -> Progress:
    """Collective: go on where the run was at a checkpoint, whose weights were taken already."""
    progress = _with_best(context.checkpoints, folder, resumed_progress(folder), context)
    exact = feed.resume(folder, progress)
    if not exact:
        torch.manual_seed(int(np.random.default_rng([context.spec.train.seed, progress.step, dist.get_rank()]).integers(2**62)))
    log.info(
        "attempt %d goes on from step %d of epoch %d, written by %d ranks%s",
        context.attempt,
        progress.step,
        progress.epoch,
        checkpoint.ranks_of(folder),
        "" if exact else ", whose rows are divided anew",
    )
    return progress


def _with_best(root: Path, folder: Path, progress: Progress, context: RunContext[RunSpec]) -> Progress:
    """Collective: the progress with the best epoch that is on disk.

    An attempt may have ended between the checkpoint of an epoch and its being named the best, or after the best of an epoch whose own
    checkpoint is damaged.
    """
    found: list[tuple[int, float] | None] = [None]
    if dist.get_rank() == 0:
        found[0] = _best_on_disk(root, folder, progress, context)
    dist.broadcast_object_list(found)
    epoch, value = found[0] or (0, float("nan"))
    return progress.model_copy(update={"best_epoch": epoch, "best": value if np.isfinite(value) else None})


def _best_on_disk(root: Path, folder: Path, progress: Progress, context: RunContext[RunSpec]) -> tuple[int, float] | None:
    try:
        best = checkpoint.best(root)
        epoch = checkpoint.facts(best)["epoch"]
    except ValueError as error:
        best, epoch = None, 0
        if progress.best_epoch:
            log.warning("%s", error)
    if progress.done and progress.best_epoch == progress.epoch != epoch:
        checkpoint.keep_best(root, folder, progress.epoch)
        best, epoch = folder, progress.epoch
    if best is None:
        return None
    valid = checkpoint.facts(best)["valid"]
    wanted = context.spec.network.selection_metric(context.dataset.task)
    metric = METRICS[wanted if wanted in valid else "auc"]
    return epoch, valid.get(metric.key, float("nan")) * (1 if metric.better == "higher" else -1)


def start_after(folder: Path) -> Start:
    """Where the run ended that a new one continues; the part of an epoch that was not judged counts as no epoch."""
    facts = checkpoint.facts(folder)
    epoch = facts["epoch"] if facts["valid"] else 0
    return Start(epoch, facts.get("seconds", 0.0), facts.get("rows", 0), facts["valid"])
