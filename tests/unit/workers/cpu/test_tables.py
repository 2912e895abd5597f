"""The fast way through tables on a CPU does what fbgemm's own kernel does, and the products of pairs what autograd does."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import BoundsCheckMode, EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import ComputeDevice, SplitTableBatchedEmbeddingBagsCodegen
from torch.distributed._shard.sharded_tensor import ShardedTensor
from torchrec.modules.embedding_configs import EmbeddingBagConfig

from tests.contracts.test_models import ITEMS, SCHEMA, USERS, batch, every_model, network
from workers.batches.batches import take, to_batch
from workers.cpu import kernels
from workers.cpu.collections import LoneTables, placed
from workers.cpu.tables import CpuTables
from workers.models.base import NetworkSpec
from workers.networks.feature_rankers import pair_products, sum_of_pairs
from workers.specs.training import TrainSpec
from workers.training.sharding import distribute

SPECS = [(50, 8), (3, 8), (40, 4), (700, 8)]
BATCH = 64
RATES = TrainSpec(table_learning_rate=0.1, table_epsilon=1e-8, dense_learning_rate=0.001)


def _kernel(pooling: PoolingMode) -> SplitTableBatchedEmbeddingBagsCodegen:
    torch.manual_seed(3)
    tables = SplitTableBatchedEmbeddingBagsCodegen(
        [(rows, dim, EmbeddingLocation.HOST, ComputeDevice.CPU) for rows, dim in SPECS],
        optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        learning_rate=0.3,
        eps=1e-3,
        pooling_mode=pooling,
        bounds_check_mode=BoundsCheckMode.FATAL,
        table_names=["a", "b", "c", "d"],
    )
    for weight in tables.split_embedding_weights():
        torch.nn.init.normal_(weight)
    return tables


def _bags(rng: np.random.Generator, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and offsets of all features: one id a row, bags, or bags beside single ids and a feature that nobody has."""
    lengths = np.ones((len(SPECS), BATCH), int)
    if kind == "bags":
        lengths = rng.integers(0, 5, lengths.shape)
    elif kind == "mixed":
        lengths[1], lengths[2] = rng.integers(0, 5, BATCH), 0
    ids = [rng.integers(0, rows, own.sum()) for (rows, _), own in zip(SPECS, lengths, strict=True)]
    return torch.from_numpy(np.concatenate(ids)), torch.from_numpy(np.concatenate([[0], lengths.ravel().cumsum()]))


@pytest.mark.parametrize("kind", ["single", "bags", "mixed"])
@pytest.mark.parametrize("pooling", [PoolingMode.SUM, PoolingMode.MEAN])
def test_lookups_and_updates_are_those_of_fbgemm(kind: str, pooling: PoolingMode) -> None:
    theirs, ours = _kernel(pooling), _kernel(pooling)
    assert CpuTables.wrap(ours)
    rng = np.random.default_rng(0)
    for step in range(4):
        if step == 2:
            theirs.set_learning_rate(0.05)
            ours.set_learning_rate(0.05)
        ids, offsets = _bags(rng, kind)
        wanted, found = theirs(ids, offsets), ours(ids, offsets)
        torch.testing.assert_close(found, wanted)
        gradient = torch.from_numpy(rng.standard_normal(wanted.shape).astype(np.float32))
        wanted.backward(gradient)
        found.backward(gradient)
    for mine, other in zip(ours.split_embedding_weights(), theirs.split_embedding_weights(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.momentum1_host, theirs.momentum1_host, rtol=1e-4, atol=1e-6)


def test_no_rows_have_no_embeddings() -> None:
    tables = _kernel(PoolingMode.SUM)
    assert CpuTables.wrap(tables)
    assert tables(torch.zeros(0, dtype=torch.long), torch.zeros(1, dtype=torch.long)).shape == (0, 28)


@pytest.mark.fault("F54")
@pytest.mark.parametrize("bad", [-1, 50])
@pytest.mark.parametrize("kind", ["single", "bags"])
def test_an_id_that_is_no_row_is_refused_though_the_next_table_has_it(kind: str, bad: int) -> None:
    tables = _kernel(PoolingMode.SUM)
    assert CpuTables.wrap(tables)
    ids, offsets = _bags(np.random.default_rng(0), kind)
    ids[5] = bad
    with pytest.raises(IndexError, match=f"Id {bad} of a"):
        tables(ids, offsets)


def test_kernels_run_where_no_folder_can_keep_them(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(Path(kernels.__file__).read_text())
    script = (
        "import numpy as np, numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"  # as on a machine without a home, from a package that cannot be written to
        "from kernels import row_wise_adagrad, sorted_keys\n"
        "weight, gradient = np.zeros((8, 1), np.float32), np.array([[1], [2], [4]], np.float32)\n"
        "row_wise_adagrad(weight, weight[:, 0].copy(), *sorted_keys(np.array([7, 3, 7]), None), gradient, 1.0, 0.5, 0.0)\n"
        "print(weight.ravel().tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "[0.0, 0.0, 0.0, -0.5, 0.0, 0.0, 0.0, -0.5]\n", done.stderr


def test_products_of_pairs_and_their_gradient_are_those_of_autograd() -> None:
    every = torch.randn(7, 5, 3, dtype=torch.float64, requires_grad=True)
    first, second = torch.triu_indices(5, 5, 1)
    torch.testing.assert_close(pair_products(every), torch.bmm(every, every.transpose(1, 2))[:, first, second])
    assert torch.autograd.gradcheck(pair_products, every)


def test_products_of_pairs_are_learnt_from_under_mixed_precision() -> None:
    every = torch.randn(7, 5, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        total = pair_products(every).sum()
    total.backward()  # as the loop does it: no longer under autocast
    assert every.grad is not None
    torch.testing.assert_close(every.grad, every.detach().sum(1, keepdim=True) - every.detach(), rtol=0.05, atol=0.05)


def test_the_sum_of_pairs_and_its_gradient_are_those_of_their_products() -> None:
    every = torch.randn(7, 5, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(sum_of_pairs(every), pair_products(every).sum(1, keepdim=True))
    assert torch.autograd.gradcheck(sum_of_pairs, every)


def test_the_sum_of_pairs_is_learnt_from_under_mixed_precision() -> None:
    every = torch.randn(7, 5, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        total = (sum_of_pairs(every).to(torch.bfloat16) @ torch.ones(1, 1, dtype=torch.bfloat16)).sum()
    total.backward()
    assert every.grad is not None
    torch.testing.assert_close(every.grad, every.detach().sum(1, keepdim=True) - every.detach(), rtol=0.05, atol=0.05)


def _table(name: str, feature: str, rows: int, dim: int) -> EmbeddingBagConfig:
    return EmbeddingBagConfig(name=name, num_embeddings=rows, embedding_dim=dim, feature_names=[feature])


def test_tables_of_one_feature_stay_together_and_ranks_have_alike_to_do() -> None:
    two_tower = [_table("users", "user_id", 140_000, 64), _table("items", "item_id", 27_000, 64), _table("bias", "item_id", 27_000, 4)]
    assert placed(two_tower, 2) == {"users": 1, "items": 0, "bias": 0}
    wide = [_table(f"{kind}{k}", f"c{k}", 10**k, dim) for k in range(1, 7) for kind, dim in (("e", 16), ("w", 4))]
    ranks = placed(wide, 3)
    assert list(ranks) == [table.name for table in wide]
    assert all(ranks[f"e{k}"] == ranks[f"w{k}"] for k in range(1, 7))
    assert sorted(ranks.values()) == [0] * 4 + [1] * 4 + [2] * 4
    assert len({ranks["e6"], ranks["e5"], ranks["e4"]}) == 3  # the largest apart
    assert placed(two_tower[:1], 2) == {"users": 0}


@pytest.fixture
def only_rank(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@every_model
def test_the_only_rank_sees_the_logits_that_a_catalogue_is_ranked_with(model: type[NetworkSpec], only_rank: None) -> None:
    rows = batch(USERS | ITEMS)
    distributed = distribute(network(model), RATES, torch.device("cpu")).module
    net = distributed.module.model.eval()
    assert isinstance(net.ebc, LoneTables)
    whole = network(model)
    whole.load_state_dict({name.removeprefix("model."): _own(value) for name, value in distributed.state_dict().items()})
    with torch.no_grad():
        torch.testing.assert_close(net(rows), whole(rows))
        torch.testing.assert_close(net.score(net.encode_users(rows), net.encode_items(rows)), whole(rows))
        nobody = to_batch(take(dict(USERS | ITEMS), np.zeros(0, int)), SCHEMA, 0)
        assert net(nobody).shape == (0, 1)


def _own(value: torch.Tensor | ShardedTensor) -> torch.Tensor:
    return value.local_tensor() if isinstance(value, ShardedTensor) else value
