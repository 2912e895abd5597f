"""Whom lists are for: a new user, or a user of the dataset, by search, by browsing or at random."""

import random
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

import engine
from ui.recommend import filters as filters_
from ui.shared import address, words

SEARCH = "search"
FIRST = "telling"  # the order of `engine.recommend.BROWSES` that a page of two contenders or more starts with
ORDER = "recommend.order"  # in the session: the users that can be chosen, in their order
NO_FEATURES = {"user_id", "row", "interactions", "train_positives", "test_positives", "rank_biased_overlap"}


def pick_who() -> str:
    """Whom or what lists are for: user, new or item; bound to ?who=. An address with likes only means a new user."""
    names = {"user": "User of the dataset", "new": "New user", "item": "Similar items"}
    requested = address.value("who") or ("new" if address.values("liked") else "user")
    address.seed("recommend.who", "who", requested if requested in names else "user")
    who = st.segmented_control(
        "For whom", list(names), format_func=lambda one: names[one], key="recommend.who", required=True, label_visibility="collapsed"
    )
    address.remember("recommend.who", "who", None if who == "user" else who)
    return who or "user"


class Options(NamedTuple):
    """How lists are shown."""

    k: int
    popularity: bool  # beside the runs
    filters: filters_.Chosen


def pick_options(dataset: str, popularity_is_run: bool, new: bool = False, run_ids: Sequence[str] = ()) -> Options:
    """k, bound to ?k=, the filters, and whether popularity is shown beside the runs."""
    k = _pick_k()
    chosen = filters_.pick(dataset, new, run_ids)
    popularity = st.toggle(
        "Popularity",
        value=not popularity_is_run,
        key=f"recommend.popularity.{popularity_is_run}",
        help="Adds a column with the most liked items, the same for every user",
    )
    return Options(k, popularity, chosen)


def pick_user(dataset: str, run_ids: list[str], popularity_is_run: bool) -> tuple[str | None, Options]:
    """Find a user by id, browse or draw one; bound to ?user=, ?browse= and ?k=.

    Returns:
        The user, None where there is none, and how lists are shown.
    """
    by = _pick_browse(len(run_ids))
    search_at = st.container(horizontal=True, vertical_alignment="bottom")
    row = st.container(horizontal=True, vertical_alignment="bottom")
    pick = row.container(horizontal=True, vertical_alignment="bottom", width=680)  # narrower pages get it as a line of its own
    with row:
        options = pick_options(dataset, popularity_is_run, run_ids=run_ids)
    users, held_out = (None, False) if by is None else (_browsed(dataset, run_ids, by, options.k), False)
    if users is not None and users.empty and not address.value("browse"):  # nobody to start with, and nobody asked for this order
        by = users = None
    if users is None:
        with search_at:
            users, held_out = _search(dataset)
    requested = _fresh(users)
    labels = {str(row["user_id"]): _user_label(row) for row in users.to_dict("records")}
    order = list(labels)
    if requested and requested not in labels:
        labels = {requested: requested} | {row["user_id"]: _user_label(row) for row in _exactly(dataset, requested)} | labels
    if not labels:
        st.info("No user matches this order of browsing." if by else "No user matches.")
        return None, options
    address.seed("recommend.user", "user", requested or next(iter(labels)))
    if st.session_state["recommend.user"] not in labels:
        st.session_state["recommend.user"] = next(iter(labels))
    st.session_state[ORDER] = order
    with pick:
        user = st.selectbox("User", list(labels), format_func=lambda one: labels.get(one, one), key="recommend.user", width="stretch")
        if by:
            with st.container(horizontal=True, vertical_alignment="bottom", width="content"):
                _steps(order, user)
        else:
            st.button(
                "Random", icon=":material/shuffle:", on_click=draw, args=(dataset, held_out), help="One of the 1,000 most active users"
            )
    address.remember("recommend.user", "user", user)
    if by:
        _where(by, users, order, user)
    return user, options


def _pick_browse(contenders: int) -> str | None:
    """An order of `engine.recommend.BROWSES`, bound to ?browse=; None for searching. Orders that compare two contenders need two.

    By default users for whom the contenders differ and somebody hits: whoever is most active may tell nothing.
    """
    known = [by for by in engine.recommend.BROWSES if contenders > 1 or by in ("active", "cold")]
    requested, usual = address.value("browse"), FIRST if FIRST in known else SEARCH
    address.seed("recommend.browse", "browse", requested if requested in (*known, SEARCH) else usual)
    if st.session_state["recommend.browse"] not in (*known, SEARCH):
        st.session_state["recommend.browse"] = usual
    names = engine.recommend.BROWSES | {SEARCH: "Search by id"}
    by = st.pills(
        "Whom to look at",
        [*known, SEARCH],
        required=True,
        format_func=lambda one: names[one],
        key="recommend.browse",
        on_change=_other_way,
        help="Users whose lists are stored with the runs, the most informative first. A and B are the first two runs; right means a hit "
        "among the first k.",
    )
    address.remember("recommend.browse", "browse", None if by == usual else by)
    return None if by == SEARCH else by


def _other_way() -> None:
    """Another order starts at its first user."""
    st.query_params.pop("user", None)


@st.cache_data(max_entries=32, show_spinner="Reading the stored lists …")
def _stored(dataset: str, run_ids: tuple[str, ...], by: str, k: int) -> pd.DataFrame:
    return engine.recommend.browse(dataset, run_ids, by, k)


def _browsed(dataset: str, run_ids: list[str], by: str, k: int) -> pd.DataFrame | None:
    """The users in an order of browsing; None after an explanation why there are none."""
    try:
        return _stored(dataset, tuple(run_ids), by, k)
    except (LookupError, ValueError) as error:
        if address.value("browse"):
            st.warning(words.md(error.args[0] if error.args else error, 300))
        return None


def _search(dataset: str) -> tuple[pd.DataFrame, bool]:
    """Users by a part of their id, and whether only those with held-out likes are wanted."""
    text = st.text_input("Find a user", key="recommend.find", placeholder="part of an id", on_change=_searched, max_chars=100) or ""
    held_out = st.toggle("With held-out likes", value=True, key="recommend.held", help="Only users with likes in the test split")
    return engine.datasets.search_users(dataset, text.strip(), limit=50, held_out_only=held_out), held_out


def _steps(order: list[str], user: str) -> None:
    """Previous, next and random among the browsed users; a user in the address who is not among them counts as before the first."""
    at = order.index(user) if user in order else -1
    steps = (("Previous", ":material/chevron_left:", at - 1, at > 0), ("Next", ":material/chevron_right:", at + 1, at + 1 < len(order)))
    for label, icon, to, possible in steps:
        st.button(label, icon=icon, on_click=_go, args=(order[to] if possible else user,), disabled=not possible)
    st.button("Random", icon=":material/shuffle:", on_click=_any_of, args=(order,), disabled=not order)


def following(user: str, without: Collection[str] = ()) -> None:
    """Go on to the next of the users that can be chosen, after the last to the first; nowhere where none is left."""
    order: list[str] = st.session_state.get(ORDER, [])
    at = order.index(user) + 1 if user in order else 0
    rest = order[at:] + order[:at]
    if left := next((one for one in rest if one not in without and one != user), None):
        _go(left)


def _go(user: str) -> None:
    st.query_params["user"] = user


def _any_of(order: list[str]) -> None:
    _go(random.choice(order))


def _where(by: str, users: pd.DataFrame, order: list[str], user: str) -> None:
    """12 of 205 users: A right, B wrong."""
    place = f"{order.index(user) + 1:,} of {len(order):,}" if user in order else f"not among the {len(order):,}"
    parts = [f"{engine.recommend.BROWSES[by]}: {place}"]
    if "rank_biased_overlap" in users and user in order:
        parts.append(
            f"mean rank-biased overlap of the stored lists {words.number(float(users['rank_biased_overlap'].iloc[order.index(user)]))}"
        )
    st.caption(" · ".join(parts))


def _exactly(dataset: str, user: str) -> list[dict[Hashable, Any]]:
    """The user with exactly this id, as a list of none or one row."""
    return [row for row in engine.datasets.search_users(dataset, user, limit=1).to_dict("records") if row["user_id"] == user]


def _pick_k() -> int:
    requested = address.value("k") or ""
    address.seed("recommend.k", "k", min(50, max(1, int(requested))) if requested.isascii() and requested.isdigit() else 10)
    k = st.number_input("k", min_value=1, max_value=50, step=5, key="recommend.k", width=110) or 10
    address.remember("recommend.k", "k", None if k == 10 else str(k))
    return int(k)


def _searched() -> None:
    st.session_state["recommend.searched"] = True


def _fresh(users: pd.DataFrame) -> str | None:
    """The user of the address; right after a search, its first match."""
    if st.session_state.pop("recommend.searched", False) and len(users):
        st.query_params["user"] = str(users["user_id"].iloc[0])
    return address.value("user")


def draw(dataset: str, held_out: bool) -> None:
    """Put another one of the thousand most active users into the address."""
    users = engine.datasets.search_users(dataset, "", limit=1000, held_out_only=held_out)["user_id"].astype(str)
    others = users[users != address.value("user")].tolist()
    if others:
        _go(random.choice(others))


def _user_label(row: Mapping[Hashable, Any]) -> str:
    counts = f"{words.count(row['train_positives'])} liked, {words.count(row['test_positives'])} held out"
    return " · ".join(part for part in (words.plain(row["user_id"], 40), counts, _features(row)) if part)


def _features(row: Mapping[Hashable, Any]) -> str:
    """What the data say of a user, each value with its name: age 50 · occupation programmer · zip 66215."""
    facts = {name: value for name, value in row.items() if name not in NO_FEATURES and not pd.isna(value)}
    shown = [
        f"{str(name).replace('_', ' ')} {value:g}" if isinstance(value, (int, float)) else f"{name} {value}"
        for name, value in facts.items()
    ]
    return words.plain(" · ".join(shown), 120)


def about(dataset: str, user: str) -> str:
    """The features of a user in words; empty where the data have none."""
    return "".join(_features(row) for row in _exactly(dataset, user))
