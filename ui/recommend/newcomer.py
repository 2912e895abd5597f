"""Items picked by title on the Recommend page, and kept in the address: what somebody new likes, or the one that others are like."""

import pandas as pd
import streamlit as st

import engine
from ui.recommend import filters
from ui.shared import address, words

OFFERED = 12


def pick_liked(dataset: str) -> pd.DataFrame:
    """Search titles and pick items, bound to ?liked=; those that are not in the catalogue are named.

    Returns:
        The items picked, in that order: item_id, title, genres, train_positives.
    """
    asked = filters.unquoted("liked")
    known = engine.recommend.known_items(dataset, asked)
    titles = dict(zip(known["item_id"], known["title"], strict=True))
    if unknown := [item for item in asked if item not in titles]:
        named = ", ".join(words.md(item, 40) for item in unknown[:3]) + (" …" if len(unknown) > 3 else "")
        st.warning(f"There is no item {named} in this catalogue; {'it is' if len(unknown) == 1 else 'they are'} left out.")
    full = len(titles) >= address.MOST
    offer(dataset, "Find what this person likes", "liked", list(titles), disabled=full)
    if full:
        st.caption(f"{address.MOST} likes are the most that the page takes; remove one to pick another.")
    if not titles:
        return known
    address.seed("recommend.liked", "liked", list(titles))
    st.session_state["recommend.liked"] = [item for item in st.session_state["recommend.liked"] if item in titles]
    chosen = st.multiselect("Likes", list(titles), format_func=lambda item: words.plain(titles[item], 60), key="recommend.liked", wrap=True)
    address.remember("recommend.liked", "liked", filters.quoted(chosen))
    return engine.recommend.known_items(dataset, chosen)


def pick_item(dataset: str) -> pd.DataFrame:
    """Search titles for one item, bound to ?item=.

    Returns:
        The item, or nothing: columns as in `pick_liked`.
    """
    asked = filters.unquoted("item")[:1]
    known = engine.recommend.known_items(dataset, asked)
    if asked and known.empty:
        st.warning(f"There is no item {words.md(asked[0], 40)} in this catalogue; find another.")
    offer(dataset, "Find an item", "item", [], icon=":material/search:")
    return known


def offer(dataset: str, label: str, name: str, chosen: list[str], icon: str = ":material/add:", disabled: bool = False) -> None:
    """A search field and a button for each item found, most liked first; a click adds the item to those chosen in the address.

    Args:
        name: the query parameter. chosen: items that it holds and keeps.
    """
    text = st.text_input(label, key=f"recommend.title.{name}", placeholder="part of a title", max_chars=100) or ""
    found = engine.recommend.search_items(dataset, text, limit=OFFERED, without=chosen)
    if found.empty:
        st.caption(f"No {'other ' if chosen else ''}title holds {words.md(text, 60)}.")
    with st.container(horizontal=True, gap="small"):
        for row in found.to_dict("records"):
            item, title = str(row["item_id"]), row["title"]
            told = words.md(title if isinstance(title, str) and title.strip() else f"item {item}", 50)
            st.button(told, key=f"{name}.{item}", icon=icon, on_click=_choose, args=(name, [*chosen, item]), disabled=disabled)


def _choose(name: str, items: list[str]) -> None:
    st.query_params[name] = ",".join(filters.quoted(items))
