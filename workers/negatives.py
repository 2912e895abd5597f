"""Items drawn from the catalogue into a batch: as rows that nobody liked, or as candidates without a user. All in whole tensors.

Letters: B batch, F features, N items, M drawn.
"""

import torch
from torch import Tensor
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from workers.batches import Columns, to_batch
from workers.modules.ranker import Batch
from workers.specs import HISTORY, ITEM_ID, FeatureSchema, Sampling


class Sampler:
    """Extends batches with items of the catalogue, each rank from its own random stream.

    Args:
        columns: the item features of N items as block columns, item rows 1, 2, …, N in order.
        popularity: [N] how often each is liked in train: what "popularity" draws by, to the power 3/4 (Mikolov et al., 2013).
    """

    def __init__(self, wanted: Sampling, schema: FeatureSchema, columns: Columns, popularity: Tensor, seed: int) -> None:
        self.wanted, self.num_items = wanted, len(popularity)
        catalogue = to_batch(columns, schema, self.num_items)
        self.sparse, self.dense = catalogue.sparse, catalogue.dense
        self.of_item = torch.tensor([f.side == "item" for f in schema.categorical])
        self.dense_of_item = list(schema.dense_on("item"))
        self.history = next((k for k, f in enumerate(schema.categorical) if f.name == HISTORY), None)
        self.random = torch.Generator().manual_seed(seed)
        weights = (popularity.double().clamp(min=0.5) ** 0.75).cumsum(0)
        self.cumulated = weights / weights[-1]

    def draw(self, count: int) -> Tensor:
        """Positions of `count` items in the catalogue, with replacement: int64."""
        if self.wanted.draw == "uniform":
            return torch.randint(self.num_items, (count,), generator=self.random)
        drawn = torch.rand(count, generator=self.random, dtype=torch.float64)
        return torch.searchsorted(self.cumulated, drawn).clamp(max=self.num_items - 1)

    def __call__(self, batch: Batch) -> Batch:
        return self._with_candidates(batch) if self.wanted.candidates else self._with_negatives(batch)

    def _with_candidates(self, batch: Batch) -> Batch:
        """M rows more, at the end, of items without a user."""
        drawn = self.draw(self.wanted.candidates)
        nobody = torch.zeros(0, dtype=torch.long)
        extended = self._append(batch, nobody, drawn, torch.zeros(len(drawn), len(batch.dense[0]) if len(batch.dense) else 0))
        return extended._replace(sampled=len(drawn))

    def _with_negatives(self, batch: Batch) -> Batch:
        """For each liked row, the row again with other items and label 0; an item that the user likes is drawn in vain (weight 0)."""
        owner = torch.repeat_interleave(torch.nonzero(batch.label > 0.5)[:, 0], self.wanted.per_liked_row)
        drawn = self.draw(len(owner))
        extended = self._append(batch, owner, drawn, batch.dense[owner])
        extended.weight[len(batch.label) :] = batch.weight[owner] * ~self._liked(batch, owner, drawn)
        return extended

    def _append(self, batch: Batch, owner: Tensor, drawn: Tensor, dense: Tensor) -> Batch:
        stride, more = batch.sparse.stride(), len(drawn)
        keys = len(batch.sparse.keys())
        own_values, own_lengths = batch.sparse.values(), batch.sparse.lengths().view(keys, stride)
        users, user_lengths = _select(batch.sparse, owner, ~self.of_item)
        items, item_lengths = _select(self.sparse, drawn, self.of_item)
        values, lengths, offsets = [], [], batch.sparse.offset_per_key()
        for key in range(keys):
            taken, taken_lengths = (items, item_lengths) if self.of_item[key] else (users, user_lengths)
            values += [own_values[offsets[key] : offsets[key + 1]], taken[key]]
            # candidates have no user: their bags are empty
            lengths += [own_lengths[key], taken_lengths[key] if len(taken_lengths[key]) == more else own_lengths.new_zeros(more)]
        dense = dense.clone()
        dense[:, self.dense_of_item] = self.dense[drawn][:, self.dense_of_item]
        zeros = batch.label.new_zeros(more)
        return Batch(
            torch.cat([batch.dense, dense]),
            KeyedJaggedTensor(batch.sparse.keys(), torch.cat(values), lengths=torch.cat(lengths)),
            torch.cat([batch.label, zeros]),
            torch.cat([batch.weight, zeros]),
            torch.cat([batch.target, batch.target.new_zeros(more, *batch.target.shape[1:])]),
        )

    def _liked(self, batch: Batch, owner: Tensor, drawn: Tensor) -> Tensor:
        """Whether the item drawn is the row's own, or stands in its history: bool [M]."""
        rows = drawn + 1
        liked = batch.sparse[ITEM_ID].values()[owner] == rows
        if self.history is None:
            return liked
        bags = batch.sparse[HISTORY]
        users = torch.repeat_interleave(torch.arange(len(bags.lengths())), bags.lengths())
        pairs = users * (self.num_items + 1) + bags.values()
        return liked | torch.isin(owner * (self.num_items + 1) + rows, pairs)


def _select(sparse: KeyedJaggedTensor, rows: Tensor, wanted: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Values and lengths of some rows, for each wanted feature; empty for the others."""
    none = sparse.values().new_zeros(0)
    values, lengths = [none] * len(wanted), [sparse.lengths().new_zeros(0)] * len(wanted)
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
