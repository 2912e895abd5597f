"""train_rank(run_dir): what every rank of a training run does, top to bottom. TorchDistributor starts it."""

import ctypes
import faulthandler
import json
import logging
import os
import signal
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
import torch.distributed as dist

from workers import checkpoint
from workers.batches import POOL_BLOCKS, epoch_batches, open_split
from workers.evaluate import catalogue
from workers.journal import Journal, say_why
from workers.loop import Loop
from workers.modules.ranker import Batch
from workers.results import (
    CHECKPOINT,
    DONE,
    ITEM_EMBEDDINGS,
    LOG,
    MANIFEST,
    PER_USER,
    PLAN,
    RESULTS,
    SPEC,
    TEST,
    TOP_K,
    TRAIN,
    write_json,
)
from workers.scoring import Judged, judge
from workers.sharding import distribute
from workers.specs import ITEM_ID, FeatureSchema, RunSpec

log = logging.getLogger("workers.train")


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
    _outlive_nobody()
    faulthandler.enable()
    _log_to(run / LOG, rank)
    try:
        spec = RunSpec.read(run / SPEC)
        with _process_group(spec):
            _train(run, Path(dataset_dir), spec, attempt)
    except BaseException as error:
        say_why(run, f"rank{rank}", error, traceback.format_exc())
        log.exception("rank %d failed", rank)
        raise


def _train(run: Path, dataset: Path, spec: RunSpec, attempt: int) -> None:
    rank, world = dist.get_rank(), dist.get_world_size()
    journal = Journal(run if rank == 0 else None)
    journal.event("imported")
    manifest = json.loads((dataset / MANIFEST).read_text())
    schema = FeatureSchema.model_validate(manifest["schema"])
    if why := spec.model.refusal(schema, manifest.get("label", {})):
        raise ValueError(why)
    torch.manual_seed(spec.train.seed)  # the same on all ranks: dense weights must start equal
    model = spec.network.build(schema)
    if schema.has_items:
        model.learn_frequencies(_liked_in_train(dataset, schema))
    parameters = sum(p.numel() for p in model.parameters())
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if spec.train.device == "cuda" else torch.device("cpu")
    distributed, adam, plan = distribute(model, spec.train, device)
    torch.manual_seed(spec.train.seed + 1 + rank)  # dropout differs between ranks
    journal.event("model built")

    stream = open_split(dataset, TRAIN, shuffle=True, seed=spec.train.seed)
    pool = max(POOL_BLOCKS, 2 * spec.train.batch_size // manifest["block_rows"] + 1)
    rows = manifest["counts"]["positives" if spec.network.liked_only else "interactions"][TRAIN]
    steps = -(-rows // (spec.train.batch_size * world))

    def batches(epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng([spec.train.seed, epoch, rank])
        return epoch_batches(stream, schema, spec.train.batch_size, steps, pool, rng, spec.network.liked_only)

    trained = Loop(run, dataset, spec, schema, distributed, adam, batches, steps, device, journal).fit()
    journal.event("trained")
    checkpoint.restore_own(run / CHECKPOINT, distributed.state_dict())

    def told(done: int, total: int) -> None:
        journal.progress("evaluating", done, total)

    judged = judge(distributed.module.model, dataset, TEST, schema, probability=spec.network.is_probability, told=told)
    journal.event("evaluated")
    memory = [psutil.Process().memory_info().rss] * world
    dist.all_gather_object(memory, _peak_memory())
    if rank == 0:
        _write_results(run, dataset, spec, judged, plan)
        cost = {"parameters": parameters, "checkpoint_bytes": _size(run / CHECKPOINT), "peak_memory_bytes": max(memory), **trained}
        done = {"attempt": attempt, "metrics": judged.metrics, "users": len(judged.ranked), "processes": world, **cost}
        dist.barrier()
        journal.event("done")
        write_json(run / DONE, done)
    else:
        dist.barrier()


def _write_results(run: Path, dataset: Path, spec: RunSpec, judged: Judged, plan: dict[str, Any]) -> None:
    folder = run / RESULTS
    folder.mkdir(exist_ok=True)
    write_json(folder / PLAN, plan)
    judged.ranked.drop(columns=["items", "scores"], errors="ignore").to_parquet(folder / PER_USER, index=False)
    if len(judged.ranked):
        judged.ranked[["user_id", "items", "scores"]].to_parquet(folder / TOP_K, index=False)
    if spec.model.stage == "retrieval":
        items = catalogue(dataset)[["row", "item_id"]]
        items.assign(embedding=list(judged.item_states.numpy())).to_parquet(folder / ITEM_EMBEDDINGS, index=False)


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


def _outlive_nobody() -> None:
    """Linux: die with the process that started this rank. PR_SET_PDEATHSIG is 1 in <sys/prctl.h>."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _log_to(path: Path, rank: int) -> None:
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(f"%(asctime)s [rank {rank}] %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO if rank == 0 else logging.WARNING, force=True)
    for talkative in ("streaming", "torchrec"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning)  # torch and torchrec warn of their own calls, not of ours


def _peak_memory() -> int:
    """Peak resident bytes of this process: VmHWM of proc(5)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
