"""Sort keys order any scores as a plain sort does: by score, then by the fixed random order of ties."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workers.evaluation.metrics import best_places, sort_keys, tie_order, top_items

FEW = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 1e-45, 1.5, np.inf])  # so that ties are frequent
SCORE = FEW | st.floats(width=32, allow_nan=False)
LIST = st.lists(SCORE, min_size=1, max_size=40)


def plain_sort(scores: list[float], ties: np.ndarray) -> list[int]:
    return sorted(range(len(scores)), key=lambda place: (-scores[place], -ties[place]))


@settings(derandomize=True, deadline=None)
@given(LIST, st.integers(0, 9), st.integers(1, 50))
@example([0.0, -0.0, -0.0, 0.0], 1, 3)
@example([-np.inf] * 5, 2, 5)
def test_the_best_items_are_those_of_a_plain_sort(scores: list[float], seed: int, k: int) -> None:
    ties, row = tie_order(len(scores), seed), np.array(scores, np.float32)
    wanted = plain_sort(scores, ties)
    keys = sort_keys(row[None], ties)
    assert len(set(keys[0].tolist())) == len(scores)
    assert np.argsort(-keys[0]).tolist() == wanted
    assert top_items(keys, k)[0].tolist() == best_places(row, ties, k).tolist() == wanted[:k]


@settings(derandomize=True, deadline=None)
@given(LIST, st.integers(0, 9))
def test_an_excluded_item_is_recognised_by_its_key(scores: list[float], seed: int) -> None:
    keys = sort_keys(np.array(scores, np.float32)[None], tie_order(len(scores), seed))
    assert (keys[0] >> 32 == -0x7F800000).tolist() == [score == -np.inf for score in scores]


@pytest.mark.fault("F32")
@settings(derandomize=True, deadline=None)
@given(LIST, st.integers(0, 39))
def test_a_score_that_is_nan_is_refused_wherever_it_is(scores: list[float], place: int) -> None:
    scores[place % len(scores)] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        sort_keys(np.array(scores, np.float32)[None], tie_order(len(scores), 1))
