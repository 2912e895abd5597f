"""Whether another run leads when another question is asked of the same lists: all later likes, the next item, or the last one."""

import math
from typing import TYPE_CHECKING

import numpy as np

from engine import runs
from engine.compare import lists_at_k
from engine.compare.cells import results_of
from engine.compare.contenders import Comparison, Contender
from engine.compare.verdict import Flip, Verdict
from workers.specs import TARGETS, Target

if TYPE_CHECKING:
    import pandas as pd

SURE = 1.96  # standard errors of the mean difference over users


def flips(comparison: Comparison, verdict: Verdict) -> tuple[Flip, ...]:
    """The targets by which another run has a higher NDCG than the best one by the comparison's own target, by more than chance.

    Of all users whom both have lists for; seeds are averaged. Empty where the dataset knows no other target.
    """
    key = f"ndcg_at_{comparison.k}"
    judged = verdict.metrics.get(key)
    ours = [one for one in comparison.contenders if one.run_id is not None]
    if judged is None or judged.run is None or len(ours) < 2:
        return ()
    others = [target for target in TARGETS if target != comparison.target and lists_at_k.list_facts(comparison.dataset, target)]
    found = [_flip(comparison, ours, judged.run, key, target) for target in others]
    return tuple(flip for flip in found if flip is not None)


def _flip(comparison: Comparison, ours: list[Contender], usual: str, key: str, target: Target) -> Flip | None:
    values = {one.letter: own for one in ours if (own := _per_user(one, key, comparison.k, target)) is not None}
    if usual not in values or len(values) < 2:
        return None
    leader = max(values, key=lambda letter: float(values[letter].mean()))
    difference = (values[leader] - values[usual]).dropna()
    error = float(difference.std()) / math.sqrt(len(difference)) if len(difference) > 1 else math.inf
    if leader == usual or not float(difference.mean()) > SURE * error:
        return None
    return Flip(target=target, leader=leader, value=float(values[leader].mean()), usual=usual, usual_value=float(values[usual].mean()))


def _per_user(one: Contender, key: str, k: int, target: Target) -> "pd.Series[float] | None":
    """A metric of each user by a target, the mean of its seeds; None where the lists are not here."""
    import pandas as pd

    frames = []
    for run_id in one.runs:
        table = results_of(runs.get_run(run_id), k, target)[1]
        if table is None or key not in table or not np.isfinite(table[key]).any():
            return None
        frames.append(table.set_index("user_id")[key])
    return pd.concat(frames, axis=1).mean(axis=1)
