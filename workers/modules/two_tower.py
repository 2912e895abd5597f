"""Two towers whose states meet in one dot product, so that items can stand in a vector index."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedTensor

from workers.modules.ranker import Batch, Ranker, drop_history, item_rows, mlp, scale_history, table, used, weighted_mean
from workers.specs import HISTORY, ITEM_ID, Categorical, FeatureSchema

BIAS = "item_bias"
BIAS_DIM = 4  # fbgemm wants widths that are multiples of 4; the bias is the sum of the four


class Tower(nn.Module):
    """One side: its embeddings and dense features to [B, D]. Without hidden layers they are summed, else concatenated."""

    def __init__(self, features: tuple[Categorical, ...], dense: tuple[int, ...], dim: int, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.names, self.dense, self.dim = [f.name for f in features], list(dense), dim
        self.from_dense = nn.Linear(len(dense), dim, bias=False) if dense else None
        width = dim * (len(features) + bool(dense))
        self.deep = mlp([width, *layers, dim]) if layers else None
        if self.from_dense is not None:
            nn.init.normal_(self.from_dense.weight, std=0.01)

    def forward(self, pooled: KeyedTensor, batch: Batch) -> Tensor:
        parts = [scale_history(pooled[n], batch.sparse) if n == HISTORY else pooled[n] for n in self.names]
        if self.from_dense is not None:
            parts.append(self.from_dense(batch.dense[:, self.dense]))
        if self.deep is not None:
            return self.deep(torch.cat(parts, dim=1))
        return torch.stack(parts).sum(0) if parts else batch.dense.new_zeros(len(batch.dense), self.dim)


class TwoTower(Ranker):
    """States carry one more dimension (1 for a user, the bias for an item), so the score is a plain dot product."""

    def __init__(
        self,
        schema: FeatureSchema,
        *,
        dim: int,
        user_layers: tuple[int, ...],
        item_layers: tuple[int, ...],
        cosine: bool,
        temperature: float,
        softmax: bool,
        user_id: bool,
        history: bool,
        history_dropout: float,
        user_features: bool,
        item_features: bool,
        init_std: float,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        features = used(schema, user_id=user_id, history=history, user_features=user_features, item_features=item_features)
        tables = [table(f, dim, init_std) for f in features]
        bias = table(schema.feature(ITEM_ID), BIAS_DIM, 0.0, BIAS)
        self.ebc = EmbeddingBagCollection([*tables, bias], device=device)
        user_dense = schema.dense_on("user", "context") if user_features else ()
        item_dense = schema.dense_on("item") if item_features else ()
        self.user = Tower(tuple(f for f in features if f.side != "item"), user_dense, dim, user_layers)
        self.item = Tower(tuple(f for f in features if f.side == "item"), item_dense, dim, item_layers)
        self.cosine, self.temperature, self.softmax = cosine, temperature, softmax
        self.history_dropout = history_dropout if history and schema.has_history else 0.0
        self.register_buffer("log_frequency", torch.zeros(schema.feature(ITEM_ID).num_rows), persistent=False)

    def embed(self, batch: Batch) -> KeyedTensor:
        found = self.ebc(batch.sparse)
        # a feature with two tables comes back as "<feature>@<table>"; tables are named as their features, the bias apart
        return KeyedTensor([key.split("@")[-1] for key in list(found.keys())], found.length_per_key(), found.values())

    def user_state(self, pooled: KeyedTensor, batch: Batch) -> Tensor:
        vector = self._scaled(self.user(pooled, batch)) / self.temperature
        return torch.cat([vector, torch.ones_like(vector[:, :1])], dim=1)

    def item_state(self, pooled: KeyedTensor, batch: Batch) -> Tensor:
        return torch.cat([self._scaled(self.item(pooled, batch)), pooled[BIAS].sum(1, keepdim=True)], dim=1)

    def score(self, users: Tensor, items: Tensor) -> Tensor:
        return (users * items).sum(1)

    def score_grid(self, users: Tensor, items: Tensor) -> Tensor:
        return users @ items.T

    def _scaled(self, vector: Tensor) -> Tensor:
        return F.normalize(vector, dim=1) if self.cosine else vector

    def learn_frequencies(self, positives: Tensor) -> None:
        # items never liked in train are given half a like, so that their logarithm exists
        self.log_frequency.copy_((positives.clamp(min=0.5) / positives.sum().clamp(min=1)).log())

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if self.training and self.history_dropout > 0:
            batch = batch._replace(sparse=drop_history(batch.sparse, self.history_dropout))
        if not self.softmax:
            return super().loss(batch)
        pooled = self.embed(batch)
        liked = batch.label > 0.5
        users, items = self.user_state(pooled, batch)[liked], self.item_state(pooled, batch)[liked]
        return self._sampled_softmax(users, items, item_rows(batch.sparse)[liked], batch.weight[liked])

    def _sampled_softmax(self, users: Tensor, items: Tensor, rows: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """In-batch sampled softmax with logQ correction: Yi et al., "Sampling-bias-corrected neural modeling for large
        corpus item recommendations", RecSys 2019, eq. 3. An item's copies elsewhere in the batch are no negatives."""
        if len(rows) == 0:  # keep every parameter in the graph: other ranks wait for its gradient
            return users.sum() * 0 + items.sum() * 0, torch.tensor(0.0)
        logits = self.score_grid(users, items) - self.log_frequency[rows]
        copies = (rows[:, None] == rows).fill_diagonal_(False)
        target = torch.arange(len(rows), device=rows.device)
        losses = F.cross_entropy(logits.masked_fill(copies, float("-inf")), target, reduction="none")
        return weighted_mean(losses, weights)
