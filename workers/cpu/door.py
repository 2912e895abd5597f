"""The one door to the fast way of whole tables on CPUs (`train.shared_tables`): training asks here, and nothing else is changed.

The fast way replaces methods of torchrec's sharded collections and of fbgemm's tables, and reads their private fields. So it first checks
that all of them are there, on every rank; where one is not, as another release may have it, nothing is changed and TorchRec's own way is
taken, which gives the same weights and takes longer.
"""

import logging
from collections.abc import Iterator

import torch
import torch.distributed as dist
from fbgemm_gpu.split_table_batched_embeddings_ops_training import SplitTableBatchedEmbeddingBagsCodegen
from torch import nn
from torchrec.distributed.embeddingbag import ShardedEmbeddingBagCollection
from torchrec.distributed.sharding.tw_sharding import TwPooledEmbeddingSharding

from workers.cpu import collections, features, gradients, products
from workers.cpu.memory import all_ranks
from workers.cpu.tables import CpuTables

log = logging.getLogger(__name__)
COLLECTION = ("_lookups", "_embedding_shardings")
KERNEL = ("use_cpu", "weights_precision", "pooling_mode", "feature_table_map", "embedding_specs", "optimizer", "optimizer_args")
ADAGRAD = (
    "weights_host", "momentum1_host", "weights_physical_offsets", "momentum1_physical_offsets", "learning_rate_tensor", "table_names",
    "placeholder_autograd_tensor",
)  # fmt: skip
TABLE = ("name", "num_embeddings", "embedding_dim", "feature_names", "embedding_names")


def use_shared_tables(distributed: nn.Module, together: bool, timeout_s: float) -> bool:
    """Let a distributed module look up its tables, and average its dense gradients, in memory that the ranks of this host share.

    Tables that have no fast way stay as they are, and so does everything on ranks of several hosts. Weights of tables are to be drawn or
    loaded afterwards: those that move lose their values. A collective call.

    Args:
        distributed: the module that DistributedModelParallel made; on CPU.
        together: whether the features' embeddings are wanted side by side in one tensor, rather than each on its own.
        timeout_s: how long a rank waits for another.

    Returns:
        Whether the libraries are as this module knows them; nothing was changed where they are not.
    """
    problems = [problem for problem in all_ranks(next(_missing(distributed), None)) if problem]
    if problems:
        if dist.get_rank() == 0:
            log.warning("train.shared_tables has no effect, since this release has no %s; TorchRec's slower way is taken.", problems[0])
        return False
    features.show_to_fbgemm()
    products.use_onednn()
    collections.wrap_collections(distributed, together, timeout_s)
    gradients.share_gradients(distributed, timeout_s)
    return True


def _missing(distributed: nn.Module) -> Iterator[str]:
    """The private fields that the fast way reads and that are not there."""
    yield from _lacks(torch.UntypedStorage, "_share_fd_cpu_")
    for collection in distributed.modules():
        if type(collection) is not ShardedEmbeddingBagCollection:
            continue
        yield from _lacks(collection, *COLLECTION)
        for lookup in collection._lookups:
            inner = collections.unwrapped(lookup)
            yield from _lacks(inner, "_emb_modules")
            for kernel in inner._emb_modules:
                yield from _lacks(kernel, "emb_module")
                yield from _missing_in_kernel(kernel.emb_module)
        for sharding in collection._embedding_shardings:
            if type(sharding) is TwPooledEmbeddingSharding:
                yield from _missing_in_sharding(sharding)


def _missing_in_kernel(kernel: nn.Module) -> Iterator[str]:
    if type(kernel) is SplitTableBatchedEmbeddingBagsCodegen:
        yield from _lacks(kernel, *KERNEL)
        if CpuTables.fits(kernel):
            yield from _lacks(kernel, *ADAGRAD)
            yield from _lacks(kernel.optimizer_args, "eps")


def _missing_in_sharding(sharding: TwPooledEmbeddingSharding) -> Iterator[str]:
    yield from _lacks(sharding, "_grouped_embedding_configs_per_rank")
    for groups in sharding._grouped_embedding_configs_per_rank:
        for group in groups:
            yield from _lacks(group, "embedding_tables", "pooling")
            for table in group.embedding_tables:
                yield from _lacks(table, *TABLE)


def _lacks(thing: object, *names: str) -> Iterator[str]:
    owner = thing if isinstance(thing, type) else type(thing)
    yield from (f"{owner.__name__}.{name}" for name in names if not hasattr(thing, name))
