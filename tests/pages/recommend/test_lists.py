"""Lists on the Recommend page: what is marked, counted, filtered and compared, as the models themselves rank."""

import re
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.recommend import Filter
from tests.pages.reading import Says, Visit, button, foreign_markup, links, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.shared import words


def ranked(workspace: Workspace, name: str, k: int = 10, **rules: Any) -> pd.DataFrame:
    """What a run's model recommends to user 7, asked without the page."""
    return engine.recommend.open_model(workspace.runs[name]).recommend("7", k=k, **rules)


def shown(at: AppTest, letter: str) -> list[str]:
    """The items of a contender's list, top down."""
    html = next(one.value for one in at.html if re.search(rf'aria-label="Top \d+ of {letter} ', one.value))
    return re.findall(r'<li [^>]*title="item ([^",]+)', html)


def retitle(own: Workspace, title: str, *items: str) -> None:
    """Give some items another title; all of them where none is named."""
    path = own.folder / "datasets" / own.films / "items.parquet"
    frame = pd.read_parquet(path)
    chosen = frame["item_id"].isin(items or frame["item_id"])
    frame.assign(title=frame["title"].mask(chosen, title)).to_parquet(path, index=False)


def test_recommend_marks_hits_moves_and_overlap(shared: Workspace, opened: list[str], visit: Visit, says: Says) -> None:
    first, second = ranked(shared, "dlrm", k=30), ranked(shared, "dcnv2", k=5)
    opened.clear()
    at = visit("recommend", runs=shared.ids("dlrm", "dcnv2"), user="7", k="5")
    said = says(at)
    assert "User 7" in said
    hits = int(first.head(5)["liked"].sum())
    assert f"{hits} {'hit' if hits == 1 else 'hits'}" in said
    assert f"A ∩ B: {len({*first.head(5)['item_id']} & {*second['item_id']})} of 5" in said
    places = dict(zip(first["item_id"], first["rank"], strict=True))
    for item, rank in zip(second["item_id"], second["rank"], strict=True):
        if places[item] > rank:
            assert f"↑ {places[item] - rank} vs A" in said
    assert opened == [shared.runs["dlrm"], shared.runs["dcnv2"]]
    assert at.query_params["user"] == "7"


@pytest.mark.fault("F54", "F63")
def test_an_unknown_user_leads_home(shared: Workspace, opened: list[str], visit: Visit, says: Says) -> None:
    at = visit("recommend", runs=shared.ids("two_tower", "dlrm"), user="nobody")
    assert "There is no user nobody" in says(at)
    assert "Go to the home page" in links(at)
    assert opened == []


def test_titles_are_shown_as_they_are_written(own: Workspace, visit: Visit, says: Says) -> None:
    retitle(own, HOSTILE)
    at = visit("recommend", runs=own.ids("two_tower", "dlrm"), user="7")
    assert "&lt;img src=x onerror" in says(at)
    assert not foreign_markup(at)


def test_what_is_held_out_is_counted_as_the_metrics_count_it(shared: Workspace, visit: Visit, says: Says) -> None:
    met = engine.datasets.user_interactions(shared.films, "7")
    held = {split: int(((met["split"] == split) & (met["label"] > 0)).sum()) for split in ("valid", "test")}
    assert held == {"valid": 1, "test": 1} and (met["split"] == "test").sum() == 2  # one of the two rows of test is liked
    at = visit("recommend", runs=shared.ids("two_tower", "dlrm"), user="7")
    assert "(1 held out)" in says(at)
    assert not [one.label for one in at.expander if "validation" in one.label], "it is known before test"
    before = int((met["split"].isin(["train", "valid"]) & (met["label"] > 0)).sum())
    assert f'Liked before</h3> <span class="dim">{before}<' in "".join(one.proto.body for one in at.get("html"))
    assert any("1 held out" in option for one in at.selectbox for option in one.options)


def test_somebody_new_is_known_by_likes_chosen_by_title(shared: Workspace, opened: list[str], visit: Visit, says: Says) -> None:
    at = visit("recommend", runs=shared.ids("two_tower", "blind"), who="new", k="7")
    assert opened == []
    assert at.number_input(key="recommend.k").value == 7  # a browser gives a field that went away and came back its least value
    at.text_input(key="recommend.title.liked").set_value("film 2").run()
    at.button(key="liked.i20").click().run()
    at.text_input(key="recommend.title.liked").set_value("alien").run()
    at.button(key="liked.i1").click().run()
    assert not at.exception
    assert at.query_params["liked"] == "i20,i1"
    assert shown(at, "A") == new(shared, "two_tower", ["i20", "i1"], 7)
    said = says(at)
    assert said.count("every new user gets the same list") == 1  # of B alone
    assert not re.search(r"\d hits?\b|held out", said)
    at.multiselect(key="recommend.liked").unselect("i20").run()
    assert at.query_params["liked"] == "i1"
    assert shown(at, "A") == new(shared, "two_tower", ["i1"], 7)


def new(workspace: Workspace, name: str, liked: list[str], k: int = 10) -> list[str]:
    """What a run's model recommends to somebody new."""
    return engine.recommend.open_model(workspace.runs[name]).recommend_new(liked, k=k)["item_id"].tolist()


def test_an_address_of_likes_is_enough(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs=shared.ids("two_tower", "dlrm"), liked="i3,nothing,i2")
    assert "There is no item nothing in this catalogue" in says(at)
    assert [shown(at, letter) for letter in "AB"] == [new(shared, name, ["i3", "i2"]) for name in ("two_tower", "dlrm")]


def test_ids_with_commas_come_back_from_the_address(own: Workspace, visit: Visit) -> None:
    path = own.folder / "datasets" / own.films / "items.parquet"
    pd.read_parquet(path).replace({"item_id": {"i11": "5,a%2Cb"}}).to_parquet(path, index=False)  # the item that is liked most
    at = visit("recommend", runs=own.ids("two_tower"), who="new")
    at.button(key="liked.5,a%2Cb").click().run()
    assert shown(at, "A") == new(own, "two_tower", ["5,a%2Cb"])
    again = visit("recommend", runs=own.ids("two_tower"), liked=at.query_params["liked"])
    assert again.multiselect(key="recommend.liked").value == ["5,a%2Cb"]


def test_titles_in_the_search_are_shown_as_they_are_written(own: Workspace, visit: Visit, says: Says) -> None:
    retitle(own, HOSTILE, "i11")
    both = own.ids("two_tower", "dlrm")
    at = visit("recommend", runs=both, liked="i11,i2")
    assert "&lt;img src=x onerror" in says(at)
    assert not foreign_markup(at)
    at = visit("recommend", runs=both, who="new")
    assert ":red[" not in at.button(key="liked.i11").label


def test_users_are_browsed_one_after_the_other(shared: Workspace, visit: Visit, says: Says) -> None:
    names, ids = ("dlrm", "dcnv2"), shared.ids("dlrm", "dcnv2")
    found = engine.recommend.browse(shared.films, tuple(shared.runs[name] for name in names), "disagree", 5)
    order = found["user_id"].tolist()
    at = visit("recommend", runs=ids, browse="disagree", k="5")
    overlap = words.number(float(found["rank_biased_overlap"].iloc[0]))
    assert f": 1 of {len(order)} · mean rank-biased overlap of the stored lists {overlap}" in says(at)
    assert at.query_params["user"] == order[0]
    assert button(at, "Previous").disabled
    button(at, "Next").click().run()
    assert at.query_params["user"] == order[1]
    assert f"User {order[1]}" in says(at)
    at.pills(key="recommend.browse").set_value("a_not_b").run()
    first = engine.recommend.browse(shared.films, tuple(shared.runs[name] for name in names), "a_not_b", 5)["user_id"].iloc[0]
    assert (at.query_params["browse"], at.query_params["user"]) == ("a_not_b", first)
    at.pills(key="recommend.browse").set_value("search").run()
    assert at.query_params["browse"] == "search"
    assert not at.exception


def test_the_first_user_is_one_for_whom_contenders_differ_and_somebody_hits(shared: Workspace, visit: Visit, says: Says) -> None:
    names = ("two_tower", "dcnv2")
    at = visit("recommend", runs=shared.ids(*names), k="5")
    user = at.query_params["user"]
    lists = [engine.recommend.open_model(shared.runs[name]).recommend(user, k=5) for name in names]
    hits = [int(one["liked"].sum()) for one in lists]
    assert max(hits) > 0 and lists[0]["item_id"].tolist() != lists[1]["item_id"].tolist()
    assert "browse" not in at.query_params and "Lists differ, somebody hits: 1 of" in says(at)


def test_values_of_features_have_their_names_and_numbers_a_heading(shared: Workspace, visit: Visit, says: Says) -> None:
    row = engine.datasets.search_users(shared.films, "7", limit=1).iloc[0]
    known = {"user_id", "row", "interactions", "train_positives", "test_positives"}
    named = {name: value for name, value in row.items() if name not in known and not pd.isna(value)}
    assert named
    said = plainly(says(visit("recommend", runs=shared.ids("two_tower", "dlrm"), user="7")))
    for name, value in named.items():
        assert f"{name.replace('_', ' ')} {value:g}" in said if isinstance(value, (int, float)) else f"{name} {value}" in said
    assert said.count(">score</span>") == 2 and said.count(">likes</span>") == 1  # of popularity


def test_a_shared_address_keeps_its_user_where_browsing_does_not_reach_it(shared: Workspace, visit: Visit, says: Says) -> None:
    ids = shared.ids("dlrm", "dcnv2")
    order = engine.recommend.browse(shared.films, tuple(ids.split(",")), "a_not_b", 10)["user_id"].tolist()
    other = next(str(n) for n in range(1, 41) if str(n) not in order)
    at = visit("recommend", runs=ids, browse="a_not_b", user=other)
    assert f"not among the {len(order)}" in says(at)
    assert f"User {other}" in says(at)


def test_users_who_liked_nothing_in_train_are_browsed(shared: Workspace, visit: Visit) -> None:
    at = visit("recommend", runs=shared.ids("two_tower", "dlrm"), browse="cold")
    assert at.query_params["user"] == "41"  # the one who is met in test alone


def test_nobody_to_browse_is_said(shared: Workspace, visit: Visit) -> None:
    ids = shared.ids("two_tower", "again")
    assert engine.recommend.browse(shared.films, tuple(ids.split(",")), "a_not_b", 10).empty  # two runs of the same lists
    at = visit("recommend", runs=ids, browse="a_not_b")
    assert [one.value for one in at.info] == ["No user matches this order of browsing."]
    assert not [one for one in at.html if "aria-label=" in one.value]


def test_two_contenders_are_needed_to_set_them_against_each_other(shared: Workspace, visit: Visit) -> None:
    at = visit("recommend", runs=shared.ids("dlrm"), browse="a_not_b")
    box = at.pills(key="recommend.browse")
    assert box.options == [*(engine.recommend.BROWSES[by] for by in ("active", "cold")), "Search by id"]
    assert box.value == "search"


def test_lists_that_are_not_here_leave_the_search(own: Workspace, visit: Visit, says: Says) -> None:
    (own.path("dlrm") / "results" / "top_k.parquet").unlink()
    said = says(visit("recommend", runs=own.ids("two_tower", "dlrm"), browse="neither", user="7"))
    assert "are not in this workspace" in said
    assert "User 7" in said


def test_lists_are_compared_by_what_they_share_and_in_which_order(shared: Workspace, visit: Visit, says: Says) -> None:
    first, other = (ranked(shared, name, 5)["item_id"].tolist() for name in ("two_tower", "dcnv2"))
    agreement = words.number(engine.recommend.list_agreement(first, other), 2)
    assert float(agreement) < 0.9
    assert "A ∩ B: 5 of 5, rank-biased overlap 1.00" in says(visit("recommend", runs=shared.ids("two_tower", "again"), user="7", k="5"))
    apart = f"{len({*first} & {*other})} of 5"
    assert f"A ∩ B: {apart}, rank-biased overlap {agreement}" in says(
        visit("recommend", runs=shared.ids("two_tower", "dcnv2"), user="7", k="5")
    )
    at = visit("recommend", runs=shared.ids("two_tower", "again", "dlrm", "dcnv2"), user="7", k="5")
    assert "5 of 5 · 1.00" in says(at) and f"{apart} · {agreement}" in says(at)


@pytest.mark.parametrize("whose", [{"user": "7"}, {"liked": "i2,i3"}])
def test_why_an_item_is_there_is_said_with_its_method(own: Workspace, visit: Visit, says: Says, whose: dict[str, str]) -> None:
    retitle(own, HOSTILE)
    at = visit("recommend", runs=own.ids("two_tower", "dlrm"), k="5", **whose)
    said = says(at)
    because = 0
    for letter, name in zip("AB", ("two_tower", "dlrm"), strict=True):
        model, items = engine.recommend.open_model(own.runs[name]), shown(at, letter)
        why = model.why("7", items) if "user" in whose else model.why_new(["i2", "i3"], items)
        reasons = [*filter(None, why.because), *filter(None, why.parts)]
        assert said.count(f'class="why" title="{words.html(why.method, 400)}"') == len(reasons) > 0
        because += sum(map(bool, why.because))
        for parts in why.parts:
            assert ", ".join(f"{feature} {words.signed(gain, 2)}" for feature, gain in parts.items()) in said
    assert said.count("because: **Bold** :red[x] $a$ &lt;img") == because > 0
    assert len(items) == len(why.parts) == 5  # of the DLRM: what each feature adds
    assert not foreign_markup(at)


def test_filters_of_the_address_hold_for_every_contender(shared: Workspace, visit: Visit, says: Says) -> None:
    names = ("two_tower", "dlrm")
    at = visit("recommend", runs=shared.ids(*names), user="7", genre="Sci-Fi,Opera", likes="12", seen="1", k="10")
    only = Filter(genres=("Sci-Fi",), least_likes=12)
    expected = [ranked(shared, name, exclude_seen=False, only=only) for name in names]
    assert [shown(at, letter) for letter in "AB"] == [frame["item_id"].tolist() for frame in expected]
    assert all(len(frame) < 10 and frame["seen"].any() for frame in expected)
    said = plainly(says(at))
    assert "No other item of Sci-Fi with 12 likes or more is left to recommend" in said
    assert "seen before" in said
    assert at.multiselect(key="recommend.genre").value == ["Sci-Fi"]
    at.multiselect(key="recommend.genre").set_value([]).run()
    at.number_input(key="recommend.likes").set_value(0).run()
    assert "genre" not in at.query_params and "likes" not in at.query_params
    assert shown(at, "B") == ranked(shared, "dlrm", exclude_seen=False)["item_id"].tolist()


def test_an_address_with_nonsense_filters_has_none(shared: Workspace, visit: Visit) -> None:
    at = visit("recommend", runs=shared.ids("two_tower", "dlrm"), user="7", genre="<b>", likes="-5", seen="yes")
    assert [shown(at, letter) for letter in "AB"] == [ranked(shared, name)["item_id"].tolist() for name in ("two_tower", "dlrm")]


def test_a_list_without_items_says_so(own: Workspace, visit: Visit, says: Says) -> None:
    path = own.folder / "datasets" / own.films / "interactions" / "part-0.parquet"
    rows = pd.read_parquet(path)
    everything = rows[rows["split"] == "train"].drop_duplicates("item_id").assign(user_id="7")
    pd.concat([rows, everything]).to_parquet(path, index=False)
    said = says(visit("recommend", runs=own.ids("two_tower", "dlrm"), user="7"))
    assert said.count("Nothing is left to recommend") >= 2
    assert "not in A" not in said


def test_k_may_be_more_than_there_are_items(shared: Workspace, visit: Visit, says: Says) -> None:
    said = says(visit("recommend", runs=shared.ids("two_tower", "dlrm"), user="7", k="50"))
    assert "Nothing else is left to recommend" in said
    assert f"A ∩ B: {len(ranked(shared, 'dlrm', 50))} of 50" in said


def test_a_run_in_the_trash_is_told_from_one_that_never_was(own: Workspace, opened: list[str], visit: Visit, says: Says) -> None:
    engine.runs.trash([own.runs["dlrm"]])
    said = says(visit("recommend", runs=own.ids("two_tower", "dlrm") + ",zzz", user="7"))
    assert "was moved to the trash" in said
    assert "There is no finished run zzz" in said
    assert opened == [own.runs["two_tower"]]


def test_a_funnel_lacks_what_it_did_not_retrieve(shared: Workspace, visit: Visit, says: Says) -> None:
    said = says(visit("recommend", runs=shared.ids("two_tower", "funnel"), user="7", genre="Sci-Fi", likes="12"))
    assert said.count("is left to recommend among what was retrieved") == 1


def test_items_like_one_are_listed_by_its_title(shared: Workspace, opened: list[str], visit: Visit, says: Says) -> None:
    at = visit("recommend", runs=shared.ids("two_tower", "dlrm"), who="item", k="5")
    assert opened == []
    at.text_input(key="recommend.title.item").set_value("film 7").run()
    at.button(key="item.i7").click().run()
    assert not at.exception
    assert (at.query_params["item"], at.query_params["who"]) == ("i7", "item")
    like, method = engine.recommend.open_model(shared.runs["two_tower"]).similar("i7", k=5)
    assert shown(at, "A") == like["item_id"].tolist()
    said = says(at)
    assert words.md(method) in said or method in said
    assert "neither vectors nor weights" in said and "B · DLRM" in said  # in the column of its own
    assert ">similarity</span>" in said and said.count("Film 7") <= 2  # named once over all lists
    assert not at.error  # a ranker has no such space: that is no fault
    assert not re.search(r"\d hits?\b|held out|because", said)


def test_an_unknown_item_is_named(shared: Workspace, opened: list[str], visit: Visit, says: Says) -> None:
    assert "There is no item nothing" in says(visit("recommend", runs=shared.ids("two_tower", "dlrm"), who="item", item="nothing"))
    assert opened == []
