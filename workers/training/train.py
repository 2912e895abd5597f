"""train_rank(run_dir): what every rank of a training run does, top to bottom. TorchDistributor starts it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import torch.distributed as dist

from workers.artifacts import CHECKPOINT, TEST, checkpoint
from workers.evaluation import NetworkEvaluation, evaluate_network
from workers.run import RENDEZVOUS, RunContext, RunSpec, peak_memory, refuse_unfit, run_context
from workers.serving import measure, open_run
from workers.training import devices, write_results
from workers.training.learning import Trained, learn
from workers.training.searching import Search
from workers.training.share import facts_of, learned_of

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
            measured = _train(context)
        if measured and measured.leads:  # the others have left: they would wait for less long than this may take
            _finish(measured)


class _Measured(NamedTuple):
    """A trained and evaluated network, on one of its ranks."""

    trained: Trained
    evaluation: NetworkEvaluation
    facts: dict[str, Any]  # for done.json
    leads: bool


def _train(context: RunContext[RunSpec]) -> _Measured | None:
    """Train and evaluate; None where training stopped on request. A collective call."""
    journal, dataset = context.journal, context.dataset
    journal.event("imported")
    refuse_unfit(context.spec, dataset)
    context = replace(context, spec=context.spec.resolved(dataset.schema))
    search = Search(context) if context.spec.search else None
    trained = search.run() if search else learn(context)
    if trained is None:
        return None
    journal.event("trained")
    checkpoint.restore_own(checkpoint.best(context.folder / CHECKPOINT), trained.model.module.state_dict())
    evaluation = evaluate_network(
        trained.model.network,
        dataset,
        TEST,
        predicts_label=context.spec.network.predicts_label,
        protocol=context.spec.protocol,
        report_progress=lambda done, total: journal.progress("evaluating", done, total),
    )
    journal.event("evaluated")
    memory: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(memory, peak_memory())
    facts = {"processes": len(memory), "parameters": trained.parameters, "peak_memory_bytes": max(memory), **trained.learned.cost}
    facts |= facts_of(learned_of(dataset, context.spec.train.user_share))
    dist.barrier()
    return _Measured(trained, evaluation, facts | (search.facts() if search else {}), leads=dist.get_rank() == 0)


def _finish(measured: _Measured) -> None:
    """What one rank does alone: results, index, timing, and done.json last of all."""
    context = measured.trained.context
    results = _write_results(measured)
    context.finish(results | measured.facts)
    checkpoint.drop_steps(context.folder / CHECKPOINT)


def _write_results(measured: _Measured) -> dict[str, Any]:
    """Write the results of a trained network, build its index and time its lists; returns what done.json says of them."""
    (context, model, learned, _), evaluation = measured.trained, measured.evaluation
    context.refuse_older()
    write_results.write_results(context, evaluation, model.plan)
    size = sum(path.stat().st_size for path in checkpoint.best(context.folder / CHECKPOINT).glob("*.safetensors"))
    served = _serve(context) if context.dataset.schema.can_rank and size < measure.WHOLE else {}
    alarms = [*write_results.alarms_of(context, evaluation, learned), *measured.facts.pop("alarms", ())]
    for sentence in alarms:
        log.warning("alarm: %s", sentence)
    facts = {"protocol": context.spec.protocol.model_dump(mode="json"), "checkpoint_bytes": size}
    return {"metrics": evaluation.metrics, "users": len(evaluation.ranked), "alarms": alarms} | facts | served


def _serve(context: RunContext[RunSpec]) -> dict[str, float]:
    """Open the checkpoint as for serving, index its items and time it; without waiting for other ranks."""
    dataset = context.dataset
    return measure.serve(context.folder, open_run(context.folder, dataset), *measure.people_to_rank(dataset))


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
