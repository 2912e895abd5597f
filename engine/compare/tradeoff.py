"""Quality against cost: the contenders that no other beats in both."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Better = Literal["higher", "lower", "one"]


def pareto_front(
    costs: Sequence[float], values: Sequence[float], better: Better = "higher", cheaper: Literal["lower", "higher"] = "lower"
) -> NDArray[np.bool_]:
    """Who is not dominated: nobody costs no more, reaches no less, and is better in one of the two (Pareto efficiency).

    Equal points are on the front together, or not at all. Whoever lacks a cost or a value is not on the front and dominates nobody.

    Args:
        costs, values: [R], in one order; nan where not measured.
        better: direction of the values; "one": the closer to 1 the better.
        cheaper: direction of the costs; "higher" for a throughput.

    Returns:
        [R] bool.
    """
    cost, value = np.asarray(costs, float), np.asarray(values, float)
    good = {"higher": value, "lower": -value, "one": -np.abs(value - 1)}[better]
    cost = cost if cheaper == "lower" else -cost
    known = np.isfinite(cost) & np.isfinite(good)
    no_worse = (cost[:, None] <= cost) & (good[:, None] >= good)  # [R, R]: the first against the second
    dominates = no_worse & ~no_worse.T & known[:, None]
    return known & ~dominates.any(axis=0)
