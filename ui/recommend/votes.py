"""Blind votes: two lists for one person without their names, and the tally of votes."""

import random
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

import engine
from engine.compare import Comparison
from engine.runs import Run
from ui.recommend import cards, lists, people
from ui.shared import address, contents, tables, words

QUESTION, LAST, SAME, FAILED = "vote.question", "vote.last", "vote.same", "vote.failed"  # in the session
ANSWERS: dict[str, tuple[str, str, engine.recommend.votes.Prefers]] = {  # label, icon, and the vote with `run` on the left
    "left": ("Left", ":material/arrow_back:", "run"),
    "right": ("Right", ":material/arrow_forward:", "other"),
    "both": ("Both are good", ":material/done_all:", "both"),
    "neither": ("Neither", ":material/block:", "neither"),
}
HEADS = ("left list", "right list")
WILSON = "Share of the votes that one of the two won, with its 95 % interval (Wilson, 1927); “both” and “neither” are not counted."


class Question(NamedTuple):
    """The two lists to choose between: for whom, and which run is on which side."""

    whom: str
    k: int
    filters: str  # in words
    left: str
    right: str


def blind(contenders: Sequence[Run]) -> bool:
    """A toggle for voting, bound to ?vote=on; offered for two contenders or more."""
    if len(contenders) < 2:
        return False
    address.seed("recommend.vote", "vote", address.value("vote") == "on")
    on = st.toggle(
        "Blind vote", key="recommend.vote", help="Shows two of the lists in random order and without names; choose the better one"
    )
    address.remember("recommend.vote", "vote", "on" if on else None)
    return on


def ask(contenders: Sequence[Run], whose: lists.Person, query: lists.Query, k: int) -> None:
    """Two lists for one person, the answers to choose from, and the tally in an expander."""
    dataset, runs = contenders[0].dataset or "", {run.run_id: run for run in contenders}
    whom = query.user if query.user is not None else f"new: {','.join(query.liked)}"
    question = _question(dataset, list(runs), whom, k, query.chosen.description)
    if question is None:
        st.success("You have voted on every pair of these contenders for this user; choose another user.", icon=":material/how_to_vote:")
        if query.user is not None and not address.value("browse"):  # the browsing controls have Next
            st.button("Another user", key="vote.person", icon=":material/shuffle:", on_click=people.draw, args=(dataset, True))
    else:
        _lists(runs, question, whose, query)
    if failed := st.session_state.pop(FAILED, None):
        st.error(failed, icon=":material/error:")
    last = st.session_state.get(LAST)
    if last is not None and last.dataset == dataset:
        st.button("Undo the last vote", icon=":material/undo:", type="tertiary", on_click=_undo, args=(last,))
    with st.expander("Votes so far, with names", icon=":material/how_to_vote:"):
        tally = engine.recommend.votes.tally(dataset, list(runs))
        if tally.empty:
            st.caption("No votes yet.")
        else:
            _table(tally, {run.run_id: run.title for run in contenders}, dataset)


def section(comparison: Comparison) -> None:
    """The tally of votes on the runs of a comparison, where there are any."""
    names = {run: f"{one.letter} {one.name}" for one in comparison.contenders for run in one.run_ids}
    tally = engine.recommend.votes.tally(comparison.dataset, list(names))
    if tally.empty:
        return
    contents.header("Blind votes")
    st.caption("From the Recommend page: two lists side by side, without names.")
    _table(tally, names, comparison.dataset)


def _question(dataset: str, run_ids: list[str], whom: str, k: int, filters: str) -> Question | None:
    """The open question, else a random pair with the fewest votes; None if this person has voted on all."""
    now: Question | None = st.session_state.get(QUESTION)
    if now is not None and (now.whom, now.k, now.filters) == (whom, k, filters) and {now.left, now.right} <= set(run_ids):
        return now
    cast = engine.recommend.votes.list_votes(dataset)
    done = {vote.runs for vote in cast if vote.whom == whom[:2000] and vote.k == k}
    done |= {_pair(one) for one in st.session_state.get(SAME, ()) if (one.whom, one.k, one.filters) == (whom, k, filters)}
    counts = {pair: 0 for a, b in combinations(run_ids, 2) if (pair := (min(a, b), max(a, b))) not in done}
    for vote in cast:
        if vote.runs in counts:
            counts[vote.runs] += 1
    if not counts:
        return None
    rng = random.Random()
    pair = min(counts, key=lambda one: (counts[one], rng.random()))
    sides = list(pair)
    rng.shuffle(sides)
    st.session_state[QUESTION] = question = Question(whom, k, filters, *sides)
    return question


def _lists(runs: dict[str, Run], question: Question, whose: lists.Person, query: lists.Query) -> None:
    tops: list[pd.DataFrame] = []
    for run_id in (question.left, question.right):
        try:
            tops.append(query.rank(lists.opened_model(run_id), question.k))
        except (LookupError, ValueError, OSError) as error:
            st.error(f"One of the models cannot be opened: {words.md(error, 400)}", icon=":material/error:")
            st.button("Next pair", key="vote.next", icon=":material/arrow_forward:", on_click=_pass_over, args=(question,))
            return
    grid = st.grid(3, min_column_width=215, gap="medium")
    with grid.cell():
        lists.before(whose, question.k)
    for head, top in zip(HEADS, tops, strict=True):
        with grid.cell():
            lists.heading(head.capitalize())
            cards.titles(top, head) if len(top) else st.caption("Nothing is left to recommend.")
    if tops[0]["item_id"].tolist() == tops[1]["item_id"].tolist():
        st.info("Both lists are the same.")
        st.button("Next pair", key="vote.next", icon=":material/arrow_forward:", on_click=_pass_over, args=(question,))
        return
    st.markdown("**Which list is better for this person?**")
    with st.container(horizontal=True):
        for answer, (label, icon, _) in ANSWERS.items():
            st.button(label, key=f"vote.{answer}", icon=icon, on_click=_answer, args=(runs[question.left].dataset, question, answer))


def _answer(dataset: str, question: Question, answer: str) -> None:
    try:
        st.session_state[LAST] = engine.recommend.votes.cast(
            dataset, question.left, question.right, question.whom, question.k, ANSWERS[answer][2]
        )
    except OSError as error:
        st.session_state[FAILED] = f"The vote was not saved: {words.md(error, 300)}. Fix this, and vote again."
        return
    st.session_state.pop(QUESTION, None)


def _pass_over(question: Question) -> None:
    st.session_state[SAME] = [*st.session_state.get(SAME, ()), question]
    st.session_state.pop(QUESTION, None)


def _pair(question: Question) -> tuple[str, str]:
    return min(question.left, question.right), max(question.left, question.right)


def _undo(vote: engine.recommend.votes.Vote) -> None:
    try:
        engine.recommend.votes.withdraw(vote)
    except OSError as error:
        st.session_state[FAILED] = f"The vote was not removed: {words.md(error, 300)}. Fix this, and try again."
        return
    st.session_state.pop(LAST, None)
    st.session_state.pop(QUESTION, None)


def _table(tally: pd.DataFrame, names: dict[str, str], dataset: str) -> None:
    """The tally as a table and as a file."""
    short = words.short_names(names)
    alike = list(short.values())  # runs that differ in nothing but the seed share a name: their rows must stay apart
    short = {run: f"{name} · {run[:8]}" if alike.count(name) > 1 else name for run, name in short.items()}
    rows = {f"{short[row['run']]} / {short[row['other']]}": _row(row, short) for row in tally.to_dict("records")}
    heads = ["first", "second", "both", "neither", "first is preferred", "verdict"]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=heads)
    tables.show(tables.small_table(frame, "first / second", tooltips={heads[4]: WILSON}))
    named = tally.assign(run_name=tally["run"].map(names), other_name=tally["other"].map(names), leader_name=tally["leader"].map(names))
    st.download_button(
        "CSV", engine.report.csv_safe(named), f"votes-{dataset}.csv", "text/csv", icon=":material/download:", on_click="ignore"
    )


def _row(row: Mapping[Hashable, Any], short: dict[str, str]) -> list[str]:
    decided = row["run_wins"] + row["other_wins"]
    share = f"{words.percent(row['share'])} ({words.percent(row['low'])} to {words.percent(row['high'])})" if decided else words.DASH
    leader = row["leader"] if isinstance(row["leader"], str) else None
    verdict = f"{words.plain(short[leader], 60)} is preferred" if leader else "no preference beyond chance"
    return [*(words.count(row[name]) for name in ("run_wins", "other_wins", "both", "neither")), share, verdict]
