"""How fast SASRec trains: blocks of sequences to the real loop, beside a bare PyTorch loop of the same network over batches in memory.

    python -m tests.bench.sequences [--rounds 5] [--batch 1024]

One process, one thread, one rank; turns of both alternate, and rates are by CPU-seconds, so that other processes do not count. "plain" has
the items in one nn.Embedding, under whichever Adagrad of PyTorch is faster: its sparse one or the fused dense one.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("FBGEMM_TBE_BOUNDS_CHECK_MODE", "0")

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tests import tiny
from workers.artifacts import PreparedDataset
from workers.models import SASRecSpec
from workers.networks import SASRec
from workers.networks.ranker import Pooled
from workers.networks.sasrec import BIAS
from workers.run import Journal, RunContext, RunSpec
from workers.specs import ITEM_ID
from workers.training.loop import Loop
from workers.training.progress import Progress
from workers.training.sequence_feed import SequenceFeed
from workers.training.sharding import distribute

USERS, ITEMS, LIKES = 2000, 5000, 60  # as many likes of a user on average


class Plain(SASRec):
    """The same network without TorchRec: one nn.Embedding, whose last column is the bias of an item."""

    def __init__(self, spec: SASRecSpec, dataset: PreparedDataset, sparse: bool) -> None:
        super().__init__(spec, dataset.schema)
        rows, dim = dataset.schema.feature(ITEM_ID).num_rows, spec.embedding_dim
        del self.ebc
        self.items = nn.Embedding(rows, dim + 1, sparse=sparse)

    def _items(self, rows: Tensor) -> Pooled:
        found = self.items(rows)
        return {ITEM_ID: found[:, :-1], BIAS: found[:, -1:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=20, help="of a turn")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Path(folder)
        os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
        dist.init_process_group("gloo", store=dist.FileStore(str(place / "store"), 1), rank=0, world_size=1)
        tiny.write(_likes(), place / "dataset")
        measure(PreparedDataset.open(place / "dataset"), place, args.batch, args.steps, args.rounds)
        dist.destroy_process_group()


def measure(dataset: PreparedDataset, folder: Path, batch: int, steps: int, rounds: int) -> None:
    spec = RunSpec.model_validate({"dataset": "bench", "model": {"kind": "sasrec"}, "train": {"batch_size": batch}})
    spec = spec.resolved(dataset.schema)
    context = RunContext(folder, dataset, spec, Journal(folder))
    liked = torch.ones(dataset.schema.feature(ITEM_ID).num_rows)
    contenders: dict[str, Callable[[], float]] = {"ours": _ours(context, liked, steps)}
    for sparse in (True, False):
        contenders[f"plain, {'sparse' if sparse else 'fused dense'} Adagrad"] = _plain(context, liked, steps, sparse)
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, train in contenders.items():
            rate = train()
            if turn:  # the first warms up
                found[name].append(rate)
    for name, rates in found.items():
        print(f"{name}: {statistics.median(rates):,.0f} rows per CPU-second")
    plain = max((name for name in found if name != "ours"), key=lambda name: statistics.median(found[name]))
    ratios = [own / other for own, other in zip(found["ours"], found[plain], strict=True)]
    print(f"ours / {plain}: {statistics.median(ratios):.2f}   [{min(ratios):.2f} … {max(ratios):.2f}]   bar 0.8", flush=True)


def _ours(context: RunContext[RunSpec], liked: Tensor, steps: int) -> Callable[[], float]:
    torch.manual_seed(1)
    network = context.spec.network.build(context.dataset.schema)
    network.learn_frequencies(liked)
    model = distribute(network, context.spec.train, torch.device("cpu"))
    feed = SequenceFeed(context, 0, liked)
    batches = (batch for epoch in range(1, 1_000_000) for batch in feed(epoch))

    def train() -> float:
        turn = _Turn(batches, steps, feed.together)
        loop, started = Loop(context, model, turn, Progress()), time.process_time()
        loop.train(1)
        return turn.rows / (time.process_time() - started)

    return train


class _Turn:
    """Some batches, as a loop asks for those of an epoch; counts their rows."""

    def __init__(self, batches: "object", steps: int, together: float) -> None:
        self.batches, self.steps, self.together, self.rows = batches, steps, together, 0

    def left(self, epoch: int) -> int:
        return self.steps

    def __call__(self, epoch: int) -> "object":
        for batch in islice(self.batches, self.steps):  # type: ignore[call-overload]
            self.rows += len(batch.label) - batch.sampled
            yield batch

    def position(self, done: bool) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        raise AssertionError("a turn is shorter than the time between two checkpoints")


def _plain(context: RunContext[RunSpec], liked: Tensor, steps: int, sparse: bool) -> Callable[[], float]:
    torch.manual_seed(1)
    model, train_spec = context.spec.network, context.spec.train
    assert isinstance(model, SASRecSpec)
    network = Plain(model, context.dataset, sparse)
    network.learn_frequencies(liked)
    tables = [network.items.weight]
    others = [weight for name, weight in network.named_parameters() if not name.startswith("items.")]
    optimizers = [
        torch.optim.Adagrad(tables, lr=train_spec.table_learning_rate or 0.1, fused=not sparse),
        torch.optim.Adam(others, lr=train_spec.dense_learning_rate, fused=True),
    ]
    batches = cycle(list(islice(SequenceFeed(context, 0, liked)(1), 30)))

    def train() -> float:
        rows, started = 0, time.process_time()
        for batch in islice(batches, steps):
            for one in optimizers:
                one.zero_grad(set_to_none=True)
            loss, _ = network.loss(batch)
            loss.backward()
            for one in optimizers:
                one.step()
            rows += len(batch.label) - batch.sampled
        return rows / (time.process_time() - started)

    return train


def _likes() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    sizes = rng.integers(20, 2 * LIKES - 20, USERS)
    users = np.repeat(np.arange(USERS), sizes)
    items = rng.integers(0, ITEMS, len(users))
    frame = pd.DataFrame({"user_id": users.astype(str), "item_id": items.astype(str), "label": 1.0, "split": "train"})
    held = frame.groupby("user_id").head(1)
    return pd.concat([frame, *(held.head(50).assign(split=split) for split in ("valid", "test"))], ignore_index=True)


if __name__ == "__main__":
    main()
