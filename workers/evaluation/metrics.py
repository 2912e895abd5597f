"""The protocol's formulas, in numpy: pure functions of scores and truth. Letters: U users, N items, K list length.

Ranking metrics use binary relevance: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS
2002, for NDCG; Voorhees, "The TREC-8 question answering track report", 1999, for MRR. An item whose score is -inf is never a hit: it
was left out, or not retrieved.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
LISTED = 4000  # items whose genres are compared at a time: bounds memory
DIVERGED = "A score is NaN: the model has diverged. Look for extreme values and weights in the data, or change the settings of the model."


def tie_order(num_items: int, seed: int) -> Ints:
    """A fixed random priority for each of N items, int64 [N]: equal scores must not reward item order."""
    return np.random.default_rng(seed).permutation(num_items).astype(np.int64)


def sort_keys(scores: NDArray[np.float32], ties: Ints) -> Ints:
    """Integers that order like the scores, equal scores by `ties`: int64 [U, N], all different within a row.

    Args:
        scores: [U, N] float32; -inf excludes an item.
        ties: [N] distinct priorities in [0, 2**32), higher first.

    Raises:
        ValueError: a score is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError(DIVERGED)
    bits = np.ascontiguousarray(scores, np.float32).view(np.int32).astype(np.int64)
    # IEEE 754 floats order like sign-magnitude integers
    return (np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF)) << 32) + ties


def top_items(keys: Ints, k: int) -> Ints:
    """Columns of the k greatest keys of each row, best first: int64 [U, min(k, N)]."""
    k = min(k, keys.shape[1])
    best = np.argpartition(keys, -k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(keys, best, axis=1), axis=1)
    return np.take_along_axis(best, order, axis=1)


def best_places(scores: NDArray[np.float32], ties: Ints, k: int) -> Ints:
    """Places of the k best of one list of scores [N], best first, equal scores by `ties` [N]: int64 [min(k, N)].

    Raises:
        ValueError: a score is NaN.
    """
    return top_items(sort_keys(scores[None], ties), k)[0] if len(scores) else np.zeros(0, np.int64)


def recall_at_k(hits: Bools, num_relevant: Ints, k: int) -> Floats:
    """Share of a user's relevant items among the first k: [U]; nan where nothing is relevant.

    Args:
        hits: [U, K] bool, whether the item at each position is relevant; lists shorter than k count as missed.
        num_relevant: [U] relevant items of each user.
        k: cutoff, 1 <= k.
    """
    return _ratio(hits[:, :k].sum(axis=1).astype(float), num_relevant.astype(float))


def ndcg_at_k(hits: Bools, num_relevant: Ints, k: int) -> Floats:
    """NDCG@k with gains 1 and discounts 1 / log2(rank + 1): [U]; nan where nothing is relevant. Arguments as in recall."""
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    gained = hits[:, :k] @ discounts[: hits[:, :k].shape[1]]
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(num_relevant, k)]
    return _ratio(gained, ideal)


def precision_at_k(hits: Bools, num_relevant: Ints, k: int) -> Floats:
    """Relevant items among the first k, over k: [U]; nan where nothing is relevant. Arguments as in recall."""
    return np.where(num_relevant > 0, hits[:, :k].sum(axis=1) / k, np.nan)


def average_precision_at_k(hits: Bools, num_relevant: Ints, k: int) -> Floats:
    """Precision at each hit among the first k, summed, over min(relevant, k): [U]; nan where nothing is relevant. Its mean is MAP@k.

    The divisor lets a perfect list reach 1 where more than k items are relevant: McFee, Bertin-Mahieux, Ellis and Lanckriet, "The
    Million Song Dataset Challenge", WWW 2012 companion. Over all relevant items, as in trec_eval, it could not. Arguments as in recall.
    """
    first = hits[:, :k]
    precisions = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    return _ratio((precisions * first).sum(axis=1), np.minimum(num_relevant, k).astype(float))


def hit_rate_at_k(hits: Bools, num_relevant: Ints, k: int) -> Floats:
    """1 where any of the first k is relevant, else 0: [U]; nan where nothing is relevant. Arguments as in recall."""
    return np.where(num_relevant > 0, hits[:, :k].any(axis=1), np.nan)


def reciprocal_rank(first_rank: Ints, num_relevant: Ints) -> Floats:
    """1 / rank of the first relevant item, [U]: 0 where none is ranked (rank 0), nan where nothing is relevant."""
    reciprocal = np.divide(1.0, first_rank, out=np.zeros(len(first_rank)), where=first_rank > 0)
    return np.where(num_relevant > 0, reciprocal, np.nan)


def coverage(top: Ints, num_items: int) -> float:
    """Share of the catalogue that is in at least one list: `top` holds the items of all lists, in any shape."""
    return len(np.unique(top)) / num_items


def gini(top: Ints, num_items: int) -> float:
    """Gini index of how often items of the catalogue are listed: 0 when all are equally often, 1 when one alone is; nan for no lists.

    G = sum over j of (2j - N - 1) p_j / (N - 1), p_j the share of item j among all listed items, rising with j: Castells, Hurley and
    Vargas, "Novelty and diversity in recommender systems", Recommender Systems Handbook, 2nd ed. 2015; Adomavicius and Kwon, TKDE
    24(5), 2012, measure the diversity of all lists together in this way.

    Args:
        top: positions of items in the catalogue, of all lists, in any shape. num_items: N; nan where it is below 2.
    """
    if top.size == 0 or num_items < 2:
        return float("nan")
    times = np.sort(np.bincount(top.ravel(), minlength=num_items))
    return float((2 * np.arange(1, num_items + 1) - num_items - 1) @ times / ((num_items - 1) * times.sum()))


def self_information(likes: Floats, num_users: int) -> Floats:
    """Bits of surprise of each item, -log2 of the share of the users of train who liked it: [N].

    Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 107(10), 2010; averaged over a list
    it is the novelty of Vargas and Castells, "Rank and relevance in novelty and diversity metrics", RecSys 2011. An item that
    nobody liked counts as liked by one user, and one that was liked more often than there are users as liked by all.

    Args:
        likes: [N] liked rows of train. num_users: users of train, 1 or more.
    """
    return -np.log2(np.clip(likes, 1, num_users) / num_users)


def popularity_percentile(likes: Floats) -> Floats:
    """Share of the catalogue that was liked less often than each item, equals counted half: [N], 0.5 on average over the catalogue.

    This measure of popularity bias has a fixed scale: the average likes of a list's items (ARP: Abdollahpouri, Burke and
    Mobasher, "Managing popularity bias in recommender systems with personalized re-ranking", FLAIRS 2019), have a unit that
    differs between datasets, and one very popular item outweighs a list of rare ones.
    """
    ordered = np.sort(likes)
    below, upto = np.searchsorted(ordered, likes, side="left"), np.searchsorted(ordered, likes, side="right")
    return (below + upto) / 2 / max(len(likes), 1)


def list_means(values: Floats, top: Ints) -> Floats:
    """Mean over each list of the values of its items: [U]; nan for an empty list.

    Args:
        values: [N]. top: [U, K] positions in the catalogue, -1 behind a list that is shorter.
    """
    there = top >= 0
    return _ratio(np.where(there, values[top], 0.0).sum(axis=1), there.sum(axis=1).astype(float))


def list_diversity(top: Ints, group: Ints, groups: Sequence[Ints]) -> Floats:
    """Mean Jaccard distance of the genres of every two items of each list: [U]; nan below two items that have genres.

    The mean distance between pairs is the diversity of Smyth and McClave, "Similarity vs. diversity", ICCBR 2001, and one minus
    the intra-list similarity of Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005, per pair.

    Args:
        top: [U, K] positions in the catalogue, -1 behind a list that is shorter.
        group: [N] which of `groups` the genres of an item are, -1 for one without. groups: each some genres, as distinct numbers.
    """
    step = max(1, LISTED // max(top.shape[1], 1))
    parts = [_diversity(np.where(part >= 0, group[part], -1), groups) for part in (top[at : at + step] for at in range(0, len(top), step))]
    return np.concatenate(parts) if parts else np.zeros(0)


def _diversity(own: Ints, groups: Sequence[Ints]) -> Floats:
    """`list_diversity` of the groups [U, K] of some lists, -1 for none; genres are numbered anew, for there may be very many."""
    different, place = np.unique(own, return_inverse=True)
    genres = [groups[one] if one >= 0 else np.zeros(0, np.int64) for one in different]
    numbers, column = np.unique(np.concatenate([np.zeros(0, np.int64), *genres]), return_inverse=True)
    has = np.zeros((len(different), len(numbers)), np.float32)
    has[np.repeat(np.arange(len(different)), [len(one) for one in genres]), column] = 1
    grid = has[place.reshape(own.shape)]
    shared, sizes = grid @ grid.transpose(0, 2, 1), grid.sum(axis=2)
    distance = 1 - shared / np.maximum(sizes[:, :, None] + sizes[:, None, :] - shared, 1)  # of an item to itself 0
    known = (sizes > 0).astype(np.float64)
    count = known.sum(axis=1)
    return _ratio((known[:, None, :] @ distance @ known[:, :, None])[:, 0, 0], count * (count - 1))


def user_areas(scores: Floats, labels: Floats, users: Ints) -> tuple[Ints, Floats, Ints]:
    """The users, rising, who have rows of both classes, the AUC among each one's own rows, and how many these are: [U] each.

    The mean of these with the rows as weights is the GAUC of Zhu et al., "Optimized cost per click in Taobao display advertising", KDD
    2017, with the weights of Zhou et al., "Deep interest network for click-through rate prediction", KDD 2018: rows, not clicks.

    Args:
        scores: [B]; ties count half. labels: [B] 0 or 1. users: [B] numbers.
    """
    if len(scores) == 0:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)
    order = np.lexsort((scores, users))
    scores, positive, users = scores[order], labels[order] > 0.5, users[order]
    first = np.r_[True, users[1:] != users[:-1]]
    tied = np.cumsum(first | np.r_[True, scores[1:] != scores[:-1]]) - 1  # rows of one user with one score are one number
    sizes = np.bincount(tied)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[tied]  # over all rows: their mean place, from 1
    own = np.cumsum(first) - 1
    ranks -= np.flatnonzero(first)[own]
    rows, liked = np.bincount(own), np.bincount(own, positive)
    both = (liked > 0) & (liked < rows)
    m, n = liked[both], (rows - liked)[both]
    return users[first][both], (np.bincount(own, ranks * positive)[both] - m * (m + 1) / 2) / (m * n), rows[both]


def log_losses(logits: Floats, labels: Floats) -> Floats:
    """Binary cross entropy of each row in nats, from logits: log(1 + e^z) - y z, [B]."""
    return np.logaddexp(0.0, logits) - labels * logits


def _ratio(over: Floats, under: Floats) -> Floats:
    return np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)
