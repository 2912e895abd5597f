"""Blind votes: two lists for one person without a word of whose they are, and what was voted so far."""

import random
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

import engine
from ui.recommend import cards, lists, people
from ui.shared import address, tables, words

QUESTION, LAST, SAME, FAILED = "vote.question", "vote.last", "vote.same", "vote.failed"  # in the session
ANSWERS: dict[str, tuple[str, str, Any]] = {  # label, icon, and what it says of the runs left and right
    "left": ("Left", ":material/arrow_back:", "run"),
    "right": ("Right", ":material/arrow_forward:", "other"),
    "both": ("Both are good", ":material/done_all:", "both"),
    "neither": ("Neither", ":material/block:", "neither"),
}
HEADS = ("left list", "right list")
WILSON = "Share of the votes that one of the two won, with its 95 % interval (Wilson, 1927); both and neither are not counted."


class Question(NamedTuple):
    """What is asked: for whom, and which run's list stands on which side."""

    whom: str
    k: int
    said: str  # the filters
    left: str
    right: str


def blind(contenders: Sequence[Any]) -> bool:
    """Whether lists are to be voted on, bound to ?vote=on; offered where there are two to choose between."""
    if len(contenders) < 2:
        return False
    address.seed("recommend.vote", "vote", address.value("vote") == "on")
    on = st.toggle(
        "Blind vote", key="recommend.vote", help="Two of the lists, in no order and without names: say which one you would rather have"
    )
    address.remember("recommend.vote", "vote", "on" if on else None)
    return on


def ask(contenders: Sequence[Any], whose: lists.Person, asked: lists.Asked, k: int) -> None:
    """Two lists of one person, what is thought of them, and the tally under a fold."""
    dataset, runs = contenders[0].dataset, {run.run_id: run for run in contenders}
    whom = asked.user if asked.user is not None else f"new: {','.join(asked.liked)}"
    question = _question(dataset, list(runs), whom, k, asked.chosen.said)
    if question is None:
        st.success("Every pair of these contenders is voted on for this person; choose another one.", icon=":material/how_to_vote:")
        if asked.user is not None and not address.value("browse"):  # who browses has Next above
            st.button("Another person", key="vote.person", icon=":material/shuffle:", on_click=people.draw, args=(dataset, True))
    else:
        _lists(runs, question, whose, asked)
    if failed := st.session_state.pop(FAILED, None):
        st.error(failed, icon=":material/error:")
    last = st.session_state.get(LAST)
    if last is not None and last.dataset == dataset:
        st.button("Take the last vote back", icon=":material/undo:", type="tertiary", on_click=_undo, args=(last,))
    with st.expander("What was voted so far: names are shown here", icon=":material/how_to_vote:"):
        shown = engine.recommend.votes.tally(dataset, list(runs))
        if shown.empty:
            st.caption("Nothing yet.")
        else:
            _table(shown, {run.run_id: run.title for run in contenders}, dataset)


def section(comparison: Any) -> None:
    """What was voted on the runs of a comparison, where there are votes."""
    names = {run: f"{one.letter} {one.name}" for one in comparison.contenders for run in one.run_ids}
    found = engine.recommend.votes.tally(comparison.dataset, list(names))
    if found.empty:
        return
    st.subheader("What people preferred", anchor=False)
    st.caption("Blind votes from the Recommend page: two lists side by side, without names.")
    _table(found, names, comparison.dataset)


def _question(dataset: str, run_ids: list[str], whom: str, k: int, said: str) -> Question | None:
    """The one that is open, else the pair with the fewest votes that this person was not asked about, in no order; None: all were."""
    now: Question | None = st.session_state.get(QUESTION)
    if now is not None and (now.whom, now.k, now.said) == (whom, k, said) and {now.left, now.right} <= set(run_ids):
        return now
    cast = engine.recommend.votes.list_votes(dataset)
    done = {vote.runs for vote in cast if vote.whom == whom[:2000] and vote.k == k}
    done |= {_pair(one) for one in st.session_state.get(SAME, ()) if (one.whom, one.k, one.said) == (whom, k, said)}
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
    st.session_state[QUESTION] = found = Question(whom, k, said, *sides)
    return found


def _lists(runs: dict[str, Any], question: Question, whose: lists.Person, asked: lists.Asked) -> None:
    tops: list[pd.DataFrame] = []
    for run_id in (question.left, question.right):
        try:
            tops.append(asked.rank(lists.opened(run_id), question.k))
        except (LookupError, ValueError, OSError) as error:
            st.error(f"One of the models cannot be opened: {words.md(error, 400)}", icon=":material/error:")
            st.button("Next pair", key="vote.next", icon=":material/arrow_forward:", on_click=_pass_over, args=(question,))
            return
    grid = st.grid(3, min_column_width=215, gap="medium")
    with grid.cell():
        lists.before(whose, question.k)
    for head, top in zip(HEADS, tops, strict=True):
        with grid.cell():
            st.markdown(f"**{head.capitalize()}**")
            cards.titles(top, head) if len(top) else st.caption("Nothing is left to recommend.")
    if tops[0]["item_id"].tolist() == tops[1]["item_id"].tolist():
        st.info("Both lists are the same, so there is nothing to choose.")
        st.button("Next pair", key="vote.next", icon=":material/arrow_forward:", on_click=_pass_over, args=(question,))
        return
    st.markdown("**Which list would this person rather have?**")
    with st.container(horizontal=True):
        for answer, (label, icon, _) in ANSWERS.items():
            st.button(label, key=f"vote.{answer}", icon=icon, on_click=_answer, args=(runs[question.left].dataset, question, answer))


def _answer(dataset: str, question: Question, answer: str) -> None:
    try:
        st.session_state[LAST] = engine.recommend.votes.cast(
            dataset, question.left, question.right, question.whom, question.k, ANSWERS[answer][2]
        )
    except OSError as error:
        st.session_state[FAILED] = f"The vote was not kept: {words.md(error, 300)}. Mend that, and vote again."
        return
    st.session_state.pop(QUESTION, None)


def _pass_over(question: Question) -> None:
    st.session_state[SAME] = [*st.session_state.get(SAME, ()), question]
    st.session_state.pop(QUESTION, None)


def _pair(question: Question) -> tuple[str, str]:
    return min(question.left, question.right), max(question.left, question.right)


def _undo(vote: Any) -> None:
    try:
        engine.recommend.votes.withdraw(vote)
    except OSError as error:
        st.session_state[FAILED] = f"The vote was not taken back: {words.md(error, 300)}. Mend that, and try again."
        return
    st.session_state.pop(LAST, None)
    st.session_state.pop(QUESTION, None)


def _table(found: pd.DataFrame, names: dict[str, str], dataset: str) -> None:
    """The tally in words, and as a file."""
    short = words.short_names(names)
    alike = list(short.values())  # runs that differ in their seed, or in nothing, have one name: rows must not fall together
    short = {run: f"{name} · {run[:8]}" if alike.count(name) > 1 else name for run, name in short.items()}
    rows = {f"{short[row['run']]} / {short[row['other']]}": _row(row, short) for row in found.to_dict("records")}
    heads = ["first", "second", "both", "neither", "first is preferred", "so far"]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=heads)
    tables.show(tables.small_table(frame, "first / second", told={heads[4]: WILSON}))
    told = found.assign(run_name=found["run"].map(names), other_name=found["other"].map(names), leader_name=found["leader"].map(names))
    st.download_button(
        "CSV", engine.report.csv_safe(told), f"votes-{dataset}.csv", "text/csv", icon=":material/download:", on_click="ignore"
    )


def _row(row: dict[str, Any], short: dict[str, str]) -> list[str]:
    decided = row["run_wins"] + row["other_wins"]
    share = f"{words.percent(row['share'])} ({words.percent(row['low'])} to {words.percent(row['high'])})" if decided else words.DASH
    leader = row["leader"] if isinstance(row["leader"], str) else None
    said = f"{words.plain(short[leader], 60)} is preferred" if leader else "no preference beyond chance"
    return [*(words.count(row[name]) for name in ("run_wins", "other_wins", "both", "neither")), share, said]
