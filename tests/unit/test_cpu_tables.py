"""The fast way through tables on a CPU does what fbgemm's own kernel does, and the products of pairs what autograd does."""

import numpy as np
import pytest
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import BoundsCheckMode, EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import ComputeDevice, SplitTableBatchedEmbeddingBagsCodegen

from workers.cpu_tables import CpuTables
from workers.modules.ranking import pair_products

SPECS = [(50, 8), (3, 8), (40, 4), (700, 8)]
BATCH = 64


def _kernel(pooling: PoolingMode) -> SplitTableBatchedEmbeddingBagsCodegen:
    torch.manual_seed(3)
    tables = SplitTableBatchedEmbeddingBagsCodegen(
        [(rows, dim, EmbeddingLocation.HOST, ComputeDevice.CPU) for rows, dim in SPECS],
        optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        learning_rate=0.3,
        eps=1e-3,
        pooling_mode=pooling,
        bounds_check_mode=BoundsCheckMode.FATAL,
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
    ours.__class__ = CpuTables
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


@pytest.mark.parametrize("bad", [-1, 50])
def test_an_id_that_is_no_row_is_refused_though_the_next_table_has_it(bad: int) -> None:
    tables = _kernel(PoolingMode.SUM)
    tables.__class__ = CpuTables
    ids, offsets = _bags(np.random.default_rng(0), "single")
    ids[5] = bad
    with pytest.raises(IndexError, match=f"Id {bad} of"):
        tables(ids, offsets)


def test_products_of_pairs_and_their_gradient_are_those_of_autograd() -> None:
    every = torch.randn(7, 5, 3, dtype=torch.float64, requires_grad=True)
    first, second = torch.triu_indices(5, 5, 1)
    torch.testing.assert_close(pair_products(every), torch.bmm(every, every.transpose(1, 2))[:, first, second])
    assert torch.autograd.gradcheck(pair_products, every)
