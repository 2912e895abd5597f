"""The Recommend page's parts: finding a user, opening models, lists side by side."""

from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

import engine
from engine import compare
from ui.recommend import cards, filters
from ui.shared import tables, words

DEPTH = 200  # how far down the first list rank moves are told
HISTORY = 12
RANK_BIASED = (
    "Rank-biased overlap (Webber, Moffat, Zobel, 2010; persistence 0.9): 1 for the same items in the same order, 0 for none in common; "
    "the top of the lists weighs most."
)
FEW = 3  # lists whose overlaps are read in one line


class List(NamedTuple):
    """What one contender recommends."""

    letter: str
    name: str
    look: compare.Look
    frame: pd.DataFrame  # rank, item_id, title, genres, score, liked
    note: str = ""  # what a reader must know of the whole list
    method: str = ""  # how the reasons in the column `why` were found
    funnel: bool = False  # only what was retrieved can stand in it


class Person(NamedTuple):
    """Whom lists are for. Frames as in `engine.user_interactions`; of somebody new there is nothing but `before`."""

    before: pd.DataFrame
    valid: pd.DataFrame | None = None
    after: pd.DataFrame | None = None
    title: str = "Likes"


def same_dataset(runs: list[Any]) -> list[Any]:
    """The runs on the first one's dataset; the others are named, not dropped in silence."""
    together = [run for run in runs if run.dataset == runs[0].dataset]
    for run in runs:
        if run not in together:
            st.warning(f"**{words.md(run.title)}** knows other users: it was trained on {words.md(run.dataset_name or run.dataset)}.")
    return together


@st.cache_resource(
    max_entries=compare.MOST_LOOKS, show_spinner="Opening the model: importing PyTorch, reading its checkpoint, encoding the catalogue …"
)
def opened(run_id: str) -> Any:
    return engine.recommend.open_model(run_id)


class Asked(NamedTuple):
    """For whom lists are: a user of the data, or somebody new with some likes; or the item that others are to be like."""

    chosen: filters.Chosen
    user: str | None = None
    liked: tuple[str, ...] = ()
    item: str | None = None

    def rank(self, model: Any, k: int) -> pd.DataFrame:
        only = self.chosen.only
        if self.item is not None:
            return model.similar(self.item, k=k, only=only)[0]
        if self.user is None:
            return model.recommend_new(list(self.liked), k=k, only=only)
        return model.recommend(self.user, k=k, exclude_seen=self.chosen.exclude_seen, only=only)

    def why(self, model: Any, items: list[str]) -> Any:
        return model.why_new(list(self.liked), items) if self.user is None else model.why(self.user, items)

    def note(self, run: Any, model: Any) -> str:
        """What a reader must know of the whole list."""
        if self.item is not None:
            return model.similar(self.item, k=1)[1]
        if self.user is not None or model.tells_newcomers_apart:
            return ""
        return (
            "The same list for everybody." if run.model == "popularity" else "Reads no history: it cannot tell one newcomer from another."
        )


def lists(runs: list[Any], asked: Asked, k: int, popular: pd.DataFrame | None) -> list[List]:
    """What each contender would show one person; the first is read deeper, so that rank moves can be told.

    A model that cannot be opened is named with the reason and has no list.

    Args:
        popular: the list of the popularity baseline, where it is shown.
    """
    found: list[List] = []
    short = words.short_names({run.run_id: run.title for run in runs})
    for at, run in enumerate(runs):
        try:
            model = opened(run.run_id)
            frame = asked.rank(model, k if found else max(k, DEPTH))
            why = asked.why(model, frame["item_id"].head(k).tolist()) if asked.item is None else None
        except (LookupError, ValueError, OSError) as error:
            said = f"{words.md(run.title, 60)}: {words.md(error, 400)}"
            st.caption(said) if asked.item is not None else st.error(said, icon=":material/error:")
            continue
        told = _told(why) if why else []
        frame = frame.assign(why=[*told, *[""] * (len(frame) - len(told))])
        method, funnel = why.method if why else "", run.model == "funnel" and asked.item is None
        found.append(List(chr(65 + at), short[run.run_id], compare.look(at), frame, asked.note(run, model), method, funnel))
    if popular is not None:
        found.append(List("pop", "Popularity (baseline)", compare.look(len(runs), baseline=True), popular))
    return found


def _told(why: Any) -> list[str]:
    """Reasons in words: because: Alien, Aliens; or history +0.35, user −0.13."""
    if why.parts:
        return [", ".join(f"{name} {words.signed(gain, 2)}" for name, gain in parts.items()) for parts in why.parts]
    return [f"because: {', '.join(words.plain(title, 40) for title in titles)}" if titles else "" for titles in why.because]


def popular(dataset: str, k: int, chosen: filters.Chosen, seen: set[str], liked: set[str]) -> pd.DataFrame:
    """The most liked items of train that pass the filters, but for those seen; `liked`: what counts as a hit."""
    top = engine.recommend.search_items(dataset, limit=k, without=list(seen) if chosen.exclude_seen else (), only=chosen.only)
    return top.assign(
        rank=range(1, len(top) + 1), score=top["train_positives"], seen=top["item_id"].isin(seen), liked=top["item_id"].isin(liked)
    )


def person(met: pd.DataFrame) -> Person:
    """A user of the data, by what they did."""
    liked = met[met["label"] > 0]
    return Person(*(liked[liked["split"] == split] for split in ("train", "valid", "test")))


def side_by_side(whose: Person, found: list[List], k: int, chosen: filters.Chosen) -> None:
    """The person's likes first, then a column a contender, and how far the lists agree."""
    _overlaps(found, k, None if whose.after is None else len(whose.after))
    many = len(found) > FEW  # then the person's own lists are as long as the others, so that no row of the grid has holes
    shown = max(5, k) if many else HISTORY
    own = 1 if whose.after is None or not many else 2
    grid = st.grid(min(6, own + len(found)), min_column_width=195, gap="medium")
    cell = grid.cell()
    if whose.after is not None:
        with cell:
            _held_out(whose.after, whose.valid, shown)
    with grid.cell() if many and whose.after is not None else cell:
        before(whose, shown)
    ranks = dict(zip(found[0].frame["item_id"], found[0].frame["rank"].astype(int), strict=True)) if found else {}
    for one in found:
        with grid.cell():
            top = one.frame.head(k)
            hits = int(top["liked"].sum())
            name = one.name if one.letter == "pop" else f"{one.letter} · {one.name}"
            _heading(name, "" if whose.after is None else f"{hits} {'hit' if hits == 1 else 'hits'}", one.look)
            if one.note:
                st.caption(one.note)
            if len(top) < k:
                st.caption(_why_short(one, len(top), chosen))
            moves = None if one is found[0] or not ranks else ranks
            cards.recommendations(
                top, f"Top {k} of {name}", moves, found[0].letter, len(ranks), counts=one.letter == "pop", method=one.method
            )


def before(whose: Person, shown: int) -> None:
    """What a person liked before, the first few of it."""
    _heading("Liked before" if whose.after is not None else whose.title, words.count(len(whose.before)))
    _some(whose.before, "what the user liked before", "Nothing in train: to the models this is a new user.", shown)


def _why_short(one: List, listed: int, chosen: filters.Chosen) -> str:
    """Why a list is shorter than k."""
    among = " among what was retrieved" if one.funnel else ""
    if chosen.said:
        return f"No {'other ' if listed else ''}item {words.md(chosen.said, 200)} is left to recommend{among}."
    return f"Nothing {'else ' if listed else ''}is left to recommend{among}."


def _held_out(after: pd.DataFrame, valid: pd.DataFrame | None, shown: int) -> None:
    _heading("Went on to like", words.count(len(after)))
    _some(after, "what the user went on to like", "Nothing that was held out for the test.", shown)
    if valid is not None and len(valid):  # no hits: they chose the epoch, and the metrics do not count them
        with st.expander(f"{len(valid)} more in validation"):
            cards.interactions(valid.head(300), "what the user liked in validation")


def _heading(name: str, count: str, drawn: compare.Look | None = None) -> None:
    """What stands over a list of items; a contender's with its glyph."""
    glyph = f'<span style="color:{drawn.color}" aria-hidden="true">{drawn.glyph}</span> ' if drawn else ""
    st.html(f'<div class="rb"><b>{glyph}{words.html(name, 60)}</b> <span class="dim">{words.html(count)}</span></div>')


def _some(frame: pd.DataFrame, label: str, none: str, shown: int) -> None:
    if frame.empty:
        st.caption(none)
        return
    cards.interactions(frame.head(shown), label)
    if len(frame) > shown:
        with st.expander(f"{len(frame) - shown} more"):
            cards.interactions(frame.iloc[shown : shown + 300], f"more of {label}")


def _overlaps(found: list[List], k: int, held_out: int | None) -> None:
    """How many items two lists share, and how far their orders agree: in one line for few lists, as a table folded away for many."""
    tops = {one.letter: one.frame["item_id"].head(k).tolist() for one in found}
    shared = {(a, b): f"{len(set(tops[a]) & set(tops[b]))} of {k}" for a, b in combinations(tops, 2)}
    ranked = {(a, b): words.number(engine.recommend.list_agreement(tops[a], tops[b]), 2) for a, b in shared}
    marks = [] if held_out is None else [f"✓ marks what the user went on to like ({held_out} held out)"]
    if len(found) <= FEW:
        told = [f"{a} ∩ {b}: {both}, rank-biased {ranked[a, b]}" for (a, b), both in shared.items()]
        if marks or told:
            st.caption(" · ".join([*marks, *told]), help=RANK_BIASED if told else None)
        return
    if marks:
        st.caption(marks[0])
    with st.expander("How far the lists agree"):
        both = {pair: f"{shared[pair]} · {ranked[pair]}" for pair in shared}
        cells = [[words.DASH if a == b else both.get((a, b), both.get((b, a), "")) for b in tops] for a in tops]
        frame = pd.DataFrame(cells, index=[f"{one.letter} {one.name}" for one in found], columns=list(tops))
        tables.show(tables.small_table(frame, "items in both · rank-biased overlap"))
        st.caption(RANK_BIASED)
