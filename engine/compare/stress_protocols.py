"""Defensible protocols of one comparison: how much each liked item of each user counts, for which users, and up to which k.

The usual protocol is the comparison's own, at k = 10 and for all users: it counts every item that a user liked in the test period, or the
next or the last one where that is the question. The others change one thing of it:

- the target: all of these likes, or the first or the last of them alone (Gusak et al., "Time to Split: exploring data splitting strategies
  for offline evaluation of sequential recommenders", RecSys 2025); items liked at one moment are one target together;
- items weighted by (1 / likes in train)^gamma, so that what everybody meets counts less: self-normalised inverse propensity scoring (Yang
  et al., "Unbiased offline recommender evaluation for missing-not-at-random implicit feedback", RecSys 2018); likes below 1 count as 1;
- k, the users by their likes in train; and where all later likes count, which rating is one, and the early or the late half of the period.

Letters: U users, P pairs of a user and an item.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engine.compare.stress_pairs import Pairs
from engine.compare.stress_record import Group, Lack, Variant
from workers.evaluation import Bools, Floats
from workers.specs import TARGETS
from workers.specs import Target as Question

USUAL_K, KS = 10, (1, 5, 10, 20, 50)
GAMMAS = (0.5, 1.0)
ACTIVITY = {"under 10 likes": (0, 9), "10 to 49 likes": (10, 49), "50 or more likes": (50, math.inf)}  # in train
THRESHOLDS = "other thresholds of a like"
SHARES, MOST_THRESHOLDS = (0.1, 0.9), 4  # of test ratings that a threshold may keep; how many thresholds are tried


class Target(NamedTuple):
    """How much each pair counts, [P], and the protocols that count so: each with its users [U], None for all."""

    weights: Floats
    variants: list[tuple[Variant, Bools | None]]


class Asked(NamedTuple):
    """A question that one item of each user answers."""

    target: Question
    counted: Bools  # [P] whether a pair is the answer


def targets(pairs: Pairs, deepest: int, asked: Asked | None = None) -> tuple[list[Target], list[Lack]]:
    """Every protocol that can be measured, the usual one first, and what cannot be and why.

    Args:
        deepest: how many items the stored lists have.
        asked: the question of the comparison; None: all later likes.
    """
    own = pairs._replace(relevant=asked.counted) if asked else pairs
    variants, lacks = _by_users_and_k(own, deepest, f"the usual protocol ({f'{TARGETS[asked.target]}, ' if asked else ''}k {USUAL_K})")
    found = [Target(own.relevant.astype(np.float64), variants)]
    for more, missing in (_by_time(pairs, asked), _by_popularity(own), _by_threshold(pairs, asked)):
        found += [Target(weights, [(variant, None)]) for variant, weights in more]
        lacks += missing
    return found, lacks


Weighted = tuple[list[tuple[Variant, Floats]], list[Lack]]


def _by_users_and_k(pairs: Pairs, deepest: int, usual: str) -> tuple[list[tuple[Variant, Bools | None]], list[Lack]]:
    ks = [k for k in KS if k <= deepest]
    lacks = [Lack(what=f"k {k}", why=f"the shortest stored lists are cut at {deepest} items") for k in KS if k > deepest]
    found: list[tuple[Variant, Bools | None]] = [(Variant(group="usual", name=usual, k=USUAL_K), None)]
    found += [(Variant(group="k", name=f"k {k}", k=k), None) for k in ks if k != USUAL_K]
    ranked = np.bincount(pairs.user[pairs.relevant], minlength=len(pairs.user_likes)) > 0
    groups = {name: (pairs.user_likes >= low) & (pairs.user_likes <= high) for name, (low, high) in ACTIVITY.items()}
    there = {name: some for name, some in groups.items() if (some & ranked).any()}
    if len(there) < 2:
        only = f"all test users have {next(iter(there))} in train" if there else "no user is ranked for"
        return found, [*lacks, Lack(what="users by activity", why=only)]
    lacks += [Lack(what=f"users with {name}", why="no test user is one") for name in groups if name not in there]
    for name, some in there.items():
        for k in ks:
            group: Group = "users" if k == USUAL_K else "users and k"
            title = f"users with {name}" if k == USUAL_K else f"k {k}, users with {name}"
            found.append((Variant(group=group, name=title, k=k, users=name), some))
    return found, lacks


def _by_time(pairs: Pairs, asked: Asked | None) -> Weighted:
    """The first and the last like of each user, and the early and the late half of all likes; all likes where one of the two is usual."""
    first, last = pairs.first[pairs.relevant], pairs.last[pairs.relevant]
    known = len(first) > 0 and bool(np.isfinite(first).all())
    if not known or first.min() == last.max():
        why = "all test likes have one time" if known else "its likes have no stored time"
        return [], [Lack(what=what, why=why) for what in ("the first and the last like", "halves of the period")]
    users = len(pairs.user_likes)
    earliest, latest = np.full(users, math.inf), np.full(users, -math.inf)
    np.minimum.at(earliest, pairs.user[pairs.relevant], first)
    np.maximum.at(latest, pairs.user[pairs.relevant], last)
    middle = float(np.sort(first)[(len(first) - 1) // 2])
    middle = middle if (last > middle).any() else float(first[first < middle].max(initial=-math.inf))
    kept: list[tuple[Group, str, Bools]] = [
        ("target", "the first like of the test period", pairs.first == earliest[pairs.user]),
        ("target", "the last like of the test period", pairs.last == latest[pairs.user]),
        ("period", "the early half of the test likes", pairs.first <= middle),
        ("period", "the late half of the test likes", pairs.last > middle),
    ]
    lacks = []
    if asked:
        same = "first" if asked.target == "next" else "last"
        kept = [("target", TARGETS["later"], np.ones(len(pairs.user), bool)), *(one for one in kept[:2] if same not in one[1])]
        lacks = [Lack(what="halves of the period", why=f"{TARGETS[asked.target]} is the question")]
    return [_counting(group, name, some & pairs.relevant) for group, name, some in kept], lacks


def _by_popularity(pairs: Pairs) -> Weighted:
    weights = {gamma: pairs.relevant * np.maximum(pairs.item_likes, 1.0) ** -gamma for gamma in GAMMAS}
    return [
        (Variant(group="popularity", name=f"items weighted against popularity, γ {gamma:g}", k=USUAL_K), own)
        for gamma, own in weights.items()
    ], []


def _by_threshold(pairs: Pairs, asked: Asked | None) -> Weighted:
    """Items rated from some values on; a threshold that gives the usual likes is not tried again."""
    if asked:
        return [], [Lack(what=THRESHOLDS, why=f"{TARGETS[asked.target]} is the question")]
    rated = pairs.rating[np.isfinite(pairs.rating)]
    values = np.unique(rated)
    if len(values) < 3:
        why = "its test rows have no ratings" if not len(values) else "its test rows have fewer than three different ratings"
        return [], [Lack(what=THRESHOLDS, why=why)]
    found = []
    for value in _thresholds(rated, values):
        counted = pairs.rating >= value
        if not (counted == pairs.relevant).all():
            found.append(_counting("threshold", f"ratings from {value:g} as likes", counted))
    return found, [] if found else [Lack(what=THRESHOLDS, why="nearly all test rows have one rating")]


def _thresholds(rated: Floats, values: Floats) -> Iterator[float]:
    """At most MOST_THRESHOLDS ratings that neither keep nearly all test rows nor hardly any."""
    shares = 1 - np.searchsorted(np.sort(rated), values) / len(rated)
    fit = values[(shares >= SHARES[0]) & (shares <= SHARES[1])]
    if len(fit):
        places = np.unique(np.linspace(0, len(fit) - 1, min(MOST_THRESHOLDS, len(fit))).round().astype(int))
        yield from map(float, fit[places])


def _counting(group: Group, name: str, counted: Bools) -> tuple[Variant, Floats]:
    return Variant(group=group, name=name, k=USUAL_K), counted.astype(np.float64)
