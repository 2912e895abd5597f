"""train_rank(run_dir): what every rank of a training run does, top to bottom. TorchDistributor starts it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist

from workers.artifacts import CHECKPOINT, TEST, PreparedDataset, checkpoint
from workers.evaluation import NetworkEvaluation, catalogue, evaluate_network
from workers.run import RENDEZVOUS, RESUMED, RunContext, RunSpec, peak_memory, refuse_unfit, run_context
from workers.serving import measure, open_run
from workers.specs import ITEM_ID
from workers.training import devices, write_results
from workers.training.feed import Feed
from workers.training.loop import Loop
from workers.training.progress import NOTHING, Progress, Start
from workers.training.resuming import newest_of, resumed_progress, start_after, take_up, take_weights
from workers.training.sharding import DistributedModel, Plan, distribute

log = logging.getLogger("workers.training.train")


def train_rank(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Train and evaluate one model as one of several ranks; rank 0 writes the results and, last of all, done.json.

    An attempt after the first goes on from the newest whole checkpoint of the run. Where `cancel` holds KEEP, all ranks end after a
    checkpoint, and rank 0 writes stopped.json in place of results.

    Args:
        run_dir: the run's folder, shared by all ranks, with spec.json in it.
        dataset_dir: the prepared dataset.
        attempt: of the run; goes into done.json, so that a late writer of an older attempt is recognised.

    Raises:
        Whatever went wrong, after writing it to `rank<n>.error.json`.
    """
    rank = int(os.environ["RANK"])
    with run_context(run_dir, dataset_dir, attempt, RunSpec, f"rank {rank}", leads=rank == 0) as context:
        with _process_group(context.spec):
            trained = _train(context)
        if trained and trained.leads:  # the others have left: they would wait for less long than this may take
            _finish(trained)


class _Trained(NamedTuple):
    """A trained and evaluated network, on one of its ranks."""

    context: RunContext[RunSpec]
    evaluation: NetworkEvaluation
    plan: Plan
    loop: Loop
    cost: dict[str, Any]  # for done.json
    leads: bool


def _train(context: RunContext[RunSpec]) -> _Trained | None:
    """Train and evaluate; None where training stopped on request. A collective call."""
    journal, dataset = context.journal, context.dataset
    journal.event("imported")
    refuse_unfit(context.spec, dataset)
    context = replace(context, spec=context.spec.resolved(dataset.schema))
    journal.progress("building the model", 0, 1, force=True)
    model, beginning = _build(context)
    journal.event("model built")
    journal.progress("reading the first rows", 0, 1, force=True)
    feed = Feed(context, beginning.first_epoch, beginning.liked)
    progress = take_up(context, model, feed, beginning.checkpoint) if beginning.checkpoint else beginning.progress(feed.steps)
    if context.attempt > 1:
        journal.event(RESUMED, step=progress.step)
    loop = Loop(context, model, feed, progress)
    trained = loop.fit()
    if trained is None:
        return None
    journal.event("trained")
    checkpoint.restore_own(checkpoint.best(context.folder / CHECKPOINT), model.module.state_dict())
    evaluation = evaluate_network(
        model.network,
        dataset,
        TEST,
        predicts_label=context.spec.network.predicts_label,
        protocol=context.spec.protocol,
        report_progress=lambda done, total: journal.progress("evaluating", done, total),
    )
    journal.event("evaluated")
    memory: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(memory, peak_memory())
    cost = {"processes": len(memory), "parameters": beginning.parameters, "peak_memory_bytes": max(memory), **trained}
    dist.barrier()
    return _Trained(context, evaluation, model.plan, loop, cost, leads=dist.get_rank() == 0)


class _Beginning(NamedTuple):
    """A model before its first step."""

    parameters: int
    liked: torch.Tensor  # [rows of item_id] how often each item is liked in train; empty without items
    first: Start = NOTHING  # of the run that is continued
    checkpoint: Path | None = None  # of this run, from an earlier attempt

    @property
    def first_epoch(self) -> int:
        return resumed_progress(self.checkpoint).first.epoch if self.checkpoint else self.first.epoch

    def progress(self, steps: int) -> Progress:
        """Nothing done. steps: of an epoch."""
        return Progress(first=self.first, step=self.first.epoch * steps, epoch=self.first.epoch)


def _build(context: RunContext[RunSpec]) -> tuple[DistributedModel, _Beginning]:
    """The network, spread over the ranks, with the weights that training begins or goes on with. A collective call."""
    spec, dataset = context.spec, context.dataset
    torch.manual_seed(spec.train.seed)  # the same on all ranks: dense weights must start equal
    network = spec.network.build(dataset.schema, dataset.task)
    liked = _liked_in_train(dataset) if dataset.schema.has_items else torch.zeros(0)
    if dataset.schema.has_items:
        network.learn_frequencies(liked)
    own = newest_of(context)
    before = checkpoint.whole(context.folder.parent / spec.continues / CHECKPOINT) if spec.continues and not own else None
    parameters = sum(p.numel() for p in network.parameters())
    device = torch.device("cuda", torch.cuda.current_device()) if spec.train.device == "cuda" else torch.device("cpu")
    model = distribute(network, spec.train, device)
    if weights := own or before:
        take_weights(weights, model)
    first = start_after(before) if before else NOTHING
    torch.manual_seed(spec.train.seed + 1 + dist.get_rank())  # dropout differs between ranks
    return model, _Beginning(parameters, liked, first, own)


def _finish(trained: _Trained) -> None:
    """What one rank does alone: results, index, timing, and done.json last of all."""
    context = trained.context
    results = _write_results(context, trained.evaluation, trained.plan, trained.loop)
    context.finish(results | trained.cost)
    checkpoint.drop_steps(context.folder / CHECKPOINT)


def _write_results(context: RunContext[RunSpec], evaluation: NetworkEvaluation, plan: Plan, loop: Loop) -> dict[str, Any]:
    """Write the results of a trained network, build its index and time its lists; returns what done.json says of them."""
    context.refuse_older()
    write_results.write_results(context, evaluation, plan)
    size = sum(path.stat().st_size for path in checkpoint.best(context.folder / CHECKPOINT).glob("*.safetensors"))
    served = _serve(context) if context.dataset.schema.can_rank and size < measure.WHOLE else {}
    alarms = write_results.alarms_of(context, evaluation, loop)
    for sentence in alarms:
        log.warning("alarm: %s", sentence)
    facts = {"protocol": context.spec.protocol.model_dump(mode="json"), "checkpoint_bytes": size}
    return {"metrics": evaluation.metrics, "users": len(evaluation.ranked), "alarms": alarms} | facts | served


def _serve(context: RunContext[RunSpec]) -> dict[str, float]:
    """Open the checkpoint as for serving, index its items and time it; without waiting for other ranks."""
    dataset = context.dataset
    return measure.serve(context.folder, open_run(context.folder, dataset), *measure.people_to_rank(dataset))


def _liked_in_train(dataset: PreparedDataset) -> torch.Tensor:
    items: pd.DataFrame = catalogue(dataset.folder)
    counts = torch.zeros(dataset.schema.feature(ITEM_ID).num_rows)
    counts[torch.from_numpy(items["row"].to_numpy(np.int64))] = torch.from_numpy(items["train_positives"].to_numpy(np.float32))
    return counts


@contextmanager
def _process_group(spec: RunSpec) -> Iterator[None]:
    cuda = spec.train.device == "cuda"
    if cuda:
        devices.refuse_none()
    backend, timeout = "cpu:gloo,cuda:nccl" if cuda else "gloo", timedelta(seconds=spec.train.timeout_s)
    if meeting := os.environ.get(RENDEZVOUS):  # ranks of one host: a store with a port would listen on every interface
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        dist.init_process_group(backend, timeout=timeout, store=dist.FileStore(meeting, world), rank=rank, world_size=world)
    else:
        dist.init_process_group(backend, timeout=timeout)
    try:
        _place_on_hosts()
        if cuda:
            devices.take_own()
        yield
    finally:
        dist.destroy_process_group()


def _place_on_hosts() -> None:
    """As barrier tasks every rank believes that it is alone on its host; StreamingDataset must know its neighbours.

    It reads these variables, and takes ranks of one host to follow each other.
    """
    hosts: list[str] = [""] * dist.get_world_size()
    dist.all_gather_object(hosts, os.uname().nodename)
    by_host = sorted(range(len(hosts)), key=lambda rank: (hosts[rank], rank))
    same = [rank for rank in by_host if hosts[rank] == hosts[dist.get_rank()]]
    os.environ["RANK"] = str(by_host.index(dist.get_rank()))
    os.environ["LOCAL_RANK"], os.environ["LOCAL_WORLD_SIZE"] = str(same.index(dist.get_rank())), str(len(same))
