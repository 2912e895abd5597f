"""The base of all networks: one table lookup, a state for each side, and logits for a user and an item.

Letters: B batch, U users, N items, O outputs, D embedding dim, S width of a state.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torchrec.modules.embedding_configs import EmbeddingBagConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor, KeyedTensor

from workers.networks.heads import Head
from workers.specs import HISTORY, ITEM_ID, USER_ID, Categorical, FeatureSchema

GRID = 8192  # items that a user is scored with at a time
_of_tables: ContextVar[torch.device | None] = ContextVar("_of_tables", default=None)  # the device that tables are made on; None: torch's


class Order(NamedTuple):
    """Rows of items in order of time, of several people one after another, as a model that reads order takes them: P positions, S people.

    In training each position is that before the row at its place, so P = B; elsewhere each row has a sequence of its own, so S = B.
    """

    items: Tensor  # [P] int64
    lengths: Tensor  # [S] int64, at least 1 each

    def to(self, device: torch.device, non_blocking: bool = False) -> "Order":
        return Order(*(one.to(device, non_blocking=non_blocking) for one in self))

    def pin_memory(self) -> "Order":
        return Order(*(one.pin_memory() for one in self))

    def record_stream(self, stream: torch.Stream) -> None:
        for one in self:
            one.record_stream(stream)


class Batch(NamedTuple):
    """One step's input. Features of a side that is not needed are empty bags and zeros."""

    dense: Tensor  # [B, dense features] float32, schema order
    sparse: KeyedJaggedTensor  # every categorical feature, schema order
    label: Tensor  # [B] float32
    weight: Tensor  # [B] float32, of the row in the loss
    target: Tensor  # [B] float32 value or place of the class, [B, A] 0 or 1 of each action; the label where the dataset has no target
    sampled: int = 0  # that many rows at the end are items of the catalogue without a user: candidates, never targets
    order: Order | None = None  # what was liked before; None where no model reads it, or nothing was liked

    undropped: KeyedJaggedTensor | None = None  # `sparse` before likes were left out at random; None where none were

    @property
    def whole(self) -> KeyedJaggedTensor:
        """Every categorical feature, with the likes that were left out."""
        return self.sparse if self.undropped is None else self.undropped

    @property
    def _parts(self) -> dict[str, Any]:
        """The fields that hold tensors: each a tensor, or what has its methods."""
        return {name: one for name, one in self._asdict().items() if one is not None and not isinstance(one, int)}

    def to(self, device: torch.device, non_blocking: bool = False) -> "Batch":
        if device == self.label.device:
            return self
        return self._replace(**{name: one.to(device, non_blocking=non_blocking) for name, one in self._parts.items()})

    def pin_memory(self) -> "Batch":
        """In memory that a GPU reads by itself, so that copying to it waits for nothing."""
        return self._replace(**{name: one.pin_memory() for name, one in self._parts.items()})

    def record_stream(self, stream: torch.Stream) -> None:
        """Keep the memory until that stream has read it."""
        for one in self._parts.values():
            one.record_stream(stream)


Pooled = dict[str, Tensor]  # [B, D] of each feature


class Ranker(nn.Module):
    """Base of the networks. Subclasses define `user_state`, `item_state` and `score`, and may override `loss` and `score_grid`.

    Both sides come out of one EmbeddingBagCollection, so that a step has one lookup and one exchange between ranks; a part that looks up
    single rows of its own has another.
    """

    ebc: EmbeddingBagCollection
    head: Head
    side_by_side: ClassVar[bool] = True  # whether the embeddings of all features are wanted in one tensor
    by_dot_product: ClassVar[bool] = False  # whether products of queries and item states rank, so that an index can hold the items
    looks_up_batch: ClassVar[bool] = True  # whether `ebc` looks up all of `Batch.sparse`, and once a step
    history_dropout: float = 0.0  # share of likes that are left out of a history in training, before it is looked up
    order_length: int = 0  # positions of `Batch.order` that it reads of a person at most; 0: it reads no order

    def user_state(self, pooled: Pooled, batch: Batch) -> Tensor:
        """The state of the user and the context, for `score`: [B, S]."""
        raise NotImplementedError

    def item_state(self, pooled: Pooled, batch: Batch) -> Tensor:
        """The state of the item, for `score`: [B, S']."""
        raise NotImplementedError

    def score(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits of pairs: states [B, S] and [B, S'] to [B, O]."""
        raise NotImplementedError

    def score_grid(self, users: Tensor, items: Tensor) -> Tensor:
        """The score that ranks (`Head.score`) of every user with every item: [U, S], [N, S'] to [U, N]."""
        grid = items.new_empty(len(users), len(items))
        for place, user in enumerate(users):
            for start in range(0, len(items), GRID):
                part = items[start : start + GRID]
                grid[place, start : start + GRID] = self.head.score(self.score(user.expand(len(part), -1), part))
        return grid

    def query(self, users: Tensor) -> Tensor:
        """Queries to an index of item states, of user states [U, S]: dot products with item states rank as `score_grid` does. For models
        that rank `by_dot_product`."""
        return users

    def prepare(self, batch: Batch) -> Batch:
        """The batch as training reads it: what is left out at random is left out. Once prepared, it stays as it is."""
        if not self.training or not self.history_dropout or batch.undropped is not None:
            return batch
        return batch._replace(sparse=drop_history(batch.sparse, self.history_dropout), undropped=batch.sparse)

    @property
    def collections(self) -> dict[str, EmbeddingBagCollection]:
        """All collections of tables by their name in the network, `ebc` among them, before they are spread over ranks."""
        return {name: module for name, module in self.named_modules() if isinstance(module, EmbeddingBagCollection)}

    def embed(self, batch: Batch) -> Pooled:
        """The embeddings of each feature, by name of the table."""
        return by_table(self.look_up(batch))

    def look_up(self, batch: Batch) -> list[KeyedTensor]:
        """The embeddings, in one part or several (`workers.cpu.collections`)."""
        parts = self.ebc(batch.sparse)
        return parts if isinstance(parts, list) else [parts]

    def encode_users(self, batch: Batch) -> Tensor:
        return self.user_state(self.embed(batch), batch)

    def encode_items(self, batch: Batch) -> Tensor:
        return self.item_state(self.embed(batch), batch)

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, O]."""
        pooled = self.embed(batch)
        return self.score(self.user_state(pooled, batch), self.item_state(pooled, batch))

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Weighted mean loss of the batch, and the sum of the weights that it is the mean over (both scalars)."""
        return weighted_mean(self.head.losses(self.forward(batch), batch.label, batch.target), batch.weight)

    def learn_frequencies(self, positives: Tensor) -> None:
        """Called before training with how often each item row is liked in train ([rows of item_id], float); does nothing by default."""


def by_table(parts: list[KeyedTensor]) -> Pooled:
    """Embeddings by name of their table."""
    # one split per part, whose backward is one copy: a slice per feature would add up whole batches; a single embedding needs no copy
    alone = {key: part.values() for part in parts if len(part.keys()) == 1 for key in tables_of(part)}
    several = [part for part in parts if len(part.keys()) > 1]
    return alone | {key: one for part in several for key, one in zip(tables_of(part), part.to_dict().values(), strict=True)}


def tables_of(part: KeyedTensor) -> list[str]:
    """The tables of its embeddings: torchrec names an embedding feature@table where the feature has more than one table."""
    return [key.split("@")[-1] for key in part.keys()]  # noqa: SIM118 - a KeyedTensor is no dict


def weighted_mean(losses: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """sum(w l) / sum(w) and sum(w) of losses and weights [B]; 0 where no row has weight."""
    total = weights.sum()
    return (losses * weights).sum() / total.clamp(min=torch.finfo(losses.dtype).tiny), total


def table(feature: Categorical, dim: int, std: float, name: str | None = None) -> EmbeddingBagConfig:
    """The embedding table of one feature. A history is summed (its bag is normalised by `scale_history`), other bags averaged."""
    pooling = PoolingType.MEAN if feature.multi_valued and feature.name != HISTORY else PoolingType.SUM
    return EmbeddingBagConfig(
        name=name or feature.name,
        num_embeddings=feature.num_rows,
        embedding_dim=dim,
        feature_names=[feature.name],
        pooling=pooling,
        init_fn=lambda weight: nn.init.normal_(weight, std=std),
    )


def collection(tables: list[EmbeddingBagConfig]) -> EmbeddingBagCollection:
    """The tables of a network, looked up together: every network makes its tables here, so that `tables_on_meta` holds for it."""
    return EmbeddingBagCollection(tables, device=_of_tables.get())


@contextmanager
def tables_on_meta() -> Iterator[None]:
    """Tables of the networks that are made in it have a shape and no bytes; all other weights are as ever.

    Whoever made the network gives them bytes: ranks for their shards alone, serving by a memory map.
    """
    token = _of_tables.set(torch.device("meta"))
    try:
        yield
    finally:
        _of_tables.reset(token)


def scale_history(pooled: Tensor, sparse: KeyedJaggedTensor, power: float = 0.5) -> Tensor:
    """A summed history bag over its length to a power, 1 for the mean: [B, D]; an empty bag stays 0."""
    return pooled / sparse[HISTORY].lengths().clamp(min=1).to(pooled.dtype)[:, None] ** power


def drop_history(sparse: KeyedJaggedTensor, share: float) -> KeyedJaggedTensor:
    """Leave out a random share of the history's items, so that a model does not depend on single ones."""
    keys = sparse.keys()
    place, stride = keys.index(HISTORY), sparse.stride()
    offsets = sparse.offset_per_key()
    start, end = offsets[place], offsets[place + 1]
    keep = torch.rand(end - start, device=sparse.values().device) >= share
    lengths = sparse.lengths().clone()
    bag = lengths[place * stride : (place + 1) * stride]
    owner = torch.repeat_interleave(torch.arange(stride, device=bag.device), bag)
    remaining = torch.zeros_like(bag).index_add_(0, owner, keep.to(bag.dtype))
    lengths[place * stride : (place + 1) * stride] = remaining
    values = sparse.values()
    return KeyedJaggedTensor(keys, torch.cat([values[:start], values[start:end][keep], values[end:]]), lengths=lengths)


def in_history(sparse: KeyedJaggedTensor, users: int, candidates: Tensor, num_rows: int) -> Tensor:
    """Whether each candidate is in the history of each of the first rows: bool [users, candidates]; False where there is no history."""
    if HISTORY not in sparse.keys():  # noqa: SIM118 - a KeyedJaggedTensor is no dict
        return torch.zeros(users, len(candidates), dtype=torch.bool, device=candidates.device)
    bags = sparse[HISTORY]
    lengths = bags.lengths()[:users]
    owner = torch.repeat_interleave(torch.arange(users, device=lengths.device), lengths)
    present, place = torch.unique(candidates, return_inverse=True)
    of_row = torch.full((num_rows,), -1, device=candidates.device)
    of_row[present] = torch.arange(len(present), device=candidates.device)
    column = of_row[bags.values()[: len(owner)]]
    contains = torch.zeros(users, len(present), dtype=torch.bool, device=candidates.device)
    contains[owner[column >= 0], column[column >= 0]] = True
    return contains[:, place]


def mlp(sizes: list[int], last_linear: bool = True) -> nn.Sequential:
    """Linear layers with ReLU between. A ReLU at the end of a tower would make every logit >= 0, so it ends linear."""
    layers: list[nn.Module] = []
    for k, (wide, narrow) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(wide, narrow))
        if not last_linear or k < len(sizes) - 2:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def item_rows(sparse: KeyedJaggedTensor) -> Tensor:
    """The item row of each example, int64 [B]."""
    return sparse[ITEM_ID].values()


def used(
    schema: FeatureSchema,
    *,
    user_id: bool = True,
    history: bool = True,
    user_features: bool = True,
    item_features: bool = True,
    without: Collection[str] = (),
) -> tuple[Categorical, ...]:
    """The categorical features that a model reads, in schema order; always with the item's id. `without`: names of others."""
    by_name = dict.fromkeys(without, False) | {USER_ID: user_id and USER_ID not in without, HISTORY: history and HISTORY not in without}
    by_name[ITEM_ID] = True
    return tuple(f for f in schema.categorical if by_name.get(f.name, item_features if f.side == "item" else user_features))
