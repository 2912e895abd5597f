"""How sure a difference between two contenders is: paired tests over the same users, or the same rows, corrected for their number."""

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from engine.compare import lists_at_k
from engine.compare.contenders import Comparison
from engine.compare.paired_tests import PairedTest, delong, holm, over_users, over_users_of_all, placements
from engine.compare.paired_values import FROM_SCORES, of_scores, per_user, scored_together, user_tables, with_scores
from engine.compare.verdict import Answer, Reason
from workers.artifacts import metric as metric_of

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
BY_ROWS = "auc"  # the metric that is tested over rows


def testable(comparison: Comparison) -> list[str]:
    """Metrics by which at least two contenders can be tested against each other, in their usual order; those of lists at its k."""
    if comparison.tests:
        return list(comparison.tests)
    return _testable(comparison, user_tables(comparison))


def _testable(comparison: Comparison, users: "dict[str, pd.DataFrame]") -> list[str]:
    keys, letters = lists_at_k.keys_at(comparison.k), set(with_scores(comparison))
    measured = comparison.table[comparison.table["value"].notna()].groupby("metric")["contender"].agg(set).to_dict()
    by_users = {key for key in keys if key in measured and sum(key in frame for frame in users.values()) > 1}
    by_scores = {key for key in (BY_ROWS, *FROM_SCORES) if len(measured.get(key, set()) & letters) > 1}
    return [key for key in keys if key in by_users | by_scores]


def all_pairs(comparison: Comparison) -> "dict[str, pd.DataFrame]":
    """What `pairs` gives, of every metric that can be tested: files are read once, and signs are drawn once for the same users."""
    users = user_tables(comparison)
    keys = _testable(comparison, users)
    of_lists = {key: per_user(users, key) for key in keys if key not in (BY_ROWS, *FROM_SCORES)}
    over_all = over_users_of_all(of_lists)
    return {key: _judged(comparison, key, over_all[key], "users") if key in over_all else _of_scores(comparison, key) for key in keys}


def pairs(comparison: Comparison, metric: str) -> "pd.DataFrame":
    """Every two contenders by one metric: a row per pair; no row where what a test needs is not in the workspace.

    Means over users are tested by flipping signs of the differences at random: it assumes no distribution, and is the test of choice
    for retrieval (Smucker, Allan and Carterette, CIKM 2007). AUC per user and log loss are means over users too, weighted by their rows:
    signs are flipped, and users resampled, with all rows of a user together (cluster bootstrap: Davison and Hinkley, "Bootstrap methods
    and their application", 1997, section 3.8). The area under the ROC curve is tested by DeLong, DeLong and Clarke-Pearson (Biometrics
    1988), which takes rows for independent. Seeds of a contender are averaged per user, or per row, first. Popularity is tested with the
    likes in train as its scores.

    Returns:
        a, b: letters. difference: a - b. low, high: its 95 % interval. p: two-sided. p_holm: corrected over all rows (Holm 1979).
        p_wilcoxon: signed ranks, zeros after Pratt (1959), unweighted and uncorrected; nan where all are zero, and over rows. effect: mean
        over deviation of the differences, d_z (Lakens 2013); nan over rows. n: how many of unit, which is users or rows. spread: the larger
        deviation between seeds of the two, nan where none was repeated. verdict: an `Answer`. reason: a `Reason` for no difference, or "".
    """
    if metric in comparison.tests:
        return comparison.tests[metric]
    if metric in (BY_ROWS, *FROM_SCORES):
        return _of_scores(comparison, metric)
    values = per_user(user_tables(comparison), metric)
    return _judged(comparison, metric, over_users(list(values.columns), values.to_numpy(float)), "users")


def _of_scores(comparison: Comparison, metric: str) -> "pd.DataFrame":
    """Pairs by a metric of scored test rows."""
    if metric == BY_ROWS:
        return _judged(comparison, metric, _by_rows(comparison), "rows")
    values, weights, unit = of_scores(comparison, metric)
    return _judged(comparison, metric, over_users(list(values.columns), values.to_numpy(float), weights), unit)


def _judged(comparison: Comparison, metric: str, tested: list[PairedTest], unit: str) -> "pd.DataFrame":
    """The frame of `pairs`, of tests by one metric."""
    import pandas as pd

    frame = pd.DataFrame(tested, columns=list(PairedTest._fields)).assign(unit=unit)
    frame.insert(6, "p_holm", holm(frame["p"].to_numpy(float)))
    table = comparison.table[comparison.table["metric"] == metric].set_index("contender")
    spread = table["std"] if "std" in table else pd.Series(dtype=float)
    both = list(zip(frame["a"], frame["b"], strict=True))
    frame["spread"] = [float(pd.Series([spread.get(a), spread.get(b)], dtype=float).max()) for a, b in both]
    higher = metric_of(metric).better == "higher"
    judged = [
        _answer(same_settings(comparison, test.a, test.b), higher, test.difference, p, own)
        for test, p, own in zip(tested, frame["p_holm"], frame["spread"], strict=True)
    ]
    frame["verdict"], frame["reason"] = [answer for answer, _ in judged], [reason or "" for _, reason in judged]
    return frame


def _by_rows(comparison: Comparison) -> list[PairedTest]:
    """Paired DeLong tests of the area under the ROC curve over rows whose user and item train knows."""
    placed = {}
    for letter, rows, seeds in scored_together(comparison, BY_ROWS):
        liked = rows["label"].to_numpy(float) > 0.5
        if liked.any() and not liked.all():
            found = [placements(scores, liked) for scores in seeds]
            placed[letter] = tuple(np.mean([part[side] for part in found], axis=0, dtype=np.float32) for side in (0, 1))
    return [PairedTest(a, b, *delong(placed[a], placed[b])) for a, b in combinations(placed, 2)]


def _answer(same: bool, higher: bool, difference: float, p: float, spread: float) -> tuple[Answer, Reason | None]:
    """Which of a tested pair is better, or why that cannot be said. higher: whether that is better; p: corrected."""
    if same:
        return Answer.NO_DIFFERENCE, Reason.SAME_SETTINGS
    if not p < ALPHA:
        return Answer.NO_DIFFERENCE, Reason.CHANCE
    if abs(difference) <= spread:
        return Answer.NO_DIFFERENCE, Reason.SEEDS
    return (Answer.A_BETTER if (difference > 0) == higher else Answer.B_BETTER), None


def same_settings(comparison: Comparison, a: str, b: str) -> bool:
    """Whether two runs differ in their seed alone: users cannot show more about them than how lucky a seed was."""
    every, models = comparison.settings, {one.letter: one.model for one in comparison.contenders}
    if every is None or models[a] != models[b] or not {"setting", a, b} <= set(every.columns):
        return False
    every = every[~every["setting"].isin(["train.seed", "name"])]
    return bool(((every[a] == every[b]) | (every[a].isna() & every[b].isna())).all())
