"""Laws of Holm's correction, and the definition itself as the reference."""

import math
import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compare.paired_tests import holm

laws = settings(derandomize=True, max_examples=300, deadline=None)
known = st.floats(0, 1) | st.sampled_from([0.0, 1e-300, 0.01, 0.05, 0.5, 1.0])  # some of them tied
p_values = st.lists(known, max_size=30).map(np.array)
with_gaps = st.lists(known | st.just(math.nan), max_size=30).map(lambda p: np.array(p, float))


def reference(p: list[float]) -> list[float]:
    """Holm 1979 by the letter: in order of p, the k-th of m (from 0) times m - k, never below the one before, 1 at most."""
    adjusted, so_far = [0.0] * len(p), 0.0
    for k, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        so_far = max(so_far, min(1.0, (len(p) - k) * p[place]))
        adjusted[place] = so_far
    return adjusted


@laws
@given(p=p_values)
def test_it_is_what_holm_defines(p: np.ndarray) -> None:
    np.testing.assert_allclose(holm(p), reference(p.tolist()), rtol=1e-12)


@laws
@given(p=p_values)
def test_no_p_falls_and_none_is_above_one(p: np.ndarray) -> None:
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()


@laws
@given(p=p_values)
def test_the_order_of_p_is_kept_and_ties_stay_ties(p: np.ndarray) -> None:
    adjusted, order = holm(p), np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    assert (np.diff(adjusted[order])[np.diff(p[order]) == 0] == 0).all()


@laws
@given(p=p_values, place=st.integers(0, 29), lower=st.floats(0, 1))
def test_it_is_monotone_a_smaller_p_makes_no_other_larger(p: np.ndarray, place: int, lower: float) -> None:
    if place < len(p):
        less = p.copy()
        less[place] *= lower
        assert (holm(less) <= holm(p)).all()


@laws
@given(p=p_values)
def test_it_is_between_bonferroni_and_none(p: np.ndarray) -> None:
    assert (holm(p) <= np.minimum(1, len(p) * p) + 1e-15).all()


@laws
@given(p=p_values, order=st.randoms(use_true_random=False))
def test_it_does_not_depend_on_the_order_of_tests(p: np.ndarray, order: random.Random) -> None:
    places = order.sample(range(len(p)), len(p))
    np.testing.assert_array_equal(holm(p[places]), holm(p)[places])


@laws
@given(p=with_gaps)
def test_tests_without_a_p_stay_without_and_do_not_count(p: np.ndarray) -> None:
    adjusted, finite = holm(p), np.isfinite(p)
    np.testing.assert_array_equal(np.isfinite(adjusted), finite)
    np.testing.assert_array_equal(adjusted[finite], holm(p[finite]))
