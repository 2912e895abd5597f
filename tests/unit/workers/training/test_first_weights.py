"""First weights of tables: alike for any number of ranks and any plan, and a rank holds no more than its shards of them."""

import json
import threading
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import ranks
from workers.run import RunSpec
from workers.specs import Categorical, FeatureSchema, TrainSpec

MB = 1 << 20
MODEL = {"kind": "two_tower", "embedding_dim": 64, "user_id": True}


def _schema(users: int) -> FeatureSchema:
    item = {"num_rows": 40_001, "vocabulary": "item_id"}
    return FeatureSchema(
        categorical=(
            Categorical(name="user_id", side="user", num_rows=users, vocabulary="user_id"),
            Categorical(name="history", side="user", multi_valued=True, **item),
            Categorical(name="item_id", side="item", **item),
        )
    )


def _distributed(users: int, train: dict[str, Any]) -> Any:
    import torch

    from workers.networks import tables_on_meta
    from workers.training.sharding import distribute

    schema = _schema(users)
    spec = {"dataset": "any", "model": MODEL, "train": {"device": "cpu", **train}}
    run = RunSpec.model_validate(spec).resolved(schema)
    torch.manual_seed(run.train.seed)
    with tables_on_meta():
        network = run.network.build(schema)
    return distribute(network, run.train, torch.device("cpu"))


def _draw(rank: int, world: int, folder: Path, train: dict[str, Any], name: str) -> None:
    model = _distributed(50_001, train)
    first = {key: ranks.whole(value, rank).numpy() for key, value in model.module.state_dict().items()}
    if rank == 0:
        np.savez(folder / f"{name}.npz", **first)


@pytest.mark.slow
def test_first_weights_are_the_same_on_any_number_of_ranks_and_under_any_plan(tmp_path: Path) -> None:
    plans: dict[str, dict[str, Any]] = {kind: {"sharding": kind} for kind in ("row_wise", "column_wise", "data_parallel")}
    plans |= {"in shared memory": {}, "not shared": {"shared_tables": False}}
    ranks.side_by_side(1, tmp_path, partial(_draw, train={}, name="alone"))
    alone = np.load(tmp_path / "alone.npz")
    for name, train in plans.items():
        ranks.side_by_side(2, tmp_path, partial(_draw, train=train, name=name))
        (tmp_path / "store2").unlink(missing_ok=True)
        other = np.load(tmp_path / f"{name}.npz")
        assert alone.files == other.files
        for key in alone.files:
            np.testing.assert_array_equal(other[key], alone[key], err_msg=f"{name} {key}")
    users = alone["model.ebc.embedding_bags.user_id.weight"]
    assert users.shape == (50_001, 64)
    assert users.std() == pytest.approx(0.1, rel=0.01)  # as the two-tower's init_std says
    assert abs(users.mean()) < 1e-3
    assert len(np.unique(users[:, 0])) > 49_000  # no block is drawn twice
    assert not alone["model.ebc.embedding_bags.item_bias.weight"].any()


class _Peak:
    """The most memory of its own, not of files, that this process holds at a time."""

    def __enter__(self) -> "_Peak":
        self.first = self.most = self._held()
        self.over = threading.Event()
        self.watch = threading.Thread(target=self._watch)
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.most = max(self.most, self._held())
        self.over.set()
        self.watch.join()

    @property
    def grown(self) -> int:
        return self.most - self.first

    def _watch(self) -> None:
        while not self.over.wait(0.002):
            self.most = max(self.most, self._held())

    def _held(self) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("RssAnon", "RssShmem")))


def _take_steps(model: Any, users: int) -> None:
    from workers.training.steps import Steps

    model.module.train()
    assert len(list(Steps(model, TrainSpec())(iter([_batch(users)] * 3), lambda: None))) == 3


def _batch(users: int) -> Any:
    from workers.batches import to_batch

    ids = {"user_id": np.arange(1000) * (users // 1000), "item_id": np.arange(1000)}
    columns = ids | {"history.values": np.arange(2000) % 40_001, "history.lengths": np.full(1000, 2), "label": np.arange(1000) % 2}
    return to_batch(columns, _schema(users), 1000)


def _hold(rank: int, world: int, folder: Path, train: dict[str, Any], phase: str) -> None:
    from torch.distributed._shard.sharded_tensor import ShardedTensor

    from workers.artifacts import checkpoint
    from workers.training.resuming import take_weights
    from workers.training.sharding import fused_state, optimizer_state

    _take_steps(_distributed(1_001, train), 1_001)  # whatever is loaded once
    with _Peak() as peak:
        model = _distributed(2_000_001, train)
        if phase == "load":
            take_weights(next(folder.glob("step-*")), model)
    state = model.module.state_dict() | fused_state(model.optimizers)
    share = sum(
        shard.tensor.nbytes for value in state.values() for shard in (value.local_shards() if isinstance(value, ShardedTensor) else ())
    )
    if phase == "save":
        with _Peak() as saving:
            _take_steps(model, 2_000_001)
            checkpoint.save(folder, model.module.state_dict() | optimizer_state(model.optimizers), 1, {}, ({}, {}))
            checkpoint.restore_own(next(folder.glob("step-*")), model.module.state_dict())
        (folder / f"saving{rank}.json").write_text(json.dumps(saving.grown))
    (folder / f"{phase}{rank}.json").write_text(json.dumps([peak.grown, share]))


def _open(rank: int, world: int, folder: Path) -> None:
    """As serving does."""
    import torch

    from workers.artifacts import checkpoint
    from workers.networks import tables_on_meta

    logits = []
    for mapped in (False, True):
        schema = _schema(2_000_001)
        run = RunSpec.model_validate({"dataset": "any", "model": MODEL})
        with _Peak() as peak, tables_on_meta() if mapped else nullcontext(), torch.no_grad():
            opened = run.network.build(schema).eval()
            checkpoint.load_whole(next(folder.glob("step-*")), opened)
            logits.append(opened(_batch(2_000_001)))
        assert (peak.grown < 24 * MB) == mapped, peak.grown / MB  # tables have 522 MB
    assert torch.equal(*logits)
    assert logits[0].std() > 0
    with pytest.raises(IndexError, match="of a table that has the rows 0 to 2000000"), torch.no_grad():
        opened.ebc.embedding_bags["user_id"](torch.tensor([2_000_001]), torch.tensor([0, 1]))


@pytest.mark.slow
@pytest.mark.parametrize("train", [{"sharding": "row_wise"}, {}], ids=["by rows", "whole, in shared memory"])
def test_a_rank_never_holds_more_than_its_shards(tmp_path: Path, train: dict[str, Any]) -> None:
    for phase in ("save", "load"):
        ranks.side_by_side(2, tmp_path, partial(_hold, train=train, phase=phase))
        (tmp_path / "store2").unlink(missing_ok=True)
        for rank in range(2):
            grown, share = json.loads((tmp_path / f"{phase}{rank}.json").read_text())
            assert grown < 1.2 * share + 16 * MB, (phase, rank)
    ranks.side_by_side(1, tmp_path, _open)
    assert max(json.loads((tmp_path / f"saving{rank}.json").read_text()) for rank in range(2)) < 128 * MB  # of steps; a copy has 258
