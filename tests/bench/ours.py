"""Our side of the bench of training: the real loop over real blocks, under TorchDistributor, that stops and goes when told."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tests.bench import turns
from workers.training.entry import environment

PARTS = "parts.json"
KINDS = {
    "matrix products": {"aten::mm", "aten::addmm", "aten::bmm", "mkldnn::_linear_pointwise"},
    "tables": {"_LookUp", "_LookUpBackward", "aten::index_select", "aten::aminmax"},
}
ROOT = Path(__file__).resolve().parents[2]


def start(folder: Path, dataset: Path, model: dict, processes: int) -> turns.Contender:
    """Ranks that wait for their first turn; a Spark session must be there."""
    from pyspark.ml.torch.distributor import TorchDistributor

    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps({"dataset": "bench", "model": model, "train": {"processes": processes}}))
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ.update(environment(1, one_host=True), PYTHONPATH=path)
    work = threading.Thread(
        target=lambda: TorchDistributor(num_processes=processes, local_mode=True, use_gpu=False).run(take_turns, str(folder), str(dataset)),
        daemon=True,
    )
    work.start()
    return turns.Contender(folder, work.is_alive)


def take_turns(run_dir: str, dataset_dir: str) -> None:
    """One rank. `what` is "train", "load": the same batches, made and thrown away, or "parts": train, and leave where the time goes."""
    os.environ.setdefault("FBGEMM_TBE_BOUNDS_CHECK_MODE", "0")
    import numpy as np
    import torch
    import torch.distributed as dist

    from workers.artifacts.dataset import PreparedDataset
    from workers.batches import POOL_BLOCKS, EpochReader, open_split
    from workers.run.context import RunContext
    from workers.run.journal import Journal
    from workers.run.spec import RunSpec
    from workers.training.loop import Loop
    from workers.training.progress import Progress
    from workers.training.sharding import distribute
    from workers.training.train import _process_group

    run = Path(run_dir)
    spec = RunSpec.read(run / "spec.json")
    spec = spec.model_copy(update={"train": spec.train.model_copy(update={"timeout_s": 3600})})
    dataset = PreparedDataset.open(Path(dataset_dir))
    schema = dataset.schema
    device = torch.device("cpu")
    with _process_group(spec):
        rank, world = dist.get_rank(), dist.get_world_size()
        torch.manual_seed(1)
        spec = spec.resolved(schema)
        context = RunContext(run, dataset, spec, Journal(run if rank == 0 else None))
        model = distribute(spec.network.build(schema), spec.train, device)
        stream = open_split(dataset.folder, "train", shuffle=True, seed=1)
        liked_only = spec.network.liked_only

        def endless(size: int) -> Iterator:
            pool = max(POOL_BLOCKS, 2 * size // dataset.block_rows + 1)
            per_epoch = (dataset.positives if liked_only else dataset.interactions)["train"] // (size * world)
            for epoch in range(1, 1_000_000):
                rng = np.random.default_rng([1, epoch, rank])
                yield from EpochReader(stream, schema, size, per_epoch, pool, rng, liked_only)

        feeds: dict[int, Iterator] = {}
        feed_of = 0
        if rank == 0:
            turns.announce(run)
        while True:
            box = [turns.next_turn(run) if rank == 0 else None]
            dist.broadcast_object_list(box)
            told = box[0]
            if told == turns.END:
                break
            size, steps = told["batch_size"], told["steps"]
            if size != feed_of:  # one stream, one reader: the batch size before is done with
                for feed in feeds.values():
                    feed.close()
                feeds, feed_of = {size: endless(size)}, size
                next(feeds[size])
            batches = islice(feeds[size], steps)
            loop = Loop(context, model, Turn(batches, steps, size * world), Progress())
            dist.barrier()
            started, cpu = time.perf_counter(), time.process_time()
            if told["what"] == "load":
                for _ in batches:
                    pass
            elif told["what"] == "parts":
                with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
                    began = time.perf_counter()  # the profiler takes a second to start and to end
                    loop.train(1)
                    wall = time.perf_counter() - began
                taken = {event.key: event.self_cpu_time_total / 1e6 for event in profiled.key_averages()}
                (run / PARTS).write_text(json.dumps(_parts(taken, wall)))
            else:
                loop.train(1)
            cpu_s = torch.tensor(time.process_time() - cpu)
            dist.all_reduce(cpu_s)
            if rank == 0:
                turns.answer(run, steps * size * world, time.perf_counter() - started, float(cpu_s))


class Turn:
    """The batches of a turn, as a loop asks for those of an epoch."""

    def __init__(self, batches: Iterator, steps: int, together: int) -> None:
        self.batches, self.steps, self.together = batches, steps, together

    def left(self, epoch: int) -> int:
        return self.steps

    def __call__(self, epoch: int) -> Iterator:
        return self.batches

    def position(self, done: bool) -> tuple[dict, dict]:
        return {}, {}


def _parts(taken: dict[str, float], wall: float) -> dict[str, float]:
    """The share of each kind of work. taken: seconds of each operator itself, without those that it calls."""
    kinds = {kind: sum(seconds for name, seconds in taken.items() if name in names) for kind, names in KINDS.items()}
    known_names = set().union(*KINDS.values())
    other = sum(seconds for name, seconds in taken.items() if "::" in name and name not in known_names)
    known = kinds | {"other tensors": other}
    return {kind: seconds / wall for kind, seconds in (known | {"batches, Python": wall - sum(known.values())}).items()}


if __name__ == "__main__":  # without Spark, under the variables of torchrun: for profilers
    take_turns(*sys.argv[1:])
