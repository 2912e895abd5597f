"""train_rank(run_dir): what every rank of a training run does, top to bottom. TorchDistributor starts it."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist

from workers.artifacts import CHECKPOINT, TEST, TRAIN, PreparedDataset, checkpoint
from workers.batches import POOL_BLOCKS, Sampler, epoch_batches, open_split, table_columns
from workers.evaluation import NetworkEvaluation, catalogue, evaluate_network
from workers.networks import Batch
from workers.run import RunContext, RunSpec, peak_memory, refuse_unfit, run_context
from workers.serving import measure, open_run
from workers.specs import ITEM_ID, Sampling
from workers.training import devices, write_results
from workers.training.loop import NOTHING, Loop, Start
from workers.training.sharding import DistributedModel, Plan, distribute, fused_state, restore_dense

log = logging.getLogger("workers.training.train")


def train_rank(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Train and evaluate one model as one of several ranks; rank 0 writes the results and, last of all, done.json.

    Args:
        run_dir: the run's folder, shared by all ranks, with spec.json in it.
        dataset_dir: the prepared dataset.
        attempt: goes into done.json, so that a late writer of an older attempt is recognised.

    Raises:
        Whatever went wrong, after writing it to `rank<n>.error.json`.
    """
    rank = int(os.environ["RANK"])
    with run_context(run_dir, dataset_dir, attempt, RunSpec, f"rank {rank}", leads=rank == 0) as context, _process_group(context.spec):
        _train(context)


def _train(context: RunContext[RunSpec]) -> None:
    journal, dataset = context.journal, context.dataset
    journal.event("imported")
    refuse_unfit(context.spec, dataset)
    context = replace(context, spec=context.spec.resolved(dataset.schema))
    model, start = _build(context)
    journal.event("model built")
    batches, steps = _batches(context, start)
    loop = Loop(context, model, batches, steps, start.begin)
    trained = loop.fit()
    journal.event("trained")
    checkpoint.restore_own(context.folder / CHECKPOINT, model.module.state_dict())
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
    cost = {"parameters": start.parameters, "peak_memory_bytes": max(memory), **trained}
    results = _write_results(context, evaluation, model.plan, loop) if dist.get_rank() == 0 else None
    dist.barrier()
    if results is not None:
        context.finish({"processes": len(memory)} | results | cost)


class _Beginning(NamedTuple):
    """A model before its first step."""

    begin: Start
    parameters: int
    liked: torch.Tensor  # [rows of item_id] how often each item is liked in train; empty without items


def _build(context: RunContext[RunSpec]) -> tuple[DistributedModel, _Beginning]:
    """The network, spread over the ranks, with the weights that training begins with. A collective call."""
    spec, dataset = context.spec, context.dataset
    torch.manual_seed(spec.train.seed)  # the same on all ranks: dense weights must start equal
    network = spec.network.build(dataset.schema, dataset.task)
    liked = _liked_in_train(dataset) if dataset.schema.has_items else torch.zeros(0)
    if dataset.schema.has_items:
        network.learn_frequencies(liked)
    before = checkpoint.best(context.folder.parent / spec.continues / CHECKPOINT) if spec.continues else None
    parameters = sum(p.numel() for p in network.parameters())
    device = torch.device("cuda", torch.cuda.current_device()) if spec.train.device == "cuda" else torch.device("cpu")
    model = distribute(network, spec.train, device)
    begin = _continue_from(before, model) if before else NOTHING
    torch.manual_seed(spec.train.seed + 1 + dist.get_rank())  # dropout differs between ranks
    return model, _Beginning(begin, parameters, liked)


def _batches(context: RunContext[RunSpec], start: _Beginning) -> tuple[Callable[[int], Iterator[Batch]], int]:
    """The batches of an epoch, for this rank, and how many they are."""
    spec, dataset, rank, begun = context.spec, context.dataset, dist.get_rank(), start.begin.epoch
    size, network, seed = spec.train.batch_size, spec.network, spec.train.seed
    stream = open_split(dataset.folder, TRAIN, shuffle=True, seed=seed + begun)
    pool = max(POOL_BLOCKS, 2 * size // dataset.block_rows + 1)
    rows = (dataset.positives if network.liked_only else dataset.interactions)[TRAIN]
    steps = -(-rows // (size * dist.get_world_size()))
    sampler = _sampler(network.sampling, dataset, start.liked, [seed, begun, rank])

    def batches(epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng([seed, epoch, rank])
        read = epoch_batches(stream, dataset.schema, size, steps, pool, rng, network.liked_only)
        return map(sampler, read) if sampler else read

    return batches, steps


def _write_results(context: RunContext[RunSpec], evaluation: NetworkEvaluation, plan: Plan, loop: Loop) -> dict[str, Any]:
    """Write the results of a trained network, build its index and time its lists; returns what done.json says of them."""
    write_results.write_results(context, evaluation, plan)
    size = sum(path.stat().st_size for path in (context.folder / CHECKPOINT).rglob("*.safetensors"))
    served = _serve(context) if context.dataset.schema.can_rank and size < measure.WHOLE else {}
    alarms = write_results.alarms_of(context, evaluation, loop)
    for sentence in alarms:
        log.warning("alarm: %s", sentence)
    facts = {"protocol": context.spec.protocol.model_dump(mode="json"), "checkpoint_bytes": size}
    return {"metrics": evaluation.metrics, "users": len(evaluation.ranked), "alarms": alarms} | facts | served


def _serve(context: RunContext[RunSpec]) -> dict[str, float]:
    """Open the checkpoint as for serving, index its items and time it; without waiting for other ranks."""
    dataset = context.dataset
    return measure.serve(context.folder, open_run(context.folder, dataset), *measure.people_to_rank(dataset, None))


def _continue_from(before: Path, model: DistributedModel) -> Start:
    """Load a checkpoint's weights, and its optimizers' states where ranks and plan are the same; where its run ended."""
    checkpoint.restore(before, model.module.state_dict())
    states = checkpoint.restore_optimizers(before, fused_state(model.optimizers))
    if states is None:
        log.warning("ranks or plan are not those of the run that is continued: its weights are taken over, its optimizers begin anew")
    else:
        restore_dense(model.optimizers, states)
    facts = checkpoint.facts(before)
    return Start(facts["epoch"], facts.get("seconds", 0.0), facts.get("rows", 0), facts["valid"])


def _sampler(wanted: Sampling | None, dataset: PreparedDataset, liked: torch.Tensor, seed: list[int]) -> Sampler | None:
    if wanted is None:
        return None
    columns = table_columns(catalogue(dataset.folder), dataset.schema, "item")
    return Sampler(wanted, dataset.schema, columns, liked[1:], int(np.random.default_rng(seed).integers(2**62)))


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
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=timedelta(seconds=spec.train.timeout_s))
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
