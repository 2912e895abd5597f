"""Blind votes on the Recommend page: nothing tells whose a list is, and what is said is kept."""

import errno
import re
import shutil

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.reading import Says, Visit, plainly
from tests.workspace import Workspace


def test_nothing_tells_whose_a_list_is(own: Workspace, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs=own.ids("two_tower", "dlrm"), user="7", vote="on")
    assert {"Left", "Right", "Both are good", "Neither"} <= {one.label for one in at.button}
    lists = {side: next(str(one.value) for one in at.html if f'aria-label="{side} list"' in str(one.value)) for side in ("left", "right")}
    for side, shown in lists.items():
        assert shown.count("<li") == 10 and shown.count('<span class="side"></span>') == 10, side  # no score, no move
        assert 'class="why"' not in shown and "✓" not in shown and 'class="hit"' not in shown
    told = says(at) + " ".join(one.label + str(one.help) for one in at.button)
    for name in ("Two-tower", "DLRM", "A ·", "B ·", "because", "held-out like", "Held-out likes"):
        assert name not in re.sub(r"<style>.*?</style>|What each model would show[^.]*\.", "", told, flags=re.DOTALL), name


def test_a_vote_is_kept_and_can_be_taken_back(own: Workspace, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs=own.ids("two_tower", "dlrm"), user="7", vote="on", k="5")
    left = at.session_state["vote.question"].left
    at.button(key="vote.left").click().run()
    assert not at.exception
    kept = engine.recommend.votes.list_votes(own.films)
    assert [(vote.whom, vote.k, set(vote.runs)) for vote in kept] == [("7", 5, {own.runs["two_tower"], own.runs["dlrm"]})]
    assert kept[0].runs[0 if kept[0].choice == "first" else 1] == left
    assert "Vote 2 of 10" in says(at)
    assert at.query_params["user"] != "7" and at.button(key="vote.left")  # one click a vote: the next user is asked about
    at.query_params["user"] = "7"
    at.run()
    assert "You have voted on every pair of these contenders" in says(at)
    assert "Blind votes" in says(visit("compare", runs=own.ids("two_tower", "dlrm")))
    next(one for one in at.button if one.label == "Undo the last vote").click().run()
    assert engine.recommend.votes.list_votes(own.films) == [] and at.button(key="vote.left")


def test_names_are_shown_at_the_end_of_a_round(own: Workspace, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs=own.ids("two_tower", "dlrm"), browse="active", user="7", vote="on", k="5")
    users, won = [at.query_params["user"]], {own.runs["two_tower"]: 0, own.runs["dlrm"]: 0}
    for _ in range(10):
        assert "Two-tower" not in re.sub(r"<style>.*?</style>", "", says(at), flags=re.DOTALL)
        won[at.session_state["vote.question"].left] += 1
        at.button(key="vote.left").click().run()
        users.append(at.query_params["user"])
    assert not at.exception and len(set(users)) == 11
    told = plainly(says(at))
    assert f"**A Two-tower** {won[own.runs['two_tower']]} · **B DLRM** {won[own.runs['dlrm']]} · both 0 · neither 0" in told
    assert "is preferred" in told or "no preference beyond chance" in told  # of all votes
    at.button(key="vote.again").click().run()
    assert "Vote 1 of 10" in says(at)
    at.button(key="vote.both").click().run()
    at.button(key="vote.end").click().run()
    assert "both 1" in says(at)  # a round may end early


def test_the_pair_with_the_fewest_votes_comes_next(own: Workspace, visit: Visit) -> None:
    first, *others = (own.runs[name] for name in ("two_tower", "dlrm", "deepfm"))
    for other in others:
        engine.recommend.votes.cast(own.films, first, other, "9", 10, "both")
    at = visit("recommend", runs=own.ids("two_tower", "dlrm", "deepfm"), user="7", vote="on")
    assert sides(at) == set(others)


def sides(at: AppTest) -> set[str]:
    """The two runs that are asked about."""
    question = at.session_state["vote.question"]
    return {question.left, question.right}


def test_lists_that_are_the_same_are_not_asked_about(own: Workspace, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs=own.ids("two_tower", "again"), user="7", vote="on")
    assert "Both lists are the same" in says(at) and "Left" not in {one.label for one in at.button}
    at.button(key="vote.next").click().run()
    assert "every pair" in says(at) and engine.recommend.votes.list_votes(own.films) == []


def test_one_contender_has_nothing_to_be_voted_against(own: Workspace, visit: Visit) -> None:
    at = visit("recommend", runs=own.ids("two_tower"), user="7", vote="on")
    assert "Blind vote" not in {one.label for one in at.toggle} and not at.exception


def test_a_run_that_goes_missing_ends_in_a_message(own: Workspace, visit: Visit, says: Says) -> None:
    for name in ("two_tower", "dlrm"):
        shutil.rmtree(own.path(name))
    at = visit("recommend", runs=own.ids("two_tower", "dlrm"), user="7", vote="on")
    assert "One of the models cannot be opened" in says(at)


def test_runs_of_one_name_keep_their_own_rows(own: Workspace, visit: Visit, says: Says) -> None:
    first, again, ranker = (own.runs[name] for name in ("two_tower", "again", "dlrm"))
    for pair in ((first, ranker), (ranker, again), (first, again)):
        engine.recommend.votes.cast(own.films, *pair, "9", 10, "run")
    at = visit("recommend", runs=",".join((first, again, ranker)), user="7", vote="on")
    while at.session_state["vote.question"] and "Left" not in {one.label for one in at.button}:
        at.button(key="vote.next").click().run()  # two of them have the same lists
    at.button(key="vote.both").click().run()
    at.button(key="vote.end").click().run()
    told = says(at)
    for row in (f"Two-tower · {first[:8]} / DLRM", f"Two-tower · {again[:8]} / DLRM", f"Two-tower · {first[:8]} / Two-tower · {again[:8]}"):
        assert row in told, row


def test_a_vote_that_cannot_be_written_is_told_and_asked_again(
    own: Workspace, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = visit("recommend", runs=own.ids("two_tower", "dlrm"), user="7", vote="on")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        at.button(key="vote.left").click().run()
    assert not at.exception and "The vote was not saved" in says(at) and engine.recommend.votes.list_votes(own.films) == []
    at.button(key="vote.left").click().run()
    assert len(engine.recommend.votes.list_votes(own.films)) == 1 and "not kept" not in says(at)


def test_a_model_that_cannot_be_opened_is_passed_over(own: Workspace, visit: Visit, says: Says) -> None:
    first, gone, other = (own.runs[name] for name in ("two_tower", "dlrm", "deepfm"))
    engine.recommend.votes.cast(own.films, first, other, "9", 10, "both")  # so that a pair with the one that is gone comes first
    shutil.rmtree(own.path("dlrm") / "checkpoint")
    at = visit("recommend", runs=own.ids("two_tower", "dlrm", "deepfm"), user="7", vote="on")
    assert "One of the models cannot be opened" in says(at) and gone in sides(at)
    at.button(key="vote.next").click().run()
    at.button(key="vote.next").click().run()  # both pairs with it
    assert sides(at) == {first, other}
