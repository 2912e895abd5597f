"""The Recommend page: whose lists are shown, what is counted on them."""

import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.fake import HOSTILE, FakeEngine, run
from tests.pages.test_pages import foreign_markup

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]


def test_what_is_held_out_is_counted_as_the_metrics_count_it(
    trained: FakeEngine, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = trained.user_interactions
    split = ["test", "test", "valid", "valid", "valid", "train"]  # two of test, as search_users says; all but the fifth are liked
    monkeypatch.setattr(engine.datasets, "user_interactions", lambda id, user: met(id, user).assign(split=split))
    at = visit("recommend", runs="a,d", user="7")
    assert "2 held out" in says(at)
    assert "2 more in validation" in [one.label for one in at.expander]
    assert any("2 held out" in option for one in at.selectbox for option in one.options)


def test_somebody_new_is_told_by_likes_found_by_title(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", who="new", k="7")
    assert trained.opened == []
    assert at.number_input(key="recommend.k").value == 7  # a browser gives a field that went away and came back its least value
    at.text_input(key="recommend.title.liked").set_value("film 2").run()
    at.button(key="liked.i20").click().run()
    at.text_input(key="recommend.title.liked").set_value("alien").run()
    at.button(key="liked.i1").click().run()
    assert not at.exception
    assert at.query_params["liked"] == "i20,i1"
    assert trained.newcomers[-1] == ["i20", "i1"]
    said = says(at)
    assert said.count("every new user gets the same list") == 1  # of B alone
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
    at.button(key="liked.5,a%2Cb").click().run()
    assert trained.newcomers[-1] == ["5,a%2Cb"]
    assert visit("recommend", runs="a", liked=at.query_params["liked"]).multiselect(key="recommend.liked").value == ["5,a%2Cb"]


def test_titles_in_the_search_are_shown_as_they_are_written(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.title = HOSTILE
    at = visit("recommend", runs="a,d", liked="i1,i2")
    assert "&lt;img src=x onerror" in says(at)
    assert not foreign_markup(at)
    at = visit("recommend", runs="a,d", who="new")
    assert ":red[" not in at.button(key="liked.i1").label


def test_users_are_browsed_one_after_the_other(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", browse="disagree", k="5")
    assert trained.browsed == [(("a", "d"), "disagree", 5)]
    assert "Lists differ most: 1 of 13 · mean rank-biased overlap of the stored lists 0.250" in says(at)
    assert at.query_params["user"] == "39"
    assert next(one for one in at.button if one.label == "Previous").disabled
    next(one for one in at.button if one.label == "Next").click().run()
    assert at.query_params["user"] == "38"
    assert "User 38" in says(at)
    at.selectbox(key="recommend.browse").set_value("a_not_b").run()
    assert (at.query_params["browse"], at.query_params["user"]) == ("a_not_b", "39")
    at.selectbox(key="recommend.browse").set_value("search").run()
    assert "browse" not in at.query_params
    assert not at.exception


def test_a_shared_address_keeps_its_user_where_browsing_does_not_find_it(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", browse="a_not_b", user="7")
    assert "not among the 13" in says(at)
    assert "User 7" in says(at)


def test_nobody_to_browse_is_said(trained: FakeEngine, visit: Visit, says: Says) -> None:
    assert "No user matches this order of browsing" in says(visit("recommend", runs="a,d", browse="cold"))


def test_two_contenders_are_needed_to_set_them_against_each_other(trained: FakeEngine, visit: Visit) -> None:
    at = visit("recommend", runs="a", browse="a_not_b")
    assert at.selectbox(key="recommend.browse").options == ["Search by id", "Most active", "Liked nothing in train"]
    assert trained.browsed == []


def test_lists_that_are_not_here_leave_the_search(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.refuses = LookupError("The lists of run a are not in this workspace.")
    said = says(visit("recommend", runs="a,d", browse="neither", user="7"))
    assert "are not in this workspace" in said
    assert "User 7" in said


def test_lists_are_compared_by_what_they_share_and_in_which_order(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs += [run("b"), run("c")]
    assert "A ∩ B: 5 of 5, rank-biased overlap 1.00" in says(visit("recommend", runs="a,b", user="7", k="5"))
    assert "A ∩ B: 0 of 5, rank-biased overlap 0.00" in says(visit("recommend", runs="a,d", user="7", k="5"))
    assert "5 of 5 · 1.00" in says(visit("recommend", runs="a,b,c,d", user="7", k="5"))


@pytest.mark.parametrize("whose", [{"user": "7"}, {"liked": "i2,i3"}])
def test_why_an_item_is_there_is_said_with_its_method(trained: FakeEngine, visit: Visit, says: Says, whose: dict[str, str]) -> None:
    trained.title = HOSTILE
    at = visit("recommend", runs="a,d", k="5", **whose)
    said = says(at)
    assert said.count("because: **Bold** :red[x] $a$ &lt;img") == 5
    assert said.count("history +0.25, item −0.12") == 5
    assert said.count('title="By cosine."') == said.count('title="By leaving out."') == 5
    assert not foreign_markup(at)


def test_filters_of_the_address_hold_for_every_contender(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", user="7", genre="Sci-Fi,Opera", likes="50", seen="1", k="10")
    assert trained.filtered == [(False, engine.recommend.Filter(genres=("Sci-Fi",), least_likes=50))] * 2
    said = says(at)
    assert "No other item of Sci\\-Fi with 50 likes or more is left to recommend" in said
    assert "seen in training" in said
    assert at.multiselect(key="recommend.genre").value == ["Sci-Fi"]
    at.multiselect(key="recommend.genre").set_value([]).run()
    at.number_input(key="recommend.likes").set_value(0).run()
    assert "genre" not in at.query_params and "likes" not in at.query_params
    assert trained.filtered[-1] == (False, engine.recommend.Filter())


def test_an_address_with_nonsense_filters_has_none(trained: FakeEngine, visit: Visit) -> None:
    visit("recommend", runs="a,d", user="7", genre="<b>", likes="-5", seen="yes")
    assert trained.filtered == [(True, engine.recommend.Filter())] * 2


def test_a_list_without_items_says_so(trained: FakeEngine, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "items", lambda id, items=trained.items: items(id).head(0 if trained.opened else 30))
    said = says(visit("recommend", runs="a,d", user="7"))
    assert "Nothing is left to recommend" in said
    assert "not in A" not in said


def test_k_may_be_more_than_there_are_items(trained: FakeEngine, visit: Visit, says: Says) -> None:
    said = says(visit("recommend", runs="a,d", user="7", k="50"))
    assert "Nothing else is left to recommend" in said
    assert "A ∩ B: 30 of 50" in said


def test_a_run_in_the_trash_is_told_from_one_that_never_was(trained: FakeEngine, visit: Visit, says: Says) -> None:
    engine.runs.trash(["d"])
    said = says(visit("recommend", runs="a,d,zzz", user="7"))
    assert "was moved to the trash" in said
    assert "There is no finished run zzz" in said
    assert trained.opened == ["a"]


def test_a_funnel_lacks_what_it_did_not_retrieve(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs.append(run("e").model_copy(update={"model": "funnel"}))
    said = says(visit("recommend", runs="a,e", user="7", genre="Sci-Fi", likes="50"))
    assert said.count("is left to recommend among what was retrieved") == 1


def test_items_like_one_are_found_by_its_title(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", who="item", k="5")
    assert trained.opened == []
    at.text_input(key="recommend.title.item").set_value("film 7").run()
    at.button(key="item.i7").click().run()
    assert not at.exception
    assert (at.query_params["item"], at.query_params["who"]) == ("i7", "item")
    said = says(at)
    assert "By cosine" in said and "neither vectors nor weights" in said
    assert not at.error  # a ranker has no such space: that is no fault
    assert not re.search(r"\d hits?\b|held out|because", said)


def test_an_unknown_item_is_named(trained: FakeEngine, visit: Visit, says: Says) -> None:
    assert "There is no item nothing" in says(visit("recommend", runs="a,d", who="item", item="nothing"))
    assert trained.opened == []
