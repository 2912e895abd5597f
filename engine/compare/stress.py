"""Is a comparison fragile? The same contenders under a grid of defensible protocols, from stored lists: nothing is trained or ranked again.

Letters: U users, P pairs of a user and an item, C contenders.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine import datasets, runs
from engine.compare.cells import protocol_of
from engine.compare.contenders import Comparison, competitors
from engine.compare.paired_tests import ALPHA, EQUAL, Measured, SeedNoise, holm, test_pairs
from engine.compare.seed_noise import allowances, noise
from engine.compare.significance import same_settings
from engine.compare.stress_pairs import Pairs, answers, keys_of, list_files, lists_of, places_in, read_pairs, seen_of, users_in
from engine.compare.stress_protocols import KS, USUAL_K, Asked, Target, targets
from engine.compare.stress_record import Lack, StressRow, StressTest, Variant, called
from engine.compare.verdict import Allowance
from workers.evaluation import Bools, Floats, Ints
from workers.specs import Protocol
from workers.specs import Target as Question

if TYPE_CHECKING:
    import pandas as pd


class Field(NamedTuple):
    """The contenders that take part, and what another seed does to each: its share of a value, and an allowance to scale."""

    letters: list[str]
    noise: Mapping[str, tuple[float, Allowance]]
    alike: frozenset[tuple[str, str]]  # pairs that differ in their seed alone, which no number of users tells apart


def can_stress(comparison: Comparison) -> bool:
    """Whether the lists of two or more contenders are here, and the dataset with what was liked on test."""
    try:
        path = datasets.get_dataset(comparison.dataset).path
    except LookupError:
        return False
    return sum(bool(list_files(one, path)) for one in competitors(comparison)) > 1


def stress_test(comparison: Comparison) -> StressTest:
    """Contenders by NDCG@k under every protocol that stored lists and the dataset allow.

    Each protocol has its paired tests over its own users, corrected for the number of pairs (Holm); what seeds do to NDCG in the
    comparison is counted in them, as the same share of a value. See `engine.compare.stress_protocols` for the protocols.

    Raises:
        LookupError: the dataset is gone. ValueError: the lists of fewer than two contenders are here, or nobody is in all of them.
    """
    path = datasets.get_dataset(comparison.dataset).path
    files = {one.letter: list_files(one, path) for one in competitors(comparison)}
    without = [one for one in competitors(comparison) if not files[one.letter]]
    there = {letter: own for letter, own in files.items() if own}
    names = called(comparison, list(files))
    if len(there) < 2:
        raise ValueError("A stress test needs the stored lists of two contenders: train them again, in this workspace, to have them.")
    lacks = [Lack(what=names[one.letter], why="its lists are not stored in this workspace", name=True) for one in without]
    users = users_in(path, [file for own in there.values() for file in own])
    if not len(users):
        raise ValueError("A stress test needs users whom all contenders have lists for; there are none.")
    protocols = [protocol_of(runs.get_run(run_id)) for one in competitors(comparison) if there.get(one.letter) for run_id in one.runs]
    field = _field(comparison, list(there))
    rows, missing = _rows(path, users, there, field, protocols, comparison.target)
    return StressTest(rows=tuple(rows), lacks=(*lacks, *missing), names={letter: names[letter] for letter in there})


def _rows(
    path: Path, users: "pd.Index", files: Mapping[str, list[Path]], field: Field, protocols: Sequence[Protocol], question: Question
) -> tuple[list[StressRow], list[Lack]]:
    exclude_seen = all(one.exclude_seen for one in protocols)
    deepest = min([one.list_length for one in protocols], default=max(KS))
    own = next(iter(files.values()))[0]
    pairs = read_pairs(path, users, exclude_seen, None if exclude_seen else own)
    lists = {letter: [lists_of(file, users, max(KS) if exclude_seen else None) for file in own] for letter, own in files.items()}
    places = [[places_in(top, pairs) for top in seeds] for seeds in lists.values()]
    asked = None if question == "later" else Asked(question, answers(path, users, pairs, question))
    protocols_here, lacks = targets(pairs, deepest, asked)
    rows = [row for target in protocols_here for row in _measured(pairs, target, places, field)]
    if exclude_seen:
        return rows, [*lacks, Lack(what="seen items in", why="the stored lists leave out the items that users met before")]
    unseen, why = _without_seen(path, users, pairs._replace(relevant=asked.counted) if asked else pairs, lists, field)
    return [*rows, *unseen], [*lacks, *why]


def _field(comparison: Comparison, letters: list[str]) -> Field:
    key = f"ndcg_at_{comparison.k}"
    table = comparison.table[comparison.table["metric"] == key].set_index("contender")["value"]
    allowed = {letter: one for letter, one in allowances(comparison, key).items() if table[letter]}
    shares = {letter: (one.deviation / abs(float(table[letter])), one) for letter, one in allowed.items()}
    trained = {one.letter for one in comparison.contenders if one.run_id is not None}
    alike = {(a, b) for a in letters for b in letters if {a, b} <= trained and a != b and same_settings(comparison, a, b)}
    return Field(letters, shares, frozenset(alike))


def _measured(pairs: Pairs, target: Target, places: Sequence[Sequence[Ints]], field: Field) -> list[StressRow]:
    """A row for each protocol with such a target; none for those without users."""
    ideals = ideal_order(pairs.user, target.weights)
    at_k = {k: ndcg(pairs, target.weights, ideals, places, k) for k in {variant.k for variant, _ in target.variants}}
    rows = []
    for variant, some in target.variants:
        values = at_k[variant.k] if some is None else at_k[variant.k][some]
        rows.append(_row(variant, values[np.isfinite(values[:, 0])], field))
    return [row for row in rows if row.users]


def ideal_order(user: Ints, weights: Floats) -> tuple[Ints, Ints]:
    """The pairs that count, in the order of the best list of each user; and the place, from 1, of each of them in that list.

    Args:
        user: [P] in order. weights: [P].
    """
    order = np.flatnonzero(weights)
    if len(order) and np.ptp(weights[order]) > 0:
        order = order[np.lexsort((-weights[order], user[order]))]
    counts = np.bincount(user[order])
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return order, np.arange(len(order)) - starts + 1


def ndcg(pairs: Pairs, weights: Floats, ideals: tuple[Ints, Ints], places: Sequence[Sequence[Ints]], k: int) -> Floats:
    """NDCG@k of every user, [U, C], with the weights of items as gains; nan where nothing counts. The mean over the seeds of each.

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.

    Args:
        weights: [P]. ideals: of `ideal_order`. places: by contender, of each seed the place [P] of each pair in the list, 0 for none.
    """
    discounts = np.concatenate([[0.0], 1.0 / np.log2(np.arange(2, k + 2))])
    users, (order, best) = len(pairs.user_likes), ideals

    def gained(user: Ints, own: Floats, place: Ints) -> Floats:
        return np.bincount(user, own * np.where(place <= k, discounts[np.minimum(place, k)], 0.0), minlength=users).astype(np.float64)

    ideal = gained(pairs.user[order], weights[order], best)
    means = [np.mean([gained(pairs.user, weights, place) for place in seeds], axis=0) for seeds in places]
    return np.column_stack([np.divide(own, ideal, out=np.full(users, math.nan), where=ideal > 0) for own in means])


def _row(variant: Variant, values: Floats, field: Field) -> StressRow:
    """Who is best by values [U, C], and whether each other is surely behind."""
    if not len(values):
        return StressRow(variant=variant, values={}, best=None, surely=False, users=0)
    means = values.mean(axis=0)
    seeds = [_noise(field, letter, float(mean)) for letter, mean in zip(field.letters, means, strict=True)]
    measured = Measured(field.letters, means, (values - means) / len(values))
    tests = test_pairs(measured, seeds, np.zeros((len(means), len(means))))
    corrected = holm(np.array([test.p for test in tests]))
    top = [letter for letter, mean in zip(field.letters, means, strict=True) if means.max() - mean < EQUAL]
    best = top[0] if len(top) == 1 else None
    against = [(test, p) for test, p in zip(tests, corrected, strict=True) if best in (test.a, test.b)]
    surely = best is not None and all(p < ALPHA and (test.a, test.b) not in field.alike for test, p in against)
    by_letter = {letter: float(mean) for letter, mean in zip(field.letters, means, strict=True)}
    return StressRow(variant=variant, values=by_letter, best=best, surely=surely, users=len(values))


def _noise(field: Field, letter: str, value: float) -> SeedNoise:
    if letter not in field.noise:
        return SeedNoise()
    share, allowance = field.noise[letter]
    return noise(allowance.model_copy(update={"deviation": share * value}))


def _without_seen(
    path: Path, users: "pd.Index", pairs: Pairs, lists: Mapping[str, list[Ints]], field: Field
) -> tuple[list[StressRow], list[Lack]]:
    """The usual protocol with items met before left out, for users of whom all lists still have enough others."""
    met = seen_of(path, users)
    shorter = {letter: [_new_items(top, met) for top in seeds] for letter, seeds in lists.items()}
    enough: Bools = np.all([top[:, USUAL_K - 1] > 0 for seeds in shorter.values() for top in seeds], axis=0)
    weights = (pairs.relevant & ~pairs.seen).astype(np.float64)
    variant = Variant(group="seen", name="without items met before", k=USUAL_K)
    places = [[places_in(top, pairs) for top in seeds] for seeds in shorter.values()]
    rows = _measured(pairs, Target(weights, [(variant, enough)]), places, field)
    if rows and enough.all():
        return rows, []
    few = f"{int((~enough).sum()):,} of {len(enough):,} users have lists of fewer than {USUAL_K} new items"
    return rows, [Lack(what="some users without items met before" if rows else "new items alone", why=few)]


def _new_items(top: Ints, met: Ints) -> Ints:
    """The first USUAL_K items of each list [U, K] that are not among keys of what users met: [U, USUAL_K], 0 behind a shorter list."""
    new = (top > 0) & ~np.isin(keys_of(np.arange(len(top))[:, None], top), met)
    order = np.argsort(~new, axis=1, kind="stable")[:, :USUAL_K]
    kept = np.where(np.take_along_axis(new, order, axis=1), np.take_along_axis(top, order, axis=1), 0)
    return np.pad(kept, ((0, 0), (0, USUAL_K - kept.shape[1])))
