"""The Recommend page: whose lists are shown, what is counted on them."""

import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.fake import HOSTILE, FakeEngine
from tests.pages.test_pages import foreign_markup

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]


def test_what_is_held_out_is_counted_as_the_metrics_count_it(
    trained: FakeEngine, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = trained.user_interactions
    split = ["test", "test", "valid", "valid", "valid", "train"]  # two of test, as search_users says; all but the fifth are liked
    monkeypatch.setattr(engine, "user_interactions", lambda id, user: met(id, user).assign(split=split))
    at = visit("recommend", runs="a,d", user="7")
    assert "2 held out" in says(at)
    assert "2 more in validation" in [one.label for one in at.expander]
    assert any("2 held out" in option for one in at.selectbox for option in one.options)


def test_somebody_new_is_told_by_likes_found_by_title(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", who="new")
    assert trained.opened == []
    at.text_input(key="recommend.title").set_value("film 2").run()
    at.button(key="like.i20").click().run()
    at.text_input(key="recommend.title").set_value("alien").run()
    at.button(key="like.i1").click().run()
    assert not at.exception
    assert at.query_params["liked"] == "i20,i1"
    assert trained.newcomers[-1] == ["i20", "i1"]
    said = says(at)
    assert said.count("cannot tell one newcomer from another") == 1  # of B alone
    assert not re.search(r"\d hits?\b|held out", said)
    at.multiselect(key="recommend.liked").unselect("i20").run()
    assert at.query_params["liked"] == "i1"
    assert trained.newcomers[-1] == ["i1"]


def test_an_address_of_likes_is_enough(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", liked="i3,nothing,i2")
    assert "There is no item nothing in this catalogue" in says(at)
    assert trained.newcomers == [["i3", "i2"]] * 2


def test_ids_with_commas_come_back_from_the_address(trained: FakeEngine, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    items = trained.items
    monkeypatch.setattr(trained, "items", lambda id: items(id).replace({"item_id": {"i5": "5,a%2Cb"}}))
    at = visit("recommend", runs="a", who="new")
    at.button(key="like.5,a%2Cb").click().run()
    assert trained.newcomers[-1] == ["5,a%2Cb"]
    assert visit("recommend", runs="a", liked=at.query_params["liked"]).multiselect(key="recommend.liked").value == ["5,a%2Cb"]


def test_titles_in_the_search_are_shown_as_they_are_written(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.title = HOSTILE
    at = visit("recommend", runs="a,d", liked="i1,i2")
    assert "&lt;img src=x onerror" in says(at)
    assert not foreign_markup(at)
    at = visit("recommend", runs="a,d", who="new")
    assert ":red[" not in at.button(key="like.i1").label
