"""How sure a difference between two contenders is: paired tests over the same users, or the same rows, corrected for their number."""

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from engine import datasets, runs
from engine.comparison import UNBEATABLE, Comparison, Contender
from engine.resampling import LEVEL, RESAMPLES, SEED
from engine.settings import settings
from workers.results import METRICS, RESULTS, SCORED
from workers.results import metric as metric_of

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
SIGN_FLIPS, MOST_SIGNS = (9_999, 99_999), 100_000_000  # at least and at most; signs drawn, where that lies between
LARGE = 20_000  # users from which on resampling gives what the normal distribution gives, at a cost that pages cannot bear
BATCH = 4_000_000  # numbers that a batch of resamples may take: 32 MB
BY_ROWS = "auc"  # the metric that is tested over rows


class Tested(NamedTuple):
    """One pair of contenders; `difference` is a - b."""

    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float
    p_wilcoxon: float
    effect: float
    n: int


class Best(BaseModel):
    """Who is ahead by one metric, and of whom that cannot be said to be more than chance."""

    model_config = ConfigDict(frozen=True)

    letter: str | None  # None where fewer than two contenders have a value, or the metric has no best
    near: tuple[str, ...] = ()  # tested, and not significantly behind
    untested: tuple[str, ...] = ()  # and whose 95 % interval overlaps with that of the best, or is not known

    @property
    def sure(self) -> bool:
        """Whether the lead over every rival is significant: tested, or at least with intervals apart."""
        return self.letter is not None and not self.near and not self.untested


def testable(comparison: Comparison) -> list[str]:
    """Metrics by which at least two contenders can be tested against each other, in their usual order."""
    known = [set(frame.columns) for one in rivals(comparison) if (frame := _users(comparison, one)) is not None]
    by_users = {key for key in METRICS if sum(key in columns for columns in known) > 1}
    by_rows = {BY_ROWS} if sum(scored_files(one) is not None for one in rivals(comparison)) > 1 else set()
    measured = set(comparison.table.loc[comparison.table["value"].notna(), "metric"])
    return [key for key in METRICS if key in (by_users | by_rows) & measured]


def pairs(comparison: Comparison, metric: str) -> "pd.DataFrame":
    """Every two contenders by one metric: a row a pair; none where nothing that a test needs is in the workspace.

    Means over users are tested by flipping signs of the differences at random: it assumes no distribution, and is the test of choice
    for retrieval (Smucker, Allan and Carterette, CIKM 2007). The area under the ROC curve is tested by DeLong, DeLong and
    Clarke-Pearson (Biometrics 1988), which takes rows for independent. Seeds of a contender are averaged per user, or per row, first.

    Returns:
        a, b: letters. difference: a - b. low, high: its 95 % interval. p: two-sided. p_holm: corrected over all rows (Holm 1979).
        p_wilcoxon: signed ranks, zeros after Pratt (1959), uncorrected; nan where all are zero, and over rows. effect: mean over deviation
        of the differences, d_z (Lakens 2013); nan over rows. n: users, or rows. spread: the larger deviation between seeds of the two, nan
        where none was repeated. verdict: "a better", "b better", "no difference". reason of no difference: "chance", "seeds" (the lead is
        no greater than the spread), "same settings" (only the seed tells them apart).
    """
    import pandas as pd

    tested = _by_rows(comparison) if metric == BY_ROWS else _by_users(comparison, metric)
    frame = pd.DataFrame(tested, columns=list(Tested._fields))
    frame.insert(6, "p_holm", holm(frame["p"].to_numpy(float)))
    table = comparison.table[comparison.table["metric"] == metric].set_index("contender")
    spread = table["std"] if "std" in table else pd.Series(dtype=float)
    both = zip(frame["a"], frame["b"], strict=True)
    frame["spread"] = [float(pd.Series([spread.get(a), spread.get(b)], dtype=float).max()) for a, b in both]
    judged = [_judge(comparison, metric, row) for row in frame.to_dict("records")]
    frame["verdict"], frame["reason"] = [verdict for verdict, _ in judged], [reason for _, reason in judged]
    return frame


def best_of(comparison: Comparison, metric: str, tested: "pd.DataFrame | None" = None) -> Best:
    """Who is best by a metric, and whether that is more than chance; `tested`: what `pairs` gave, where that is known already."""
    table, letters = comparison.table, [one.letter for one in rivals(comparison)]
    rows = table[(table["metric"] == metric) & table["contender"].isin(letters)].dropna(subset=["value"])
    if len(rows) < 2 or not metric_of(metric).crowned:
        return Best(letter=None)
    ordered = rows.sort_values("value", ascending=metric_of(metric).better == "lower", kind="stable")["contender"].tolist()
    leader, found = ordered[0], pairs(comparison, metric) if tested is None else tested
    better = {}
    for a, b, verdict in found[["a", "b", "verdict"]].itertuples(index=False):
        if leader in (a, b):
            better[b if a == leader else a] = verdict == ("a better" if a == leader else "b better")
    near = tuple(letter for letter in ordered[1:] if better.get(letter) is False)
    others = [letter for letter in ordered[1:] if letter not in better]
    return Best(letter=leader, near=near, untested=tuple(letter for letter in others if not _intervals_apart(rows, leader, letter)))


def _intervals_apart(rows: "pd.DataFrame", a: str, b: str) -> bool:
    """Whether the intervals of two contenders are known and share no value; rows: of one metric."""
    ends = rows.set_index("contender").reindex(columns=["low", "high"])
    return bool(ends.loc[a, "low"] > ends.loc[b, "high"] or ends.loc[b, "low"] > ends.loc[a, "high"])


def rivals(comparison: Comparison) -> list[Contender]:
    """Contenders but for what knows the law that made the data, and baselines that stand among the runs as well."""
    models = {one.model for one in comparison.contenders if one.run_id is not None}
    return [one for one in comparison.contenders if one.run_id is not None or one.model not in models | {UNBEATABLE}]


def holm(p: np.ndarray) -> np.ndarray:
    """p-values [M] corrected so that the chance of one false alarm among all is kept (Holm, Scand. J. Statistics 1979); nan stays nan."""
    found = np.full(len(p), math.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    found[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return found


def resampled_means(values: np.ndarray) -> np.ndarray:
    """Bootstrap means over users (Efron and Tibshirani 1993, ch. 13): [RESAMPLES, C] of values [U, C]; resamples are shared by columns."""
    rng, users = np.random.default_rng(SEED), len(values)
    found, batch = [], max(1, BATCH // max(users, 1))
    for start in range(0, RESAMPLES, batch):
        size = min(batch, RESAMPLES - start)
        times = np.stack([np.bincount(rng.integers(0, users, users), minlength=users) for _ in range(size)])
        found.append(times.astype(float) @ values / users)
    return np.concatenate(found)


def sign_flip_p(values: np.ndarray, both: Sequence[tuple[int, int]]) -> np.ndarray:
    """Two-sided p of the mean difference between columns of values [U, C] being 0: [P], of one pair of columns each.

    A sum of sign-flipped differences is the difference of sign-flipped sums, so that signs are drawn once for all pairs. From LARGE users
    on the normal limit of the same distribution is taken, of mean 0 and variance the sum of squared differences.
    """
    left, right = (np.array([pair[side] for pair in both], int) for side in (0, 1))
    sums = values.sum(axis=0)
    observed = np.abs(sums[left] - sums[right])
    if len(values) > LARGE:
        from scipy.stats import norm

        roots = np.array([np.sqrt(((values[:, a] - values[:, b]) ** 2).sum()) for a, b in both])
        return 2 * norm.sf(np.divide(observed, roots, out=np.zeros(len(both)), where=roots > 0))
    rng, beyond, batch = np.random.default_rng(SEED), np.zeros(len(both)), max(1, BATCH // max(len(values), 1))
    flips = int(np.clip(MOST_SIGNS // max(len(values), 1), *SIGN_FLIPS))
    for start in range(0, flips, batch):
        size = min(batch, flips - start)
        flipped = (rng.integers(0, 2, (size, len(values)), dtype=np.int8) * 2.0 - 1.0) @ values
        beyond += (np.abs(flipped[:, left] - flipped[:, right]) >= observed - 1e-9).sum(axis=0)  # sums of like terms differ by rounding
    return (beyond + 1) / (flips + 1)  # the observed signs are one of the draws: Phipson and Smyth 2010


def _by_users(comparison: Comparison, metric: str) -> list[Tested]:
    values = per_user(comparison, metric)
    if len(values) < 2 or values.shape[1] < 2:
        return []
    array, both = values.to_numpy(float), list(combinations(range(values.shape[1]), 2))
    p, means = sign_flip_p(array, both), resampled_means(array) if len(array) <= LARGE else None
    return [_pair(list(values.columns), array, pair, float(one), means) for pair, one in zip(both, p, strict=True)]


def _pair(letters: list[str], array: np.ndarray, pair: tuple[int, int], p: float, means: np.ndarray | None) -> Tested:
    from scipy.stats import wilcoxon

    a, b = pair
    apart = array[:, a] - array[:, b]
    mean, deviation, n = float(apart.mean()), float(apart.std(ddof=1)), len(apart)
    if means is None:
        low, high = mean - 1.96 * deviation / math.sqrt(n), mean + 1.96 * deviation / math.sqrt(n)
    else:
        low, high = np.percentile(means[:, a] - means[:, b], [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    ranks = float(wilcoxon(apart, zero_method="pratt").pvalue) if np.any(apart) else math.nan
    effect = mean / deviation if deviation > 1e-12 else math.nan
    return Tested(letters[a], letters[b], mean, float(low), float(high), p, ranks, effect, n)


def per_user(comparison: Comparison, metric: str) -> "pd.DataFrame":
    """A metric of every user that all contenders with it have: index user_id, a column a letter; seeds averaged."""
    import pandas as pd

    found = {}
    for one in rivals(comparison):
        users = _users(comparison, one)
        if users is not None and metric in users and users[metric].notna().any():
            found[one.letter] = users.groupby("user_id", sort=False)[metric].mean()
    return pd.concat(found, axis=1, join="inner").dropna() if found else pd.DataFrame()


def _users(comparison: Comparison, one: Contender) -> "pd.DataFrame | None":
    """Per-user metrics of a contender, those of its seeds below each other; None where they are not here."""
    import pandas as pd

    try:
        if one.run_id is None:
            return datasets.baseline_per_user(comparison.dataset, one.model)
        return pd.concat([runs.per_user(run_id) for run_id in one.run_ids or (one.run_id,)])
    except LookupError:
        return None


def scored(one: Contender) -> "list[pd.DataFrame] | None":
    """Scored test rows of each seed of a contender: user, item, label, known, score; None where they are not here, or not alike."""
    import pandas as pd

    found = [pd.read_parquet(path) for path in scored_files(one) or []]
    return found if found and all(rows_alike(found[0], other) for other in found[1:]) else None


def rows_alike(one: "pd.DataFrame", other: "pd.DataFrame") -> bool:
    """Whether two scored tables stand row by row beside each other."""
    return all(np.array_equal(one[name], other[name]) for name in ("user", "item", "label"))


def scored_files(one: Contender) -> list[Path] | None:
    """Where the scored rows of each seed of a contender are; None where one of them is not here."""
    ids = one.run_ids or ((one.run_id,) if one.run_id is not None else ())
    paths = [settings().runs / run_id / RESULTS / SCORED for run_id in ids]
    return paths if paths and all(path.is_file() for path in paths) else None


def _by_rows(comparison: Comparison) -> list[Tested]:
    """Paired DeLong tests of the area under the ROC curve over rows whose user and item train knows."""
    first, placed = None, {}
    for one in rivals(comparison):
        seeds = scored(one)
        if seeds is None or (first is not None and not rows_alike(first, seeds[0])):
            continue
        first = seeds[0][["user", "item", "label", "known"]] if first is None else first
        known = first["known"].to_numpy(bool)
        liked = first["label"].to_numpy(float)[known] > 0.5
        found = [placements(rows["score"].to_numpy(float)[known], liked) for rows in seeds if liked.any() and not liked.all()]
        if found:
            placed[one.letter] = tuple(np.mean([part[side] for part in found], axis=0, dtype=np.float32) for side in (0, 1))
    return [Tested(a, b, *delong(placed[a], placed[b])) for a, b in combinations(placed, 2)]


def placements(scores: np.ndarray, liked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of disliked rows below each liked one, [M], and of liked rows above each disliked one, [N]; ties count half.

    The V10 and V01 of DeLong et al. 1988 (eq. 4, 5), through midranks: Sun and Xu, IEEE Signal Processing Letters 21(11), 2014.
    """
    from scipy.stats import rankdata

    ranks, m = rankdata(scores), int(liked.sum())
    above, below = (ranks[liked] - rankdata(scores[liked])) / (len(scores) - m), (ranks[~liked] - rankdata(scores[~liked])) / m
    return above.astype(np.float32), (1.0 - below).astype(np.float32)


def delong(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> tuple[float, float, float, float, float, float, int]:
    """difference, low, high, p, nan, nan, rows of two areas from their placements (DeLong et al. 1988, eq. 6 to 8).

    The variance of a difference of placements is the sum of both variances less twice their covariance. p is 1 where all are equal, and nan
    with fewer than two rows of a class.
    """
    from scipy.stats import norm

    above, below = (one.astype(float) - other for one, other in zip(a, b, strict=True))
    mean, n = float(above.mean()), len(above) + len(below)
    if min(len(above), len(below)) < 2:
        return mean, math.nan, math.nan, math.nan, math.nan, math.nan, n
    error = math.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
    p = float(2 * norm.sf(abs(mean) / error)) if error > 0 else float(mean == 0)
    return mean, mean - 1.96 * error, mean + 1.96 * error, p, math.nan, math.nan, n


def _judge(comparison: Comparison, metric: str, row: dict) -> tuple[str, str]:
    """Who is better, or why that cannot be said."""
    if same_settings(comparison, row["a"], row["b"]):
        return "no difference", "same settings"
    if not row["p_holm"] < ALPHA:
        return "no difference", "chance"
    if abs(row["difference"]) <= row["spread"]:
        return "no difference", "seeds"
    ahead = (row["difference"] > 0) == (metric_of(metric).better == "higher")
    return ("a better" if ahead else "b better"), ""


def same_settings(comparison: Comparison, a: str, b: str) -> bool:
    """Whether nothing but the seed tells two runs apart: users cannot show more of them than the luck of a seed."""
    every, models = comparison.settings, {one.letter: one.model for one in comparison.contenders}
    if every is None or models[a] != models[b] or not {"setting", a, b} <= set(every.columns):
        return False
    every = every[~every["setting"].isin(["train.seed", "name"])]
    return bool(((every[a] == every[b]) | (every[a].isna() & every[b].isna())).all())
