"""train_rank(run_dir): what every rank of a training run does, top to bottom. TorchDistributor starts it."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torchrec.distributed import DistributedModelParallel

from workers.artifacts import CHECKPOINT, DONE, MANIFEST, SPEC, TEST, TRAIN, checkpoint, write_json
from workers.batches import POOL_BLOCKS, Sampler, epoch_batches, open_split, table_columns
from workers.evaluation import NetworkEvaluation, catalogue, evaluate_network
from workers.networks import Batch
from workers.run import Journal, RunSpec, log_and_report_errors, peak_memory
from workers.serving import measure, open_run
from workers.specs import ITEM_ID, FeatureSchema, Sampling, Task
from workers.training import write_results
from workers.training.loop import NOTHING, Loop, Start
from workers.training.sharding import Optimizers, distribute, fused_state, remember

log = logging.getLogger("workers.training.train")


def train_rank(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Train and judge one model as one of several ranks; rank 0 leaves the results and, last of all, done.json.

    Args:
        run_dir: the run's folder, shared by all ranks, with spec.json in it.
        dataset_dir: the prepared dataset.
        attempt: goes into done.json, so that a late writer of an older attempt is known.

    Raises:
        Whatever went wrong, after leaving it in `rank<n>.error.json`.
    """
    run, rank = Path(run_dir), int(os.environ["RANK"])
    with log_and_report_errors(run, f"rank {rank}", logging.INFO if rank == 0 else logging.WARNING):
        spec = RunSpec.read(run / SPEC)
        with _process_group(spec):
            _train(run, Path(dataset_dir), spec, attempt)


class DistributedModel(NamedTuple):
    """A network on its way: spread over the ranks, with what trains it and where it begins."""

    distributed: DistributedModelParallel
    optimizers: Optimizers
    plan: dict[str, Any]
    device: torch.device
    first: Start
    parameters: int
    liked: torch.Tensor  # [rows of item_id] how often each is liked in train; empty without items


def _train(run: Path, dataset: Path, spec: RunSpec, attempt: int) -> None:
    journal = Journal(run if dist.get_rank() == 0 else None)
    journal.event("imported")
    manifest = json.loads((dataset / MANIFEST).read_text())
    schema, label = FeatureSchema.model_validate(manifest["schema"]), manifest.get("label", {})
    if why := spec.model.refusal(schema, label):
        raise ValueError(why)
    spec, task = spec.resolved(schema), Task.of(label)
    made = _make(run, dataset, spec, schema, task)
    journal.event("model built")
    batches, steps = _feed(dataset, manifest, schema, spec, made)
    loop = Loop(run, dataset, spec, task, schema, made.distributed, made.optimizers, batches, steps, made.device, journal, made.first)
    trained = loop.fit()
    journal.event("trained")
    checkpoint.restore_own(run / CHECKPOINT, made.distributed.state_dict())

    def told(done: int, total: int) -> None:
        journal.progress("evaluating", done, total)

    foretells, protocol = not spec.network.learns_choice, spec.protocol
    judged = evaluate_network(
        made.distributed.module.model, dataset, TEST, schema, task=task, foretells=foretells, protocol=protocol, told=told
    )
    journal.event("evaluated")
    memory: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(memory, peak_memory())
    cost = {"parameters": made.parameters, "peak_memory_bytes": max(memory), **trained}
    done = _leave(run, dataset, spec, task, schema, judged, made.plan, loop.losses) if dist.get_rank() == 0 else {}
    dist.barrier()
    if done:
        journal.event("done")
        write_json(run / DONE, {"attempt": attempt, "processes": len(memory)} | done | cost)


def _make(run: Path, dataset: Path, spec: RunSpec, schema: FeatureSchema, task: Task) -> DistributedModel:
    torch.manual_seed(spec.train.seed)  # the same on all ranks: dense weights must start equal
    model = spec.network.build(schema, task)
    liked = _liked_in_train(dataset, schema) if schema.has_items else torch.zeros(0)
    if schema.has_items:
        model.learn_frequencies(liked)
    before = checkpoint.best(run.parent / spec.continues / CHECKPOINT) if spec.continues else None
    parameters = sum(p.numel() for p in model.parameters())
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if spec.train.device == "cuda" else torch.device("cpu")
    distributed, optimizers, plan = distribute(model, spec.train, device)
    first = _go_on(before, distributed, optimizers) if before else NOTHING
    torch.manual_seed(spec.train.seed + 1 + dist.get_rank())  # dropout differs between ranks
    return DistributedModel(distributed, optimizers, plan, device, first, parameters, liked)


def _feed(
    dataset: Path, manifest: dict[str, Any], schema: FeatureSchema, spec: RunSpec, made: DistributedModel
) -> tuple[Callable[[int], Iterator[Batch]], int]:
    """The batches of an epoch, for this rank, and how many they are."""
    rank, size, network, begun = dist.get_rank(), spec.train.batch_size, spec.network, made.first.epoch
    stream = open_split(dataset, TRAIN, shuffle=True, seed=spec.train.seed + begun)
    pool = max(POOL_BLOCKS, 2 * size // manifest["block_rows"] + 1)
    rows = manifest["counts"]["positives" if network.liked_only else "interactions"][TRAIN]
    steps = -(-rows // (size * dist.get_world_size()))
    sampler = _sampler(network.sampling, dataset, schema, made.liked, [spec.train.seed, begun, rank])

    def batches(epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng([spec.train.seed, epoch, rank])
        found = epoch_batches(stream, schema, size, steps, pool, rng, network.liked_only)
        return map(sampler, found) if sampler else found

    return batches, steps


def _leave(
    run: Path,
    dataset: Path,
    spec: RunSpec,
    task: Task,
    schema: FeatureSchema,
    judged: NetworkEvaluation,
    plan: dict[str, Any],
    losses: list[float],
) -> dict[str, Any]:
    """Write the results of a trained network, index and time it; what goes into done.json of them."""
    write_results.write_results(run, dataset, spec, task, judged, plan)
    size = _size(run / CHECKPOINT)
    served = _serve(run, dataset, schema, task) if schema.can_rank and size < measure.WHOLE else {}
    found = write_results.alarms_of(dataset, spec, judged, losses)
    for sentence in found:
        log.warning("alarm: %s", sentence)
    measured = {"protocol": spec.protocol.model_dump(mode="json"), "checkpoint_bytes": size}
    return {"metrics": judged.metrics, "users": len(judged.ranked), "alarms": found} | measured | served


def _serve(run: Path, dataset: Path, schema: FeatureSchema, task: Task) -> dict[str, float]:
    """Open what was just kept as whoever serves it would, index its items and time it; nobody waits for other ranks here."""
    return measure.serve(run, open_run(run, dataset, schema, task), *measure.people_to_rank(dataset, None))


def _go_on(before: Path, distributed: DistributedModelParallel, optimizers: Optimizers) -> Start:
    """Where the run that this one continues ended; its weights are taken along, and its optimizers where ranks and plan are the same."""
    checkpoint.restore(before, distributed.state_dict())
    known = checkpoint.restore_optimizers(before, fused_state(optimizers))
    if known is None:
        log.warning("ranks or plan are not those of the run that is continued: its weights are taken over, its optimizers begin anew")
    else:
        remember(optimizers, known)
    facts = checkpoint.facts(before)
    return Start(facts["epoch"], facts.get("seconds", 0.0), facts.get("rows", 0), facts["valid"])


def _sampler(wanted: Sampling | None, dataset: Path, schema: FeatureSchema, liked: torch.Tensor, seed: list[int]) -> Sampler | None:
    if wanted is None:
        return None
    items = catalogue(dataset)
    columns = table_columns(items, schema, "item")
    return Sampler(wanted, schema, columns, liked[1:], int(np.random.default_rng(seed).integers(2**62)))


def _liked_in_train(dataset: Path, schema: FeatureSchema) -> torch.Tensor:
    items: pd.DataFrame = catalogue(dataset)
    counts = torch.zeros(schema.feature(ITEM_ID).num_rows)
    counts[torch.from_numpy(items["row"].to_numpy(np.int64))] = torch.from_numpy(items["train_positives"].to_numpy(np.float32))
    return counts


@contextmanager
def _process_group(spec: RunSpec) -> Iterator[None]:
    cuda = spec.train.device == "cuda"
    if cuda and not torch.cuda.is_available():
        raise ValueError("train.device is cuda, but no GPU is visible here; choose cpu.")
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=timedelta(seconds=spec.train.timeout_s))
    try:
        _place_on_hosts()
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


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
