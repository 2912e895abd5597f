"""Lists on a device against sorting every row of scores with numpy: the same items, scores and ranks, whatever ties there are."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.evaluation import metrics
from workers.evaluation.ranking import CELL_BYTES, CHUNK_BYTES, rank_users, sort_keys, users_at_once
from workers.specs import Protocol

NUMBERS = st.one_of(st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, np.inf, 1e-45, -1e-45]), st.floats(width=32, allow_nan=False))


def people(users: int, items: int, rng: np.random.Generator) -> pd.DataFrame:
    bags = [rng.permutation(items)[: rng.integers(0, items)] + 1 for _ in range(users)]
    cuts = [rng.integers(0, len(bag) + 1) for bag in bags]
    lists = zip(bags, cuts, strict=True)
    seen, relevant = zip(*((bag[:cut], bag[cut:]) for bag, cut in lists), strict=True)
    return pd.DataFrame({"user_id": [f"u{at}" for at in range(users)], "seen": seen, "relevant": relevant})


def by_sorting(scores: np.ndarray, seen: np.ndarray, ties: np.ndarray) -> list[int]:
    """Item rows of one user, best first, equal scores by rising priority from the end, without those that are left out."""
    left = [item for item in range(len(scores)) if item + 1 not in seen and scores[item] > -np.inf]
    return [item + 1 for item in sorted(left, key=lambda item: (-float(scores[item]), -ties[item]))]


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.data(), st.integers(1, 30), st.integers(0, 99), st.booleans())
def test_lists_are_those_of_a_sort_with_ties_in_the_order_of_the_protocol(data: st.DataObject, items: int, seed: int, tensor: bool) -> None:
    rng = np.random.default_rng(seed)
    users = people(5, items, rng)
    rows = data.draw(st.lists(st.lists(NUMBERS, min_size=items, max_size=items), min_size=5, max_size=5))
    scores, protocol = np.array(rows, np.float32), Protocol(list_length=10)
    given_ = torch.from_numpy(scores.copy()) if tensor else scores
    ranked = rank_users(users, items, lambda places: given_[places], protocol)
    ties = metrics.tie_order(items, protocol.tie_seed)
    for row, (seen, relevant, own) in enumerate(zip(users["seen"], users["relevant"], scores, strict=True)):
        expected = by_sorting(own, seen, ties)
        assert ranked["items"][row].tolist() == expected[:10]
        assert ranked["scores"][row].tobytes() == own[np.array(expected[:10], int) - 1].tobytes()
        hit = next((place for place, item in enumerate(expected, 1) if item in relevant), None)
        assert ranked["mrr"][row] == (pytest.approx(1 / hit) if hit else 0) or not len(relevant)
        assert ranked["relevant"][row] == len(relevant)


def test_keys_of_a_device_order_as_those_of_numpy() -> None:
    scores = np.array([[0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, 1e-45, -1e-45, 3e38, -3e38, 0.0]], np.float32)
    ties = metrics.tie_order(11, 5)
    ours, theirs = sort_keys(torch.from_numpy(scores), torch.from_numpy(ties)).numpy()[0], metrics.sort_keys(scores, ties)[0]
    assert np.argsort(ours).tolist() == np.argsort(theirs).tolist()
    assert len(set(ours)) == 11


def test_fewer_users_are_ranked_at_a_time_where_the_catalogue_is_large() -> None:
    assert users_at_once(10_000) == 64
    assert users_at_once(1_000_000) * 1_000_000 * CELL_BYTES <= CHUNK_BYTES
    assert users_at_once(10**9) == users_at_once(10**12) == 1


def test_a_score_that_is_no_number_says_that_the_model_diverged() -> None:
    users = people(1, 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="diverged"):
        rank_users(users, 3, lambda places: torch.tensor([[0.0, torch.nan, 1.0]]))
