"""Blind votes on the Recommend page: nothing tells whose a list is, and what is said is kept."""

import errno
import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.fake import DATASET, FakeEngine, run

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]


def test_nothing_tells_whose_a_list_is(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", user="7", vote="on")
    assert {"Left", "Right", "Both are good", "Neither"} <= {one.label for one in at.button}
    lists = {side: next(str(one.value) for one in at.html if f'aria-label="{side} list"' in str(one.value)) for side in ("left", "right")}
    for side, shown in lists.items():
        assert shown.count("<li") == 10 and shown.count('<span class="side"></span>') == 10, side  # no score, no move
        assert 'class="why"' not in shown and "✓" not in shown and 'class="hit"' not in shown
    told = says(at) + " ".join(one.label + str(one.help) for one in at.button)
    for name in ("Two-tower", "DLRM", "A ·", "B ·", "because", "held-out like", "Held-out likes"):
        assert name not in re.sub(r"<style>.*?</style>|What each model would show[^.]*\.", "", told, flags=re.DOTALL), name


def test_a_vote_is_kept_and_can_be_taken_back(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", user="7", vote="on", k="5")
    left = at.session_state["vote.question"].left
    at.button(key="vote.left").click().run()
    assert not at.exception
    kept = engine.recommend.votes.list_votes(DATASET)
    assert [(vote.whom, vote.k, vote.runs) for vote in kept] == [("7", 5, ("a", "d"))]
    assert kept[0].runs[0 if kept[0].choice == "first" else 1] == left
    assert "You have voted on every pair of these contenders" in says(at)
    assert "no preference beyond chance" in says(at)  # under the fold
    at.button(key="vote.person").click().run()
    assert at.query_params["user"] != "7" and at.button(key="vote.left")
    at.query_params["user"] = "7"
    at.run()
    assert "Blind votes" in says(visit("compare", runs="a,d"))
    next(one for one in at.button if one.label == "Undo the last vote").click().run()
    assert engine.recommend.votes.list_votes(DATASET) == [] and at.button(key="vote.left")


def test_the_pair_with_the_fewest_votes_comes_next(trained: FakeEngine, visit: Visit) -> None:
    trained.runs.append(run("e", "deepfm"))
    for pair in (("a", "d"), ("a", "e")):
        engine.recommend.votes.cast(DATASET, *pair, "9", 10, "both")
    at = visit("recommend", runs="a,d,e", user="7", vote="on")
    assert {at.session_state["vote.question"].left, at.session_state["vote.question"].right} == {"d", "e"}


def test_lists_that_are_the_same_are_not_asked_about(
    trained: FakeEngine, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:

    one = engine.recommend.open_model("a")
    monkeypatch.setattr(engine.recommend, "open_model", lambda run_id: one)
    at = visit("recommend", runs="a,d", user="7", vote="on")
    assert "Both lists are the same" in says(at) and "Left" not in {one.label for one in at.button}
    at.button(key="vote.next").click().run()
    assert "every pair" in says(at) and engine.recommend.votes.list_votes(DATASET) == []


def test_one_contender_has_nothing_to_be_voted_against(trained: FakeEngine, visit: Visit) -> None:
    at = visit("recommend", runs="a", user="7", vote="on")
    assert "Blind vote" not in {one.label for one in at.toggle} and not at.exception


def test_a_run_that_goes_missing_ends_in_a_message(trained: FakeEngine, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch) -> None:

    def gone(run_id: str) -> object:
        raise LookupError("Run d was deleted.")

    monkeypatch.setattr(engine.recommend, "open_model", gone)
    at = visit("recommend", runs="a,d", user="7", vote="on")
    assert "One of the models cannot be opened" in says(at)


def test_runs_of_one_name_keep_their_own_rows(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs.append(run("e"))  # named as a is
    for pair in (("a", "d"), ("d", "e"), ("a", "e")):
        engine.recommend.votes.cast(DATASET, *pair, "9", 10, "run")
    told = says(visit("recommend", runs="a,e,d", user="7", vote="on"))
    for row in ("Two-tower · a / DLRM", "Two-tower · e / DLRM", "Two-tower · a / Two-tower · e"):
        assert row in told, row


def test_a_vote_that_cannot_be_written_is_told_and_asked_again(
    trained: FakeEngine, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = visit("recommend", runs="a,d", user="7", vote="on")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        at.button(key="vote.left").click().run()
    assert not at.exception and "The vote was not saved" in says(at) and engine.recommend.votes.list_votes(DATASET) == []
    at.button(key="vote.left").click().run()
    assert len(engine.recommend.votes.list_votes(DATASET)) == 1 and "not kept" not in says(at)


def test_a_model_that_cannot_be_opened_is_passed_over(
    trained: FakeEngine, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:

    trained.runs.append(run("e", "deepfm"))
    engine.recommend.votes.cast(DATASET, "a", "e", "9", 10, "both")  # so that a pair with d comes first
    opened = engine.recommend.open_model

    def gone(run_id: str) -> object:
        if run_id == "d":
            raise LookupError("Run d was deleted.")
        return opened(run_id)

    monkeypatch.setattr(engine.recommend, "open_model", gone)
    at = visit("recommend", runs="a,d,e", user="7", vote="on")
    assert "One of the models cannot be opened" in says(at)
    at.button(key="vote.next").click().run()
    at.button(key="vote.next").click().run()  # both pairs with d
    assert {at.session_state["vote.question"].left, at.session_state["vote.question"].right} == {"a", "e"}
