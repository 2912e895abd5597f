"""Items drawn from the catalogue into a batch, as candidates without a user: whole tensors, no loop over rows.

Letters: B batch, F features, N items, M drawn.
"""

import torch
from torch import Tensor
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from workers.batches.batches import Columns, to_batch
from workers.networks import Batch, proposal
from workers.specs import FeatureSchema, Sampling


class Sampler:
    """Extends batches with items of the catalogue, each rank from its own random stream.

    Args:
        columns: the item features of N items as block columns, item rows 1, 2, …, N in order.
        popularity: [N] how often each item is liked in train.
    """

    def __init__(self, wanted: Sampling, schema: FeatureSchema, columns: Columns, popularity: Tensor, seed: int) -> None:
        self.wanted, self.num_items = wanted, len(popularity)
        catalogue = to_batch(columns, schema, self.num_items)
        self.sparse, self.dense = catalogue.sparse, catalogue.dense
        self.of_item = torch.tensor([f.side == "item" for f in schema.categorical])
        self.dense_of_item = list(schema.dense_on("item"))
        self.random = torch.Generator().manual_seed(seed)
        self.cumulated = proposal(wanted.draw, popularity).cumsum(0)

    def draw(self, count: int) -> Tensor:
        """Positions of `count` items in the catalogue, with replacement: int64."""
        if self.wanted.draw == "uniform":
            return torch.randint(self.num_items, (count,), generator=self.random)
        drawn = torch.rand(count, generator=self.random, dtype=torch.float64)
        return torch.searchsorted(self.cumulated, drawn).clamp(max=self.num_items - 1)

    def __call__(self, batch: Batch) -> Batch:
        """The batch with M more rows at its end, items without a user: label and weight are 0."""
        drawn = self.draw(self.wanted.candidates)
        stride, more, keys = batch.sparse.stride(), len(drawn), batch.sparse.keys()
        own_values, own_lengths = batch.sparse.values(), batch.sparse.lengths().view(len(keys), stride)
        items, item_lengths = _select(self.sparse, drawn, self.of_item)
        values, lengths, offsets = [], [], batch.sparse.offset_per_key()
        for key in range(len(keys)):
            values += [own_values[offsets[key] : offsets[key + 1]], items[key]]
            lengths += [own_lengths[key], item_lengths[key]]
        dense = batch.dense.new_zeros(more, batch.dense.shape[1])
        dense[:, self.dense_of_item] = self.dense[drawn][:, self.dense_of_item]
        zeros = batch.label.new_zeros(more)
        return batch._replace(
            dense=torch.cat([batch.dense, dense]),
            sparse=KeyedJaggedTensor(keys, torch.cat(values), lengths=torch.cat(lengths)),
            label=torch.cat([batch.label, zeros]),
            weight=torch.cat([batch.weight, zeros]),
            target=torch.cat([batch.target, batch.target.new_zeros(more, *batch.target.shape[1:])]),
            sampled=more,
        )


def _select(sparse: KeyedJaggedTensor, rows: Tensor, wanted: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Values and lengths of some rows, for each wanted feature; empty bags for the others."""
    values = [sparse.values().new_zeros(0)] * len(wanted)
    lengths = [sparse.lengths().new_zeros(len(rows))] * len(wanted)
    stride, offsets = sparse.stride(), sparse.offset_per_key()
    for key in torch.nonzero(wanted)[:, 0].tolist():
        own = sparse.values()[offsets[key] : offsets[key + 1]]
        bags = sparse.lengths()[key * stride : (key + 1) * stride]
        lengths[key] = bags[rows]
        if len(own) == stride and bool((bags == 1).all()):
            values[key] = own[rows]
            continue
        starts = (bags.cumsum(0) - bags)[rows]
        ends = lengths[key].cumsum(0)
        first = torch.repeat_interleave(starts - (ends - lengths[key]), lengths[key])
        values[key] = own[torch.arange(int(ends[-1]) if len(ends) else 0) + first]
    return values, lengths
