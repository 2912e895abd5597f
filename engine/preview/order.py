"""Whether the order of likes matters: pairs of items that follow one another for several users, and how often they still do when each
user's likes are shuffled. With pandas, in preview and preparing alike, before anything is trained.

After the sequential rules of Klenitskiy, Volodkevich, Pembek and Vasilev, "Does It Look Sequential? An Analysis of Datasets for Evaluation
of Sequential Recommendations", RecSys 2024, who count rules before and after shuffling. Where few items are liked together often, shuffling
makes rules too; so rules are learnt from one half of the users here and looked for in the other, where chance favours neither order. Likes
of one moment make no pair, since nobody knows their order.
"""

import numpy as np
import pandas as pd

from engine.datasets import OrderFacts
from workers.prepare import MOMENT

MOST_LIKES = 300_000  # likes that are looked at, about: those of whole users
SUPPORT = 3  # users of one half who share a pair, from which it counts
ROUNDS = 3  # of shuffling
ENOUGH = 50  # times that the pairs must follow one another, so that something is said
MATTERS, HARDLY = 0.5, 0.2  # share of these times that is lost by shuffling: from the one on order matters, up to the other it hardly does


def order_facts(likes: pd.DataFrame, share: float = 1.0) -> OrderFacts | None:
    """Count pairs of items that follow one another directly, at a later time, and how often; None without users, items or times.

    Args:
        likes: liked rows of train of whole users: user_id, item_id, timestamp, perhaps subsecond, in any order.
        share: of all users with likes, those that are here.
    """
    if not {"user_id", "item_id", "timestamp"} <= set(likes):
        return None
    users = pd.Series(likes["user_id"].unique())
    if len(likes) > MOST_LIKES:  # by a hash, so that rows in another order give the same users
        chance = pd.util.hash_pandas_object(users, index=False).to_numpy() / 2**64
        users = users[chance < MOST_LIKES / len(likes)]
        share, likes = share * len(users) / likes["user_id"].nunique(), likes[likes["user_id"].isin(users)]
    user, item = (pd.factorize(likes[name], sort=True)[0].astype(np.int64) for name in ("user_id", "item_id"))
    times = [likes[name].fillna(0).to_numpy() for name in MOMENT if name in likes]
    before = np.lexsort((item, *reversed(times), user))
    user, item, times = user[before], item[before], [one[before] for one in times]
    later = np.zeros(len(user), bool)  # whether a like is at a later time than the one before, or of another user
    if len(user):
        later[1:] = np.any([np.diff(one) != 0 for one in (user, *times)], axis=0)
    rng, moment = np.random.default_rng(0), np.cumsum(later)
    half = rng.permutation(user.max(initial=-1) + 1) % 2
    counts = []
    for _ in range(ROUNDS):
        chance = rng.random(len(user))  # likes of one moment come in random order too
        as_it_is, shuffled = (_followed(user, item[np.lexsort((chance, *keys, user))], later) for keys in ((moment,), ()))
        counts += [_looked_for(as_it_is, shuffled, half, one) for one in (0, 1)]
    pairs, followed, still = (round(float(n)) for n in np.mean(counts, axis=0))
    return OrderFacts(pairs=pairs, followed=followed, shuffled=still, users=len(users), share=float(share), support=SUPPORT)


def _followed(user: np.ndarray, item: np.ndarray, later: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of different items, one directly after the other, as a number [P], and their users [P]; a user has a pair once.

    Args:
        later: where the second of a pair may be.
    """
    second = np.flatnonzero(later[1:] & (user[1:] == user[:-1]) & (item[1:] != item[:-1])) + 1
    pair = item[second - 1] * (item.max(initial=0) + 1) + item[second]
    order = np.lexsort((user[second], pair))
    pair, user = pair[order], user[second][order]
    first = np.ones(len(pair), bool)
    first[1:] = (pair[1:] != pair[:-1]) | (user[1:] != user[:-1])
    return pair[first], user[first]


def _looked_for(
    as_it_is: tuple[np.ndarray, np.ndarray], shuffled: tuple[np.ndarray, np.ndarray], half: np.ndarray, one: int
) -> tuple[int, int, int]:
    """Pairs that SUPPORT users of one half share, and how often they come in the other half: as it is, and shuffled."""
    pairs, counts = np.unique(as_it_is[0][half[as_it_is[1]] == one], return_counts=True)
    rules = pairs[counts >= SUPPORT]
    there, still = (int(np.isin(pair[half[user] != one], rules).sum()) for pair, user in (as_it_is, shuffled))
    return len(rules), there, still


def order_in_words(facts: OrderFacts) -> str:
    """What the pairs say of the data, and which contenders that speaks for; one or two sentences."""
    of = "" if facts.share > 0.995 else f" (seen on {facts.users:,} users, {facts.share:.0%} of all)"
    pairs = f"{facts.pairs:,} pairs of items follow one another for {facts.support} or more users of one half{of}"
    if facts.lost is None or facts.followed < ENOUGH:
        return f"Whether order matters cannot be said before training: only {pairs}. Compare a Markov chain with EASE to find out."
    share = max(facts.lost, 0)
    then = f"in the other half they do so {facts.followed:,} times, and {share:.0%} of these are lost when each user's likes are shuffled"
    lost = f"{pairs}; {then}"
    if facts.lost >= MATTERS:
        return f"Order matters: {lost}. Add a Markov chain, SASRec or a two-tower by recency, which read order; EASE and item-kNN do not."
    if facts.lost <= HARDLY:
        return f"Order hardly matters: {lost}. EASE, item-kNN or a two-tower, which read likes without their order, lose nothing by it."
    return f"Order matters a little: {lost}. A Markov chain beside EASE or a two-tower shows whether that is enough to gain by."
