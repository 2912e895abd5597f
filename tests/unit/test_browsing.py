"""Items found by title, on a catalogue that is written down here."""

import time

import numpy as np
import pandas as pd
import pytest

from engine import browsing, datasets


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path) -> list[pd.DataFrame]:
    """A dataset whose items a test puts in the list."""
    tables: list[pd.DataFrame] = []
    monkeypatch.setattr(datasets, "get_dataset", lambda id: type("D", (), {"path": tmp_path / id}))
    monkeypatch.setattr(datasets, "items", lambda id: tables[0])
    browsing._catalogue.cache_clear()
    return tables


def table(titles: list[str | None], likes: list[int]) -> pd.DataFrame:
    ids = [f"i{n}" for n in range(1, len(titles) + 1)]
    return pd.DataFrame({"item_id": ids, "row": range(1, len(ids) + 1), "title": titles, "genres": None, "train_positives": likes})


def test_titles_that_begin_with_the_words_come_first_then_what_is_liked_most(catalogue):
    films = table(["The Alien", "Alien", "Aliens", None, "Out of train (alien)"], [50, 10, 20, 99, 70])
    films.loc[4, "row"] = 0
    catalogue.append(films)
    assert list(browsing.search_items("d", "ALIEN")["item_id"]) == ["i3", "i2", "i1"]
    assert list(browsing.search_items("d", "alien the")["item_id"]) == ["i1"]
    assert list(browsing.search_items("d", "i4")["item_id"]) == ["i4"]
    assert list(browsing.search_items("d", "", limit=2)["item_id"]) == ["i4", "i1"]
    assert list(browsing.search_items("d", "", without=["i4", "i3"])["item_id"]) == ["i1", "i2"]
    assert browsing.search_items("d", "(.*").empty


def test_known_items_stand_in_the_order_asked_for_and_unknown_ones_are_left_out(catalogue):
    catalogue.append(table(["A", "B", "C"], [1, 2, 3]))
    assert list(browsing.known_items("d", ["i3", "no", "i1", "i3"])["item_id"]) == ["i3", "i1"]
    assert browsing.known_items("d", []).empty


def test_sixty_thousand_titles_are_searched_at_once(catalogue):
    draw = np.random.default_rng(1)
    catalogue.append(table([f"Film {n} of {draw.integers(9999)}" for n in range(60_000)], list(draw.integers(0, 999, 60_000))))
    browsing.search_items("d", "warm")
    started = time.perf_counter()
    assert len(browsing.search_items("d", "film 77")) == 12
    assert time.perf_counter() - started < 0.3
