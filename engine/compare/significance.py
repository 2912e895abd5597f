"""How sure a difference between two contenders is: paired tests over the same users, or the same rows, corrected for their number."""

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from engine.compare import lists_at_k
from engine.compare.comparison import Comparison
from engine.compare.paired_tests import PairedTest, delong, holm, over_users, placements
from engine.compare.paired_values import FROM_SCORES, of_users, rivals, scored_together, user_table, with_scores
from workers.artifacts import metric as metric_of

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
BY_ROWS = "auc"  # the metric that is tested over rows


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
    """Metrics by which at least two contenders can be tested against each other, in their usual order; those of lists at its k."""
    known = [set(frame.columns) for one in rivals(comparison) if (frame := user_table(comparison, one)) is not None]
    keys, letters = lists_at_k.keys_at(comparison.k), set(with_scores(comparison))
    measured = comparison.table[comparison.table["value"].notna()].groupby("metric")["contender"].agg(set).to_dict()
    by_users = {key for key in keys if key in measured and sum(key in columns for columns in known) > 1}
    by_scores = {key for key in (BY_ROWS, *FROM_SCORES) if len(measured.get(key, set()) & letters) > 1}
    return [key for key in keys if key in by_users | by_scores]


def pairs(comparison: Comparison, metric: str) -> "pd.DataFrame":
    """Every two contenders by one metric: a row a pair; none where nothing that a test needs is in the workspace.

    Means over users are tested by flipping signs of the differences at random: it assumes no distribution, and is the test of choice
    for retrieval (Smucker, Allan and Carterette, CIKM 2007). AUC per user and log loss are means over users too, weighed by their rows:
    signs are flipped, and users resampled, with all rows of a user together (cluster bootstrap: Davison and Hinkley, "Bootstrap methods
    and their application", 1997, section 3.8). The area under the ROC curve is tested by DeLong, DeLong and Clarke-Pearson (Biometrics
    1988), which takes rows for independent. Seeds of a contender are averaged per user, or per row, first. Popularity is tested with the
    likes in train as its scores.

    Returns:
        a, b: letters. difference: a - b. low, high: its 95 % interval. p: two-sided. p_holm: corrected over all rows (Holm 1979).
        p_wilcoxon: signed ranks, zeros after Pratt (1959), unweighted and uncorrected; nan where all are zero, and over rows. effect: mean
        over deviation of the differences, d_z (Lakens 2013); nan over rows. n: how many of unit, which is users or rows. spread: the larger
        deviation between seeds of the two, nan where none was repeated. verdict: "a better", "b better", "no difference". reason of no
        difference: "chance", "seeds" (the lead is no greater than the spread), "same settings" (only the seed tells them apart).
    """
    import pandas as pd

    tested, unit = (_by_rows(comparison), "rows") if metric == BY_ROWS else _by_users(comparison, metric)
    frame = pd.DataFrame(tested, columns=list(PairedTest._fields)).assign(unit=unit)
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


def _by_users(comparison: Comparison, metric: str) -> tuple[list[PairedTest], str]:
    """Tests over users, and what n of them counts."""
    values, weights, unit = of_users(comparison, metric)
    return over_users(list(values.columns), values.to_numpy(float), weights), unit


def _by_rows(comparison: Comparison) -> list[PairedTest]:
    """Paired DeLong tests of the area under the ROC curve over rows whose user and item train knows."""
    placed = {}
    for letter, rows, seeds in scored_together(comparison, BY_ROWS):
        liked = rows["label"].to_numpy(float) > 0.5
        if liked.any() and not liked.all():
            found = [placements(scores, liked) for scores in seeds]
            placed[letter] = tuple(np.mean([part[side] for part in found], axis=0, dtype=np.float32) for side in (0, 1))
    return [PairedTest(a, b, *delong(placed[a], placed[b])) for a, b in combinations(placed, 2)]


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
