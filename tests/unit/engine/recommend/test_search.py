"""Items found by title and users by their stored lists: every answer against a naive loop, or written down."""

import numpy as np
import pandas as pd
import pytest

from engine import compare, datasets, recommend
from engine.recommend import search
from workers.evaluation.lists import padded


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path) -> list[pd.DataFrame]:
    """A dataset whose items a test puts in the list."""
    tables: list[pd.DataFrame] = []
    monkeypatch.setattr(datasets, "get_dataset", lambda id: type("D", (), {"path": tmp_path / id}))
    monkeypatch.setattr(datasets, "items", lambda id: tables[0])
    search._catalogue.cache_clear()
    return tables


def table(titles: list[str | None], likes: list[int]) -> pd.DataFrame:
    ids = [f"i{n}" for n in range(1, len(titles) + 1)]
    return pd.DataFrame({"item_id": ids, "row": range(1, len(ids) + 1), "title": titles, "genres": None, "train_positives": likes})


def test_titles_that_begin_with_the_words_come_first_then_what_is_liked_most(catalogue):
    films = table(["The Alien", "Alien", "Aliens", None, "Out of train (alien)"], [50, 10, 20, 99, 70])
    films.loc[4, "row"] = 0
    catalogue.append(films)
    assert list(recommend.search_items("d", "ALIEN")["item_id"]) == ["i3", "i2", "i1"]
    assert list(recommend.search_items("d", "alien the")["item_id"]) == ["i1"]
    assert list(recommend.search_items("d", "i4")["item_id"]) == ["i4"]
    assert list(recommend.search_items("d", "", limit=2)["item_id"]) == ["i4", "i1"]
    assert list(recommend.search_items("d", "", without=["i4", "i3"])["item_id"]) == ["i1", "i2"]
    assert recommend.search_items("d", "(.*").empty


def test_known_items_stand_in_the_order_asked_for_and_unknown_ones_are_left_out(catalogue):
    catalogue.append(table(["A", "B", "C"], [1, 2, 3]))
    assert list(recommend.known_items("d", ["i3", "no", "i1", "i3"])["item_id"]) == ["i3", "i1"]
    assert recommend.known_items("d", []).empty


def test_sixty_thousand_titles_are_read_once_and_then_searched(catalogue, monkeypatch):
    draw = np.random.default_rng(1)
    catalogue.append(table([f"Film {n} of {draw.integers(9999)}" for n in range(60_000)], list(draw.integers(0, 999, 60_000))))
    reads = []
    monkeypatch.setattr(datasets, "items", lambda id: reads.append(id) or catalogue[0])
    recommend.search_items("d", "warm")
    assert len(recommend.search_items("d", "film 77")) == 12
    assert reads == ["d"]


def naive_overlap(a: list[int], b: list[int], p: float) -> float:
    """RBO_EXT of Webber et al. 2010, as the paper writes it, to the depth of the shorter list."""
    k = min(len(a), len(b))
    if not k:
        return float("nan")
    shared = [len(set(a[:d]) & set(b[:d])) for d in range(1, k + 1)]
    return shared[-1] / k * p**k + (1 - p) / p * sum(met / d * p**d for d, met in enumerate(shared, 1))


@pytest.mark.parametrize("p", [0.5, 0.9, 0.98])
def test_rank_biased_overlap_is_that_of_a_loop(p):
    draw = np.random.default_rng(4)
    many = [[list(draw.permutation(15)[: draw.integers(0, 13)]) for _ in range(200)] for _ in range(2)]
    top = [padded([[item + 1 for item in one] for one in found], 12) for found in many]
    expected = [naive_overlap(a, b, p) for a, b in zip(*many, strict=True)]
    assert np.allclose(search.rank_biased_overlap(*top, p=p), expected, equal_nan=True)


def test_rank_biased_overlap_of_known_lists():
    same, other = list("abcdefghij"), list("klmnopqrst")
    assert recommend.list_agreement(same, same) == pytest.approx(1)
    assert recommend.list_agreement(same, other) == 0
    assert recommend.list_agreement(same, same[:1]) == pytest.approx(1)
    assert np.isnan(recommend.list_agreement(same, []))
    top, end = ["b", "a", *same[2:]], [*same[:8], "j", "i"]
    assert recommend.list_agreement(same, top) < recommend.list_agreement(same, end) < 1


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch, tmp_path, workspace):
    """Sixty users, three runs with lists of ten of 40 items; one user is missing from the third run."""
    draw, users = np.random.default_rng(8), [f"u{n}" for n in range(60)]
    table = {
        "user_id": [*users, "cold"],
        "row": 0,
        "interactions": 9,
        "train_positives": [*draw.integers(1, 9, 60), 0],
        "test_positives": 3,
    }
    pd.DataFrame(table).assign(**{"feature.age": 0.0}).to_parquet(tmp_path / "users.parquet")
    relevant = pd.Series([np.sort(draw.permutation(40)[:2] + 1) for _ in users], index=users)
    monkeypatch.setattr(datasets, "get_dataset", lambda id: type("D", (), {"path": tmp_path}))
    monkeypatch.setattr(compare, "list_facts", lambda id: type("K", (), {"relevant": relevant}))
    tops = {}
    for run in ("a", "b", "c"):
        kept = {user: draw.permutation(40)[:10] + 1 for user in users if (run, user) != ("c", "u7")}
        tops[run] = {user: list(items) for user, items in kept.items()}
        folder = workspace / "runs" / run / "results"
        folder.mkdir(parents=True)
        pd.DataFrame({"user_id": list(kept), "items": list(kept.values())}).to_parquet(folder / "top_k.parquet")
    return users, relevant, tops


@pytest.mark.parametrize("k", [1, 5, 10])
def test_who_is_right_is_found_among_the_first_k(stored, k):
    users, relevant, tops = stored
    right = {run: {user for user in users if set(tops[run][user][:k]) & set(relevant[user])} for run in ("a", "b")}
    expected = {
        "a_not_b": [user for user in users if user in right["a"] - right["b"]],
        "b_not_a": [user for user in users if user in right["b"] - right["a"]],
        "neither": [user for user in users if user not in right["a"] | right["b"]],
    }
    for by, found in expected.items():
        assert found, "a test of nobody"
        assert recommend.browse("d", ["a", "b"], by, k)["user_id"].tolist() == found


@pytest.mark.parametrize("k", [1, 5])
def test_those_who_tell_most_are_hit_by_one_and_not_by_the_other(stored, k):
    users, relevant, tops = stored
    hits = {u: [len(set(tops[run][u][:k]) & set(relevant[u])) for run in ("a", "b")] for u in users}
    found = recommend.browse("d", ["a", "b"], "telling", k)["user_id"].tolist()
    assert set(found) == {u for u in users if max(hits[u]) > 0} and found
    apart = [max(hits[u]) - min(hits[u]) for u in found]
    assert apart == sorted(apart, reverse=True)
    assert recommend.browse("d", ["a", "a"], "telling", k).empty  # lists that are the same tell nothing


def test_whose_lists_differ_most_comes_first(stored):
    users, _, tops = stored
    found = recommend.browse("d", ["a", "b", "c"], "disagree")
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    told = {u: np.mean([naive_overlap(tops[a][u], tops[b][u], 0.9) for a, b in pairs]) for u in users if u != "u7"}
    assert np.allclose([told[user] for user in found["user_id"]], sorted(told.values()))
    assert set(found["user_id"]) == set(told)
    assert np.allclose(found["rank_biased_overlap"], sorted(told.values()))


@pytest.mark.fault("F55")
def test_the_active_and_the_cold(stored):
    active = recommend.browse("d", ["a"], "active")
    assert active["train_positives"].is_monotonic_decreasing and len(active) == 60
    assert "feature.age" not in active
    assert recommend.browse("d", ["a"], "cold")["user_id"].tolist() == ["cold"]


def test_what_cannot_be_browsed_says_why(stored):
    with pytest.raises(LookupError, match="lists of run gone"):
        recommend.browse("d", ["a", "gone"], "disagree")
    with pytest.raises(ValueError, match="two contenders"):
        recommend.browse("d", ["a"], "a_not_b")
    with pytest.raises(ValueError, match="'sideways'"):
        recommend.browse("d", ["a"], "sideways")


def test_filters_keep_what_passes_all_of_them(catalogue):
    films = table(["A", "B", "C", "D"], [1, 5, 9, 9]).assign(genres=["Sci-Fi|War", "War", None, "Sci"])
    catalogue.append(films)

    def kept(**asked):
        return "".join(films["title"][recommend.Filter(**asked).keeps(films)])

    assert kept() == "ABCD"
    assert kept(genres=("War",)) == "AB"
    assert kept(genres=("Sci", "Sci-Fi")) == "AD"  # a part of a genre's name is not the genre
    assert kept(genres=("War",), least_likes=5) == "B"
    assert kept(least_likes=10) == ""
    assert recommend.search_items("d", "", only=recommend.Filter(genres=("War",)))["title"].tolist() == ["B", "A"]
    assert recommend.genres("d")[0] == "War" and set(recommend.genres("d")) == {"War", "Sci-Fi", "Sci"}
