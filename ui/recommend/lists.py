"""Opened models and their lists side by side, for a user, a new user or an item."""

from collections.abc import Collection
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import streamlit as st

import engine
from engine import compare
from engine.runs import Run
from ui.recommend import cards, filters
from ui.shared import tables, words

if TYPE_CHECKING:  # these bring PyTorch
    from engine.recommend import Explanation, Recommender

DEPTH = 200  # length of the first list, to which ranks are compared
HISTORY = 12
RANK_BIASED = (
    "Rank-biased overlap (Webber, Moffat, Zobel, 2010; persistence 0.9): 1 for the same items in the same order, 0 for none in common; "
    "the top of the lists has the largest weight."
)
ITEM = "Similar to"  # over the item that lists are for
NOTHING = pd.DataFrame(columns=["rank", "item_id", "title", "genres", "score", "liked"])
FEW = 3  # lists whose overlaps are read in one line


class List(NamedTuple):
    """What one contender recommends."""

    letter: str
    name: str
    look: compare.Look
    frame: pd.DataFrame  # rank, item_id, title, genres, score, liked
    note: str = ""  # a remark on the whole list
    method: str = ""  # how the explanations in the column `why` were computed
    funnel: bool = False  # it contains retrieved items only
    apart: str = ""  # why the contender has no list


class Person(NamedTuple):
    """Likes of a person, by split. Frames as in `engine.datasets.user_interactions`; a new user has `before` only."""

    before: pd.DataFrame
    valid: pd.DataFrame | None = None  # where models do not know it before test
    after: pd.DataFrame | None = None
    title: str = "Likes"


def same_dataset(runs: list[Run]) -> list[Run]:
    """The runs on the first one's dataset whose results are what they wrote; a warning names the others."""
    changed = {run.run_id: why for run in runs if (why := engine.runs.damage_of(run.run_id)) is not None}
    for run in runs:
        if run.run_id in changed:
            st.warning(f"**{words.md(run.title)}** is left out: {words.md(changed[run.run_id], 400)}")
    runs = [run for run in runs if run.run_id not in changed]
    together = [run for run in runs if run.dataset == runs[0].dataset]
    for run in runs:
        if run not in together:
            st.warning(
                f"**{words.md(run.title)}** is left out: it was trained on another dataset, {words.md(run.dataset_name or run.dataset)}."
            )
    return together


@st.cache_resource(
    max_entries=compare.MOST_LOOKS, show_spinner="Opening the model: importing PyTorch, reading its checkpoint, encoding the catalogue …"
)
def opened_model(run_id: str) -> "Recommender":
    return engine.recommend.open_model(run_id)


class Query(NamedTuple):
    """What lists are for: a user of the dataset, a new user with some likes, or an item to find similar ones to."""

    chosen: filters.Chosen
    user: str | None = None
    liked: tuple[str, ...] = ()
    item: str | None = None

    def rank(self, model: "Recommender", k: int) -> pd.DataFrame:
        only = self.chosen.only
        if self.item is not None:
            return model.similar(self.item, k=k, only=only)[0]
        if self.user is None:
            return model.recommend_new(list(self.liked), k=k, only=only)
        return model.recommend(self.user, k=k, exclude_seen=self.chosen.exclude_seen, only=only)

    def why(self, model: "Recommender", items: list[str]) -> "Explanation":
        return model.why_new(list(self.liked), items) if self.user is None else model.why(self.user, items)

    def note(self, run: Run, model: "Recommender") -> str:
        """A remark on the whole list; empty for none."""
        if self.item is not None:
            return model.similar(self.item, k=1)[1]
        if self.user is not None or model.tells_newcomers_apart:
            return ""
        return "The same list for everybody." if run.model == "popularity" else "Reads no history: every new user gets the same list."


def lists(runs: list[Run], query: Query, k: int, popular: pd.DataFrame | None) -> list[List]:
    """Each contender's list for a query; the first is longer, so that ranks can be compared with it.

    A model that cannot be opened is named with the reason and left out.

    Args:
        popular: the list of the popularity baseline, where it is shown.
    """
    columns: list[List] = []
    short = words.short_names({run.run_id: run.title for run in runs})
    for at, run in enumerate(runs):
        try:
            model = opened_model(run.run_id)
            frame = query.rank(model, k if any(not one.apart for one in columns) else max(k, DEPTH))
            why = query.why(model, frame["item_id"].head(k).tolist()) if query.item is None else None
        except (LookupError, ValueError, OSError) as error:
            if query.item is not None:  # a ranker has no space of items: its column says so
                columns.append(List(chr(65 + at), short[run.run_id], compare.look(at), NOTHING, apart=words.md(error, 400)))
            else:
                st.error(f"{words.md(run.title, 60)}: {words.md(error, 400)}", icon=":material/error:")
            continue
        texts = _explanations(why) if why else []
        frame = frame.assign(why=[*texts, *[""] * (len(frame) - len(texts))])
        method, funnel = why.method if why else "", run.model == "funnel" and query.item is None
        columns.append(List(chr(65 + at), short[run.run_id], compare.look(at), frame, query.note(run, model), method, funnel))
    if popular is not None:
        columns.append(List("pop", "Popularity (baseline)", compare.look(len(runs), baseline=True), popular))
    return columns


def _explanations(why: "Explanation") -> list[str]:
    """Explanations in words: because: Alien, Aliens; or history +0.35, user −0.13."""
    if why.parts:
        return [", ".join(f"{name} {words.signed(gain, 2)}" for name, gain in parts.items()) for parts in why.parts]
    return [f"because: {', '.join(words.plain(title, 40) for title in titles)}" if titles else "" for titles in why.because]


def popular(dataset: str, k: int, chosen: filters.Chosen, seen: set[str], liked: set[str]) -> pd.DataFrame:
    """The most liked training items that pass the filters, without those seen; `liked`: what counts as a hit."""
    top = engine.recommend.search_items(dataset, limit=k, without=list(seen) if chosen.exclude_seen else (), only=chosen.only)
    return top.assign(
        rank=range(1, len(top) + 1), score=top["train_positives"], seen=top["item_id"].isin(seen), liked=top["item_id"].isin(liked)
    )


def person(interactions: pd.DataFrame, known: Collection[str]) -> Person:
    """A user of the dataset, by their likes. known: splits that models know of the user, `Dataset.known_at_test`."""
    liked = interactions[interactions["label"] > 0]
    before, after = liked[liked["split"].isin(known)], liked[liked["split"] == "test"]
    return Person(before, None if "valid" in known else liked[liked["split"] == "valid"], after)


def side_by_side(whose: Person, columns: list[List], k: int, chosen: filters.Chosen) -> None:
    """The person's likes first, then one column per contender, and the agreement of the lists."""
    _overlaps(columns, k, None if whose.after is None else len(whose.after))
    many = len(columns) > FEW  # then the person's own lists get the length of the others, so that the grid has no holes
    shown = max(5, k) if many else HISTORY
    item = whose.title == ITEM  # named over the lists, which then are beside each other
    own = 0 if item else 1 if whose.after is None or not many else 2
    grid = st.grid(min(6, own + len(columns)) or 1, min_column_width=195, gap="medium")
    if not item:
        cell = grid.cell()
        if whose.after is not None:
            with cell:
                _held_out(whose.after, whose.valid, shown)
        with grid.cell() if many and whose.after is not None else cell:
            before(whose, shown)
    first = next((one for one in columns if not one.apart), None)
    ranks = {} if first is None else dict(zip(first.frame["item_id"], first.frame["rank"].astype(int), strict=True))
    for one in columns:
        with grid.cell():
            if first is None or one.apart:
                heading(f"{one.letter} · {one.name}", "", one.look)
                st.caption(one.apart)
                continue
            top = one.frame.head(k)
            hits = int(top["liked"].sum())
            name = one.name if one.letter == "pop" else f"{one.letter} · {one.name}"
            heading(name, "" if whose.after is None else f"{hits} {'hit' if hits == 1 else 'hits'}", one.look)
            if one.note:
                st.caption(one.note)
            if len(top) < k:
                st.caption(_why_short(one, len(top), chosen))
            moves, over = None if one is first or not ranks else ranks, "similarity" if item else "score"
            label, counts = f"Top {k} of {name}", one.letter == "pop"
            cards.recommendations(top, label, moves, first.letter, len(ranks), counts=counts, method=one.method, over=over)


def before(whose: Person, shown: int) -> None:
    """What a person liked before test, at most `shown` items."""
    heading("Liked before" if whose.after is not None else whose.title, words.count(len(whose.before)))
    _some(whose.before, "what the user liked before", "No likes before test: models treat this user as new.", shown)


def _why_short(one: List, listed: int, chosen: filters.Chosen) -> str:
    """Why a list is shorter than k."""
    among = " among what was retrieved" if one.funnel else ""
    if chosen.description:
        return f"No {'other ' if listed else ''}item {words.md(chosen.description, 200)} is left to recommend{among}."
    return f"Nothing {'else ' if listed else ''}is left to recommend{among}."


def _held_out(after: pd.DataFrame, valid: pd.DataFrame | None, shown: int) -> None:
    heading("Held-out likes", words.count(len(after)))
    _some(after, "held-out likes of the user", "No held-out likes in the test split.", shown)
    if valid is not None and len(valid):  # not counted as hits: they served to choose the epoch
        with st.expander(f"{len(valid)} more in validation"):
            cards.interactions(valid.head(300), "what the user liked in validation")


def heading(name: str, count: str = "", drawn: compare.Look | None = None) -> None:
    """The heading of a list of items; a contender's has its glyph."""
    glyph = f'<span style="color:{drawn.color}" aria-hidden="true">{drawn.glyph}</span> ' if drawn else ""
    st.html(f'<div class="rb of"><h3>{glyph}{words.html(name, 60)}</h3> <span class="dim">{words.html(count)}</span></div>')


def _some(frame: pd.DataFrame, label: str, none: str, shown: int) -> None:
    if frame.empty:
        st.caption(none)
        return
    cards.interactions(frame.head(shown), label)
    if len(frame) > shown:
        with st.expander(f"{len(frame) - shown} more"):
            cards.interactions(frame.iloc[shown : shown + 300], f"more of {label}")


def _overlaps(columns: list[List], k: int, held_out: int | None) -> None:
    """Shared items and rank-biased overlap of each two lists: one line for few lists, a folded table for many."""
    tops = {one.letter: one.frame["item_id"].head(k).tolist() for one in columns if not one.apart}
    shared = {(a, b): f"{len(set(tops[a]) & set(tops[b]))} of {k}" for a, b in combinations(tops, 2)}
    ranked = {(a, b): words.number(engine.recommend.list_agreement(tops[a], tops[b]), 2) for a, b in shared}
    marks = [] if held_out is None else [f"✓ marks later likes of the user ({held_out} held out)"]
    if len(columns) <= FEW:
        pairs = [f"{a} ∩ {b}: {both}, rank-biased overlap {ranked[a, b]}" for (a, b), both in shared.items()]
        if marks or pairs:
            st.caption(" · ".join([*marks, *pairs]), help=RANK_BIASED if pairs else None)
        return
    if marks:
        st.caption(marks[0])
    with st.expander("Agreement of the lists"):
        both = {pair: f"{shared[pair]} · {ranked[pair]}" for pair in shared}
        cells = [[words.DASH if a == b else both.get((a, b), both.get((b, a), "")) for b in tops] for a in tops]
        frame = pd.DataFrame(cells, index=[f"{one.letter} {one.name}" for one in columns if not one.apart], columns=list(tops))
        tables.show(tables.small_table(frame, "items in both · rank-biased overlap"))
        st.caption(RANK_BIASED)
