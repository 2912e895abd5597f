"""The Recommend page's parts: finding a user, opening models, lists side by side."""

import random
from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

import engine
from ui.components import address, cards, looks, tables, words

DEPTH = 200  # how far down the first list rank moves are told
HISTORY = 12
FEW = 3  # lists whose overlaps are read in one line


class List(NamedTuple):
    """What one contender recommends."""

    letter: str
    name: str
    look: looks.Look
    frame: pd.DataFrame  # rank, item_id, title, genres, score, liked
    note: str = ""  # what a reader must know of the whole list


class Person(NamedTuple):
    """Whom lists are for. Frames as in `engine.user_interactions`; of somebody new there is nothing but `before`."""

    before: pd.DataFrame
    valid: pd.DataFrame | None = None
    after: pd.DataFrame | None = None


def same_dataset(runs: list[Any]) -> list[Any]:
    """The runs on the first one's dataset; the others are named, not dropped in silence."""
    together = [run for run in runs if run.dataset == runs[0].dataset]
    for run in runs:
        if run not in together:
            st.warning(f"**{words.md(run.title)}** knows other users: it was trained on {words.md(run.dataset_name or run.dataset)}.")
    return together


def pick_who() -> bool:
    """Whether lists are for somebody new; bound to ?who=, and true of an address that has likes alone."""
    address.seed("recommend.who", "who", "new" if address.value("who") == "new" or address.values("liked") else "user")
    names = {"user": "A user of the data", "new": "A new person"}
    who = st.segmented_control(
        "For whom", list(names), format_func=lambda one: names[one], key="recommend.who", required=True, label_visibility="collapsed"
    )
    address.remember("recommend.who", "who", "new" if who == "new" else None)
    return who == "new"


def pick_options(popularity_is_run: bool) -> tuple[int, bool]:
    """k, bound to ?k=, and whether popularity is shown beside the runs."""
    k = _pick_k()
    popularity = st.toggle(
        "Popularity",
        value=not popularity_is_run,
        key=f"recommend.popularity.{popularity_is_run}",
        help="A column of what is liked most, the same for all",
    )
    return k, popularity


def pick_user(dataset: str, popularity_is_run: bool) -> tuple[str | None, int, bool]:
    """Find a user by id, or draw one; bound to ?user= and ?k=. Returns the user, k, and whether popularity is shown beside the runs."""
    find, pick = st.columns([1, 3], vertical_alignment="bottom")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        k, popularity = pick_options(popularity_is_run)
        held_out = st.toggle("With held-out likes", value=True, key="recommend.held", help="Only users who went on to like something")
    with find:
        text = st.text_input("Find a user", key="recommend.find", placeholder="part of an id", on_change=_searched, max_chars=100) or ""
    found = engine.search_users(dataset, text.strip(), limit=50, held_out_only=held_out)
    asked = _fresh(found)
    told = {str(row["user_id"]): _user_label(row) for row in found.to_dict("records")}
    if asked and asked not in told:
        told = {asked: asked} | {row["user_id"]: _user_label(row) for row in _exactly(dataset, asked)} | told
    if not told:
        st.info(f"No user matches {words.md(text, 40)}.")
        return None, k, popularity
    address.seed("recommend.user", "user", asked or next(iter(told)))
    if st.session_state["recommend.user"] not in told:
        st.session_state["recommend.user"] = next(iter(told))
    with pick, st.container(horizontal=True, vertical_alignment="bottom"):
        user = st.selectbox("User", list(told), format_func=lambda one: told.get(one, one), key="recommend.user", width="stretch")
        st.button("Random", icon=":material/shuffle:", on_click=_draw, args=(dataset, held_out))
    address.remember("recommend.user", "user", user)
    return user, k, popularity


def _exactly(dataset: str, user: str) -> list[Any]:
    """The user of this very id, as a list of none or one row."""
    return [row for row in engine.search_users(dataset, user, limit=1).to_dict("records") if row["user_id"] == user]


def _pick_k() -> int:
    asked = address.value("k") or ""
    address.seed("recommend.k", "k", min(50, max(1, int(asked))) if asked.isascii() and asked.isdigit() else 10)
    k = st.number_input("k", min_value=1, max_value=50, step=5, key="recommend.k", width=110) or 10
    address.remember("recommend.k", "k", None if k == 10 else str(k))
    return int(k)


def _searched() -> None:
    st.session_state["recommend.searched"] = True


def _fresh(found: pd.DataFrame) -> str | None:
    """The user of the address; right after a search, its first match."""
    if st.session_state.pop("recommend.searched", False) and len(found):
        st.query_params["user"] = str(found["user_id"].iloc[0])
    return address.value("user")


def _draw(dataset: str, held_out: bool) -> None:
    found = engine.search_users(dataset, "", limit=1000, held_out_only=held_out)
    if len(found):
        st.query_params["user"] = str(random.choice(found["user_id"].tolist()))


def _user_label(row: Any) -> str:
    known = {"user_id", "row", "interactions", "train_positives", "test_positives"}
    facts = {name: value for name, value in row.items() if name not in known and not pd.isna(value)}
    # a bare number says nothing without its name; 50 is an age
    shown = [f"{name} {value:g}" if isinstance(value, (int, float)) else str(value) for name, value in facts.items()]
    counts = f"{words.count(row['train_positives'])} liked, {words.count(row['test_positives'])} held out"
    return " · ".join(part for part in (words.plain(row["user_id"], 40), counts, words.plain(", ".join(shown), 60)) if part)


@st.cache_resource(
    max_entries=looks.MOST, show_spinner="Opening the model: importing PyTorch, reading its checkpoint, encoding the catalogue …"
)
def _open(run_id: str) -> Any:
    import engine.recommender

    return engine.recommender.open_model(run_id)


def lists(runs: list[Any], rank: Callable[[Any, int], pd.DataFrame], k: int, popular: pd.DataFrame | None, new: bool = False) -> list[List]:
    """What each contender would show one person; the first is read deeper, so that rank moves can be told.

    A model that cannot be opened is named with the reason and has no list.

    Args:
        rank: the k best items by an `engine.recommender.Recommender`.
        popular: the list of the popularity baseline, where it is shown.
        new: the person is nobody of the data.
    """
    found: list[List] = []
    short = words.short_names({run.run_id: run.title for run in runs})
    for at, run in enumerate(runs):
        try:
            model = _open(run.run_id)
            frame = rank(model, k if found else max(k, DEPTH))
        except (LookupError, ValueError, OSError) as error:
            st.error(f"{words.md(run.title, 60)}: {words.md(error, 400)}", icon=":material/error:")
            continue
        found.append(List(chr(65 + at), short[run.run_id], looks.look(at), frame, _note(run, model) if new else ""))
    if popular is not None:
        found.append(List("pop", "Popularity (baseline)", looks.look(len(runs), baseline=True), popular))
    return found


def _note(run: Any, model: Any) -> str:
    if model.tells_newcomers_apart:
        return ""
    return "The same list for everybody." if run.model == "popularity" else "Reads no history: it cannot tell one newcomer from another."


def popular(dataset: str, k: int, seen: set[str], liked: set[str]) -> pd.DataFrame:
    """The most liked items of train, but for those seen; `liked`: what counts as a hit."""
    top = engine.search_items(dataset, limit=k, without=list(seen))
    return top.assign(rank=range(1, len(top) + 1), score=top["train_positives"], liked=top["item_id"].isin(liked))


def person(met: pd.DataFrame) -> Person:
    """A user of the data, by what they did."""
    liked = met[met["label"] > 0]
    return Person(*(liked[liked["split"] == split] for split in ("train", "valid", "test")))


def side_by_side(whose: Person, found: list[List], k: int) -> None:
    """The person's likes first, then a column a contender, and how far the lists agree."""
    _overlaps(found, k, None if whose.after is None else len(whose.after))
    many = len(found) > FEW  # then the person's own lists are as long as the others, so that no row of the grid has holes
    shown = max(5, k) if many else HISTORY
    own = 1 if whose.after is None or not many else 2
    grid = st.grid(min(6, own + len(found)), min_column_width=215, gap="medium")
    cell = grid.cell()
    if whose.after is not None:
        with cell:
            _held_out(whose.after, whose.valid, shown)
    with grid.cell() if many and whose.after is not None else cell:
        _heading("Liked before" if whose.after is not None else "Likes", words.count(len(whose.before)))
        _some(whose.before, "what the user liked before", "Nothing in train: to the models this is a new user.", shown)
    ranks = dict(zip(found[0].frame["item_id"], found[0].frame["rank"].astype(int), strict=True)) if found else {}
    for one in found:
        with grid.cell():
            top = one.frame.head(k)
            hits = int(top["liked"].sum())
            name = one.name if one.letter == "pop" else f"{one.letter} · {one.name}"
            _heading(name, "" if whose.after is None else f"{hits} {'hit' if hits == 1 else 'hits'}", one.look)
            if one.note:
                st.caption(one.note)
            moves = None if one is found[0] else ranks
            cards.recommendations(top, f"Top {k} of {name}", moves, found[0].letter, len(ranks), counts=one.letter == "pop")


def _held_out(after: pd.DataFrame, valid: pd.DataFrame | None, shown: int) -> None:
    _heading("Went on to like", words.count(len(after)))
    _some(after, "what the user went on to like", "Nothing that was held out for the test.", shown)
    if valid is not None and len(valid):  # no hits: they chose the epoch, and the metrics do not count them
        with st.expander(f"{len(valid)} more in validation"):
            cards.interactions(valid.head(300), "what the user liked in validation")


def _heading(name: str, count: str, drawn: looks.Look | None = None) -> None:
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
    """How many items two lists share: in one line for few lists, as a table folded away for many."""
    import engine.recommender

    tops = {one.letter: one.frame["item_id"].head(k).tolist() for one in found}
    shared = {(a, b): engine.recommender.overlap(tops[a], tops[b]) for a, b in combinations(tops, 2)}
    marks = [] if held_out is None else [f"✓ marks what the user went on to like ({held_out} held out)"]
    if len(found) <= FEW:
        st.caption(" · ".join([*marks, *(f"{a} ∩ {b}: {n} of {k}" for (a, b), n in shared.items())]))
        return
    st.caption("".join(marks))
    with st.expander("How far the lists agree"):
        cells = [[words.DASH if a == b else str(shared.get((a, b), shared.get((b, a)))) for b in tops] for a in tops]
        frame = pd.DataFrame(cells, index=[f"{one.letter} {one.name}" for one in found], columns=list(tops))
        tables.show(tables.small_table(frame, f"of {k} in both"))
