"""A Markov chain of items: what is liked after what, as counts, and people scored by the order of what they liked."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, vstack

from workers.matrices.matrix import MatrixModel, ReportProgress, no_report
from workers.matrices.sparse import largest

if TYPE_CHECKING:
    from workers.batches import Likes  # which imports torch: serving does without

PAIRS = 1 << 23  # pairs of likes that are counted at a time: bounds memory at about 300 MB beside the chain itself


class MarkovChain(MatrixModel):
    """P [N, N], the probability of the next like by an earlier one; a person's scores are the mean of the rows of P of all that the
    person liked, where a like that k others follow weighs 1/2^(k / half_life), over q^damping.

    A like is followed by the next `window` likes of the same person; the d-th counts decay^(d - 1). With c [N, N] the sums of these counts
    and q [N] the shares of items in all likes, P = (c + smoothing q) / (sum of c over columns + smoothing): rare items, and those that
    nothing follows, fall back to popularity, and so do people without any like. Of each row of c the `successors` largest are kept, and
    the rest of the row's probability goes to q too, so that P is a sparse matrix and one of rank 1.
    """

    reads_order: ClassVar[bool] = True

    def __init__(self, window: int, decay: float, half_life: float, smoothing: float, damping: float = 0.0, successors: int = 1000) -> None:
        self.window, self.decay, self.half_life = window, decay, half_life
        self.smoothing, self.damping, self.successors = smoothing, damping, successors

    def fit(self, likes: "Likes", seed: int = 1, report_progress: ReportProgress = no_report) -> None:
        popularity = (likes.counts / max(likes.counts.sum(), 1)).astype(np.float32)
        rows, sums = [], []
        for counts, share in self._counted(likes.matrix):
            totals = np.asarray(counts.sum(axis=1), np.float64).ravel() + self.smoothing
            kept = largest(counts.tocoo(), self.successors)
            rows.append(kept.multiply(1 / totals[:, None]).tocsr().astype(np.float32))
            sums.append(np.asarray(rows[-1].sum(axis=1), np.float64).ravel())
            report_progress(share)
        self._take(vstack(rows, format="csr"), (1 - np.concatenate(sums)).astype(np.float32), popularity)

    def _counted(self, likes: csr_matrix) -> Iterator[tuple[csr_matrix, float]]:
        """c of some items after others, float64 [n, N], until all have come; and the share of pairs that are done."""
        items = likes.indices
        following = np.minimum(np.repeat(likes.indptr[1:], np.diff(likes.indptr)) - np.arange(len(items)) - 1, self.window)
        pairs = np.cumsum(np.bincount(items, following, likes.shape[1]))  # with an earlier item of up to this place
        ends = np.searchsorted(pairs, np.arange(PAIRS, pairs[-1], PAIRS), side="left") + 1
        bounds = np.unique([0, *ends, likes.shape[1]])
        for first, end in pairwise(bounds.tolist()):
            at = np.flatnonzero((items >= first) & (items < end))
            parts = [(at[:0], at[:0], np.zeros(0))]
            for step in range(1, self.window + 1):
                at = at[following[at] >= step]
                if not len(at):
                    break
                parts.append((items[at] - first, items[at + step], np.full(len(at), self.decay ** (step - 1))))
            earlier, later, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
            yield coo_matrix((counts, (earlier, later)), (end - first, likes.shape[1])).tocsr(), float(pairs[end - 1] / max(pairs[-1], 1))

    def ages_counted(self, sizes: Sequence[int] | np.ndarray) -> np.ndarray:
        """How much each like of people counts, the oldest first: float32 [sum of sizes], 1 in sum for who liked something.

        Args:
            sizes: how many likes each person has.
        """
        owner = np.repeat(np.arange(len(sizes)), sizes)
        age = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(owner)) - 1
        weights = 0.5 ** (age / self.half_life)
        return (weights / np.bincount(owner, weights, len(sizes))[owner]).astype(np.float32)

    def scores(self, likes: csr_matrix) -> np.ndarray:
        sizes = np.diff(likes.indptr)
        weights = csr_matrix((self.ages_counted(sizes), likes.indices, likes.indptr), likes.shape)
        popular = np.where(sizes, weights @ self.rest, np.float32(1))
        return np.asarray(((weights @ self.following).toarray() + popular[:, None] * self.popularity) * self.boost, np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        chain = {"following": self.following.data, "items": self.following.indices, "starts": self.following.indptr}
        return chain | {"rest": self.rest, "popularity": self.popularity}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        size = len(arrays["starts"]) - 1
        following = csr_matrix((arrays["following"], arrays["items"], arrays["starts"]), (size, size))
        self._take(following, arrays["rest"], arrays["popularity"])

    def _take(self, following: csr_matrix, rest: np.ndarray, popularity: np.ndarray) -> None:
        self.following, self.rest = following, rest  # [N, N] and [N]: the kept part of P without q, and how much q weighs in each row
        self.popularity = popularity  # q
        self.boost = np.where(popularity > 0, popularity, 1) ** np.float32(-self.damping)  # an item that nobody liked scores 0
