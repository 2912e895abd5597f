"""DLRM out of torchrec's parts: every categorical and dense feature, dot interactions, logits."""

import torch
from torch import Tensor, nn
from torchrec.models.dlrm import InteractionArch, OverArch
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedTensor

from workers.modules.ranker import Batch, Ranker, mlp, scale_history, table, used
from workers.specs import HISTORY, FeatureSchema


class DLRMRanker(Ranker):
    """A state holds one side's embeddings, flat, then its dense features; the score lets the sides interact."""

    def __init__(
        self,
        schema: FeatureSchema,
        *,
        dim: int,
        dense_layers: tuple[int, ...],
        over_layers: tuple[int, ...],
        history: bool,
        dropout: float,
        init_std: float,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        features = used(schema, history=history)
        self.dim, self.dropout = dim, nn.Dropout(dropout)
        self.names = {
            "user": [f.name for f in features if f.side != "item"],
            "item": [f.name for f in features if f.side == "item"],
        }
        self.dense = {"user": list(schema.dense_on("user", "context")), "item": list(schema.dense_on("item"))}
        self.ebc = EmbeddingBagCollection([table(f, dim, init_std) for f in features], device=device)
        num_dense = len(schema.dense)
        # without dense features a learned vector takes their place in the interaction
        self.bottom = mlp([num_dense, *dense_layers, dim], last_linear=False) if num_dense else nn.Identity()
        self.stand_in = None if num_dense else nn.Parameter(torch.zeros(1, dim))
        self.interaction = InteractionArch(num_sparse_features=len(features))
        pairs = (len(features) + 1) * len(features) // 2
        self.over = OverArch(in_features=dim + pairs, layer_sizes=[*over_layers, 1])

    def _state(self, side: str, pooled: KeyedTensor, batch: Batch) -> Tensor:
        parts = [scale_history(pooled[n], batch.sparse) if n == HISTORY else pooled[n] for n in self.names[side]]
        return torch.cat([*parts, batch.dense[:, self.dense[side]]], dim=1)

    def user_state(self, pooled: KeyedTensor, batch: Batch) -> Tensor:
        return self._state("user", pooled, batch)

    def item_state(self, pooled: KeyedTensor, batch: Batch) -> Tensor:
        return self._state("item", pooled, batch)

    def score(self, users: Tensor, items: Tensor) -> Tensor:
        cut_u, cut_i = self.dim * len(self.names["user"]), self.dim * len(self.names["item"])
        sparse = torch.cat([users[:, :cut_u], items[:, :cut_i]], dim=1).view(len(users), -1, self.dim)
        if self.stand_in is not None:
            dense = self.stand_in.expand(len(users), -1)
        else:
            # the schema's order is user, item, context; states keep it within a side
            order = torch.tensor(self.dense["user"] + self.dense["item"], device=users.device).argsort()
            dense = self.bottom(torch.cat([users[:, cut_u:], items[:, cut_i:]], dim=1)[:, order])
        return self.over(self.dropout(self.interaction(dense_features=dense, sparse_features=sparse)))[:, 0]
