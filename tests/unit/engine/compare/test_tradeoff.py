"""Who is on the Pareto front, against a loop over pairs; curves of several seeds, against those of all their rows together."""

import numpy as np
import pytest

import engine
from workers.evaluation.outputs import reliability

NO = float("nan")


def by_pairs(costs, values, better, cheaper):
    """The definition, pair by pair."""
    good = {"higher": lambda v: v, "lower": lambda v: -v, "one": lambda v: -abs(v - 1)}[better]
    sign = 1 if cheaper == "lower" else -1
    points = [(sign * c, good(v)) for c, v in zip(costs, values, strict=True)]
    known = [not (np.isnan(c) or np.isnan(v)) for c, v in points]
    front = []
    for here, (cost, value) in enumerate(points):
        beaten = any(
            known[there] and c <= cost and v >= value and (c < cost or v > value) for there, (c, v) in enumerate(points) if there != here
        )
        front.append(known[here] and not beaten)
    return front


@pytest.mark.parametrize("cheaper", ["lower", "higher"])
@pytest.mark.parametrize("better", ["higher", "lower", "one"])
@pytest.mark.parametrize("levels", [3, 1000])  # many ties, and next to none
def test_the_front_is_who_no_pair_beats(better, cheaper, levels):
    rng = np.random.default_rng(levels)
    for size in (1, 2, 5, 12) * 20:
        costs, values = rng.integers(0, levels, size) / levels * 5, rng.integers(0, levels, size) / levels * 2
        values[rng.random(size) < 0.1] = NO
        costs[rng.random(size) < 0.1] = NO
        assert engine.compare.pareto_front(costs, values, better, cheaper).tolist() == by_pairs(costs, values, better, cheaper)


@pytest.mark.parametrize(
    "costs, values, front",
    [
        ([], [], []),
        ([NO], [0.3], [False]),
        ([1, 1], [0.3, 0.3], [True, True]),  # equal points stand together
        ([1, 1], [0.3, 0.2], [True, False]),
        ([1, 2], [0.3, 0.3], [True, False]),
        ([2, NO], [0.1, 0.9], [True, False]),  # what was not measured beats nobody
        ([1, float("inf")], [0.1, 0.9], [True, False]),
    ],
)
def test_the_front_of_degenerate_points(costs, values, front):
    assert engine.compare.pareto_front(costs, values).tolist() == front


def test_pooled_bins_are_those_of_all_rows_together():
    rng = np.random.default_rng(3)
    runs = [(rng.beta(a, 3, 500), rng.integers(0, 2, 500).astype(float)) for a in (0.5, 2, 9)]
    found = engine.compare.pooled_reliability([reliability(*run) for run in runs])
    expected = reliability(np.concatenate([p for p, _ in runs]), np.concatenate([y for _, y in runs]))
    assert [bin["rows"] for bin in found] == [bin["rows"] for bin in expected]
    for name in ("predicted", "observed"):
        assert [bin[name] for bin in found] == pytest.approx([bin[name] for bin in expected])


def test_nothing_is_pooled_of_nothing():
    assert engine.compare.pooled_reliability([]) == []
    assert engine.compare.pooled_reliability([[], [{"predicted": 0.2, "observed": 0.0, "rows": 0}]]) == []
    assert engine.compare.pooled_reliability([reliability(np.array([1.0]), np.array([1.0]))]) == [
        {"predicted": 1.0, "observed": 1.0, "rows": 1}
    ]
