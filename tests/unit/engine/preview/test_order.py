"""Whether order matters, on made likes where it is all there is, where there is none, and where nobody knows it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.datasets.spec import DatasetSpec
from engine.preview import order
from engine.preview.first_rows import preview
from engine.preview.order import order_facts, order_in_words
from tests.given import given

ITEMS, LENGTH = 60, 8


def walked(users: int = 400, seed: int = 0) -> pd.DataFrame:
    """Each user likes the next items of a cycle, from somewhere on."""
    start = np.random.default_rng(seed).integers(0, ITEMS, users)
    item = np.add.outer(start, np.arange(LENGTH)) % ITEMS
    return likes(item)


def likes(item: np.ndarray) -> pd.DataFrame:
    """item [U, n], in order of time."""
    users, length = item.shape
    ids = {"user_id": [f"u{k}" for k in np.repeat(np.arange(users), length)], "item_id": [f"i{k}" for k in item.ravel()]}
    return pd.DataFrame(ids).assign(timestamp=np.tile(np.arange(length), users))


def by_chance(users: int = 4000, seed: int = 0) -> pd.DataFrame:
    """Items by popularity, in any order."""
    rng = np.random.default_rng(seed)
    popular = 1 / np.arange(1, ITEMS + 1)
    return likes(np.stack([rng.choice(ITEMS, LENGTH, replace=False, p=popular / popular.sum()) for _ in range(users)]))


def test_a_walk_round_a_cycle_is_nothing_but_order() -> None:
    facts = order_facts(walked())
    assert facts is not None
    assert (facts.pairs, facts.users, facts.share) == (ITEMS, 400, 1)
    # a shuffled walk still has an item directly before the next one in 1 of 8 cases
    assert facts.lost == pytest.approx(7 / 8, abs=0.03)
    assert order_in_words(facts).startswith("Order matters: 60 pairs of items follow one another for 3 or more users of one half; in")
    assert "Markov chain" in order_in_words(facts)


def test_likes_by_chance_lose_nothing_by_another_order() -> None:
    facts = order_facts(by_chance())
    assert facts is not None and facts.lost is not None
    assert facts.pairs > 200
    assert abs(facts.lost) < 0.1
    assert order_in_words(facts).startswith("Order hardly matters")
    assert "lose nothing" in order_in_words(facts)


def test_likes_of_one_moment_have_no_order() -> None:
    facts = order_facts(walked().assign(timestamp=7))
    assert facts is not None
    assert (facts.pairs, facts.lost) == (0, None)
    assert "cannot be said" in order_in_words(facts)
    finer = walked().assign(timestamp=7, subsecond=np.tile([None, *np.arange(1, LENGTH) / 10], 400))
    assert (order_facts(finer) or facts).pairs == ITEMS


def test_what_is_liked_again_and_again_is_no_pair_and_a_user_counts_once() -> None:
    facts = order_facts(likes(np.tile([1, 1, 2, 1, 2], (4, 3))))
    assert facts is not None and facts.pairs == 0, "2 users of a half are too few, however often each goes from 1 to 2"
    facts = order_facts(likes(np.tile([1, 1, 2, 1, 2], (6, 3))))
    assert facts is not None and (facts.pairs, facts.followed) == (2, 6)


def test_the_order_of_rows_makes_no_difference_and_of_many_users_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = walked()
    assert order_facts(rows.sample(frac=1, random_state=3)) == order_facts(rows)
    monkeypatch.setattr(order, "MOST_LIKES", 1600)
    facts = order_facts(rows)
    assert facts is not None
    assert facts == order_facts(rows.sample(frac=1, random_state=4))
    assert facts.users == round(400 * facts.share) and 0.4 < facts.share < 0.6
    assert f"seen on {facts.users} users, {facts.share:.0%} of all" in order_in_words(facts)


def test_a_preview_says_whether_order_matters_and_without_times_it_does_not(tmp_path: Path) -> None:
    rows = walked(users=300).assign(rating=lambda table: 4 + (table.index % 2))
    timed = preview(DatasetSpec(name="g", source=given(tmp_path / "a", rows))).audit
    assert timed.order is not None and timed.order.pairs > 30
    rows = rows.drop(columns="timestamp")
    untimed = preview(DatasetSpec(name="g", source=given(tmp_path / "b", rows, reads={"time": None}), split={"kind": "random"})).audit  # type: ignore[arg-type]
    assert untimed.order is None
