"""A history that is read in order: likes are weighted by how new they are, and by what they are, instead of averaged.

Letters: B rows, L likes of all of them (each row's oldest first), D embedding dim, H heads.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from workers.networks.ranker import by_table, collection, table
from workers.specs import HISTORY, FeatureSchema

HEADS = 4  # parts of an embedding, each with weights of its own: one may follow the newest like, another the taste of years
AGES = 18  # groups of ages
QUICK = 10.0  # so much further goes a step of Adam in the weights of ages: at the usual rate they would take a thousand steps to decay


class OrderedHistory(nn.Module):
    """Weighted means of the embeddings of a user's likes, [B, D]; 0 for who liked nothing.

    recency: the weight of a like depends on its age, the number of newer likes: a softmax over learnt numbers, one for each group of ages
    (0, 1, 2, 3, then ever wider). attention: also on how its embedding fits a query, which is learnt and shifted by the newest like.
    That is pooling by attention with a learnt seed (Lee et al., "Set Transformer", ICML 2019), and with the newest like as the interest of
    the moment, as in STAMP (Liu et al., KDD 2018). Both start as the mean, and stay it where order says nothing.
    """

    group_starts: ClassVar[tuple[int, ...]] = (0, 1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 512)

    def __init__(self, pooling: Literal["recency", "attention"], schema: FeatureSchema, dim: int, std: float) -> None:
        super().__init__()
        self.ebc = collection([table(schema.feature(HISTORY), dim, std)])
        self.ages = nn.Parameter(torch.zeros(AGES, HEADS))
        self.attends = pooling == "attention"
        if self.attends:
            self.key, self.newest = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
            self.seed = nn.Parameter(torch.zeros(dim))
            nn.init.zeros_(self.newest.weight)
        self.register_buffer("starts", torch.tensor(self.group_starts), persistent=False)

    def forward(self, sparse: KeyedJaggedTensor, dropout: float = 0.0) -> Tensor:
        """dropout: share of the likes that are left out; the ages of the others stay as they are."""
        bags = sparse[HISTORY]
        lengths, rows = bags.lengths().long(), bags.values()
        owner = torch.repeat_interleave(torch.arange(len(lengths), device=rows.device), lengths)
        age = (lengths.cumsum(0) - 1)[owner] - torch.arange(len(rows), device=rows.device)
        if dropout > 0:
            kept = torch.rand(len(rows), device=rows.device) >= dropout
            rows, owner, age = rows[kept], owner[kept], age[kept]
            lengths = torch.bincount(owner, minlength=len(lengths))
        liked = self._look_up(rows)
        if not len(rows):  # all weights take part in the backward pass, as on the other ranks
            return liked.new_zeros(len(lengths), liked.shape[1]) + liked.sum() + sum(0 * one.sum() for one in self._dense)
        logits = QUICK * self.ages.index_select(0, torch.bucketize(age, self.starts, right=True) - 1)
        if self.attends:
            logits = logits + self._fit(liked, owner, lengths)
        weights = _softmax(logits, owner, lengths)
        weighted = liked.view(len(liked), HEADS, -1) * weights[:, :, None]
        return _sums(weighted.flatten(1), lengths)

    @property
    def _dense(self) -> list[Tensor]:
        return [self.ages, *((self.seed, self.key.weight, self.newest.weight) if self.attends else ())]

    def _look_up(self, rows: Tensor) -> Tensor:
        """Embeddings [L, D]: bags of one, so that the collection that trains them can be any of TorchRec's."""
        ones = torch.ones(len(rows), dtype=torch.int32, device=rows.device)
        parts = self.ebc(KeyedJaggedTensor([HISTORY], rows, lengths=ones, length_per_key=[len(rows)]))
        return by_table(parts if isinstance(parts, list) else [parts])[HISTORY]

    def _fit(self, liked: Tensor, owner: Tensor, lengths: Tensor) -> Tensor:
        """How each like fits its row's query, [L, H]."""
        last = (lengths.cumsum(0) - 1).clamp(min=0)  # whatever it is where a row has no likes
        queries = self.seed + self.newest(liked.index_select(0, last))
        products = self.key(liked) * queries.index_select(0, owner)
        return products.view(len(liked), HEADS, -1).sum(2) * (liked.shape[1] // HEADS) ** -0.5


def _softmax(logits: Tensor, owner: Tensor, lengths: Tensor) -> Tensor:
    """Over the likes of each row: [L, H] to [L, H]."""
    highest = torch.segment_reduce(logits.detach(), "max", lengths=lengths, initial=-1e30)
    shares = (logits - highest.index_select(0, owner)).exp()
    return shares / _sums(shares, lengths).index_select(0, owner)


def _sums(values: Tensor, lengths: Tensor) -> Tensor:
    """Of each row's likes: [L, n] to [B, n]."""
    return torch.segment_reduce(values, "sum", lengths=lengths, initial=0.0)
