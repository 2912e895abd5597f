"""The towers of a two-tower as plain modules on padded tensors: a KeyedJaggedTensor and an EmbeddingBagCollection have no ONNX form.

Letters: B rows, L ids of the longest bag, D embedding dim, S width of a state, H heads.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.artifacts import FEATURE
from workers.networks.history import HEADS, QUICK, OrderedHistory
from workers.networks.two_tower import BIAS, Tower, TwoTower
from workers.specs import HISTORY, ITEM_ID, Categorical, FeatureSchema, Side

DENSE, VECTOR = "dense", "vector"  # an input and the output


class PlainTower(nn.Module):
    """One tower of a finished two-tower: inputs in the order of `inputs`, output [B, S].

    A single-valued feature is int64 [B]; a bag is int64 [B, L], the newest last and then anything, with its lengths as int64 [B]; dense
    features are float32 [B, F], standardised. The dot product of a user's output with an item's, plus `offset`, is the score that ranks.
    What belongs to neither side (context) is empty, as it is when lists are made.
    """

    def __init__(self, network: TwoTower, schema: FeatureSchema, side: Side) -> None:
        super().__init__()
        tower: Tower = network.user if side == "user" else network.item
        own = {feature.name: feature for feature in schema.on(side)}
        self.read = [own[name] for name in tower.names if name in own]
        self.names, self.dim, self.side = tower.names, tower.dim, side
        self.from_dense, self.deep, self.cosine, self.temperature = tower.from_dense, tower.deep, network.cosine, network.temperature
        of_side, dense = schema.dense_on(side), [] if tower.from_dense is None else tower.dense
        self.dense = [schema.dense[place] for place in dense if place in of_side]
        self.places = [at for at, place in enumerate(dense) if place in of_side]
        self.in_order = network.in_order if side == "user" else None
        bags = dict(network.ebc.embedding_bags.items())
        if self.in_order is not None:
            bags[HISTORY] = self.in_order.ebc.embedding_bags[HISTORY]
        self.tables = nn.ParameterDict({feature.name: _table(bags[feature.name], feature.num_rows) for feature in self.read})
        biases = _table(bags[BIAS], schema.feature(ITEM_ID).num_rows)
        self.bias = nn.Parameter(biases.sum(1, keepdim=True), requires_grad=False) if side == "item" else None
        folded = side == "user" and network.outputs is not None
        self.register_buffer("folded", network.outputs.of_score(network.head).detach() if folded and network.outputs is not None else None)
        self.groups = None if self.in_order is None else _groups(self.in_order)

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in their order."""
        named = [name for f in self.read for name in ((f.name, lengths_of(f.name)) if f.multi_valued else (f.name,))]
        ids = [ITEM_ID] if self.side == "item" and ITEM_ID not in named else []
        return [*ids, *named, *([DENSE] if self.dense else [])]

    def forward(self, *inputs: Tensor) -> Tensor:
        given = dict(zip(self.inputs, inputs, strict=True))
        rows = inputs[0].shape[0]
        pooled = {feature.name: self._pooled(feature, given) for feature in self.read}
        nothing = inputs[0].new_zeros(rows, self.dim, dtype=torch.float32)
        parts = [pooled.get(name, nothing) for name in self.names]
        if self.from_dense is not None:
            known = given[DENSE] @ self.from_dense.weight[:, self.places].T if self.dense else nothing
            parts.append(known)
        vector = self.deep(torch.cat(parts, dim=1)) if self.deep is not None else sum(parts[1:], parts[0])
        vector = F.normalize(vector, dim=1) if self.cosine else vector
        if self.bias is not None:
            return torch.cat([vector, self.bias[given[ITEM_ID]]], dim=1)
        state = torch.cat([vector / self.temperature, torch.ones_like(vector[:, :1])], dim=1)
        return state if self.folded is None else state * self.folded

    def _pooled(self, feature: Categorical, given: Mapping[str, Tensor]) -> Tensor:
        """The embedding of a feature, [B, D]: of a bag the mean, 0 where it is empty."""
        rows, table = given[feature.name], self.tables[feature.name]
        if not feature.multi_valued:
            return table[rows]
        lengths = given[lengths_of(feature.name)]
        place = torch.arange(rows.shape[1], device=rows.device)[None]
        there = place < lengths[:, None]
        found = table[torch.where(there, rows, 0)]
        if feature.name == HISTORY and self.in_order is not None:
            return self._by_order(found, there, lengths, lengths[:, None] - 1 - place)
        return (found * there[:, :, None]).sum(1) / lengths.clamp(min=1)[:, None]

    def _by_order(self, found: Tensor, there: Tensor, lengths: Tensor, age: Tensor) -> Tensor:
        """`OrderedHistory` on padded tensors: likes [B, L, D], whether there is one, how many, and their ages, to [B, D]."""
        order, groups = self.in_order, self.groups
        assert order is not None and groups is not None
        logits = QUICK * order.ages[groups[age.clamp(0, len(groups) - 1)]]
        if order.attends:
            last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, found.shape[2])
            queries = order.seed + order.newest(found.gather(1, last))
            products = order.key(found) * queries
            logits = logits + products.unflatten(2, (HEADS, -1)).sum(3) * (found.shape[2] // HEADS) ** -0.5
        weights = logits.masked_fill(~there[:, :, None], -1e30).softmax(1) * there[:, :, None]
        return (found.unflatten(2, (HEADS, -1)) * weights[:, :, :, None]).sum(1).flatten(1)


def user_tower(network: TwoTower, schema: FeatureSchema) -> PlainTower:
    """The tower of users, whose output is a query."""
    return PlainTower(network, schema, "user").eval()


def item_tower(network: TwoTower, schema: FeatureSchema) -> PlainTower:
    """The tower of items, whose output is what an index holds."""
    return PlainTower(network, schema, "item").eval()


def lengths_of(name: str) -> str:
    """The input with the lengths of a bag."""
    return f"{name}_lengths"


def padded(tower: PlainTower, columns: Mapping[str, Sequence[object]]) -> dict[str, np.ndarray]:
    """Inputs of a tower by name, from `feature.*` columns of a prepared table of users or items: rows of vocabularies, and bags of them."""
    inputs: dict[str, np.ndarray] = {}
    for feature in tower.read:
        values = columns[FEATURE + feature.name]
        if feature.multi_valued:
            bags = [np.asarray(bag, np.int64) for bag in values]
            inputs[lengths_of(feature.name)] = np.array([len(bag) for bag in bags], np.int64)
            grid = np.zeros((len(bags), max([1, *map(len, bags)])), np.int64)
            for row, bag in enumerate(bags):
                grid[row, : len(bag)] = bag
            inputs[feature.name] = grid
        else:
            inputs[feature.name] = np.asarray(values, np.int64)
    if ITEM_ID in tower.inputs:
        inputs[ITEM_ID] = np.asarray(columns[FEATURE + ITEM_ID], np.int64)
    if tower.dense:
        inputs[DENSE] = np.stack([np.asarray(columns[FEATURE + one.name], np.float32) for one in tower.dense], 1)
    return inputs


def _table(bag: nn.Module, count: int) -> nn.Parameter:
    """All rows of a table [count, D], whether it is in memory or mapped: bags of one row each."""
    with torch.no_grad():
        return nn.Parameter(bag(torch.arange(count), torch.arange(count + 1)), requires_grad=False)


def _groups(order: OrderedHistory) -> nn.Parameter:
    """Age of a like -> its group, as a table: int64; older likes are in the group of the last."""
    ages = torch.arange(order.group_starts[-1] + 1)
    return nn.Parameter(torch.bucketize(ages, order.starts, right=True) - 1, requires_grad=False)
