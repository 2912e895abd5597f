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
ROUND, OVER = "vote.round", "vote.over"  # in the session: the votes of this round, and whether its names are shown
LENGTH = 10  # votes of a round
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
    cast = _cast(runs)
    if len(cast) >= LENGTH or (cast and st.session_state.get(OVER)):
        _reveal(contenders, cast, dataset)
        return
    whom = query.user if query.user is not None else f"new: {','.join(query.liked)}"
    question = _question(dataset, list(runs), whom, k, query.chosen.description)
    if question is None:
        st.success("You have voted on every pair of these contenders for this user; choose another user.", icon=":material/how_to_vote:")
        if query.user is not None:
            args = (query.user, _done(dataset, list(runs), k))
            st.button("Next user", key="vote.person", icon=":material/arrow_forward:", on_click=people.following, args=args)
    else:
        _lists(runs, question, whose, query, len(cast))
    if failed := st.session_state.pop(FAILED, None):
        st.error(failed, icon=":material/error:")
    last = st.session_state.get(LAST)
    with st.container(horizontal=True):
        if last is not None and last.dataset == dataset:
            st.button("Undo the last vote", icon=":material/undo:", type="tertiary", on_click=_undo, args=(last,))
        if cast:
            st.button("End the round and show names", key="vote.end", icon=":material/visibility:", type="tertiary", on_click=_end)


def _cast(runs: Mapping[str, Run]) -> list[engine.recommend.votes.Vote]:
    """The votes of this round; a round is of the contenders that are shown."""
    return [vote for vote in st.session_state.get(ROUND, ()) if set(vote.runs) <= set(runs)]


def _reveal(contenders: Sequence[Run], cast: Sequence[engine.recommend.votes.Vote], dataset: str) -> None:
    """Whose lists were preferred: in this round, and in all votes."""
    names, counts = words.short_names({run.run_id: run.title for run in contenders}), {"both": 0, "neither": 0}
    won = {run.run_id: 0 for run in contenders}
    for vote in cast:
        if vote.choice in counts:
            counts[vote.choice] += 1
        else:
            won[vote.runs[0 if vote.choice == "first" else 1]] += 1
    st.header("Whose lists these were", anchor=False)
    said = [f"**{chr(65 + at)} {words.md(names[run], 60)}** {words.count(won[run])}" for at, run in enumerate(won)]
    st.markdown(f"Preferred in this round of {len(cast)}: " + " · ".join(said) + f" · both {counts['both']} · neither {counts['neither']}.")
    st.button("Start another round", key="vote.again", type="primary", icon=":material/replay:", on_click=_again)
    st.header("All votes on these contenders", anchor=False)
    _table(engine.recommend.votes.tally(dataset, list(names)), {run.run_id: run.title for run in contenders}, dataset)


def _end() -> None:
    st.session_state[OVER] = True


def _again() -> None:
    """A round begins without votes; the vote before it can no longer be undone, since its names are known."""
    for key in (ROUND, OVER, LAST):
        st.session_state.pop(key, None)


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


def _lists(runs: dict[str, Run], question: Question, whose: lists.Person, query: lists.Query, cast: int) -> None:
    """The answers first, so that they stay where they are from vote to vote, then the two lists."""
    answers = st.container()
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
    with answers, st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Which list is better for this person?**", width="content")
        for answer, (label, icon, _) in ANSWERS.items():
            st.button(label, key=f"vote.{answer}", icon=icon, on_click=_answer, args=(list(runs.values()), question, answer))
        st.caption(f"Vote {cast + 1} of {LENGTH}; then the names are shown.", width="content")


def _answer(runs: list[Run], question: Question, answer: str) -> None:
    """Keep a vote, and go on to the next user: a click a vote."""
    dataset = runs[0].dataset or ""
    try:
        vote = engine.recommend.votes.cast(dataset, question.left, question.right, question.whom, question.k, ANSWERS[answer][2])
    except OSError as error:
        st.session_state[FAILED] = f"The vote was not saved: {words.md(error, 300)}. Fix this, and vote again."
        return
    st.session_state[LAST] = vote
    st.session_state[ROUND] = [*st.session_state.get(ROUND, ()), vote]
    st.session_state.pop(QUESTION, None)
    if not question.whom.startswith("new: "):
        people.following(question.whom, _done(dataset, [run.run_id for run in runs], question.k))


def _done(dataset: str, run_ids: list[str], k: int) -> set[str]:
    """Users on whom every pair of these runs was voted."""
    pairs = {(min(pair), max(pair)) for pair in combinations(run_ids, 2)}
    asked: dict[str, set[tuple[str, str]]] = {}
    for vote in engine.recommend.votes.list_votes(dataset):
        if vote.k == k:
            asked.setdefault(vote.whom, set()).add(vote.runs)
    return {whom for whom, seen in asked.items() if pairs <= seen}


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
    st.session_state[ROUND] = [one for one in st.session_state.get(ROUND, ()) if one != vote]
    if vote.whom in st.session_state.get(people.ORDER, ()):
        st.query_params["user"] = vote.whom


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
