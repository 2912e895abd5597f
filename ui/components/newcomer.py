"""Somebody new on the Recommend page: what they like is picked by title, and stands in the address."""

import pandas as pd
import streamlit as st

import engine
from ui.components import address, filters, words

OFFERED = 12


def pick_liked(dataset: str) -> pd.DataFrame:
    """Search titles and pick items, bound to ?liked=; those that are not in the catalogue are named.

    Returns:
        The items picked, in that order: item_id, title, genres, train_positives.
    """
    asked = filters.unquoted("liked")
    known = engine.known_items(dataset, asked)
    titles = dict(zip(known["item_id"], known["title"], strict=True))
    if unknown := [item for item in asked if item not in titles]:
        named = ", ".join(words.md(item, 40) for item in unknown[:3]) + (" …" if len(unknown) > 3 else "")
        st.warning(f"There is no item {named} in this catalogue; {'it is' if len(unknown) == 1 else 'they are'} left out.")
    _offer(dataset, list(titles))
    if not titles:
        return known
    address.seed("recommend.liked", "liked", list(titles))
    st.session_state["recommend.liked"] = [item for item in st.session_state["recommend.liked"] if item in titles]
    chosen = st.multiselect("Likes", list(titles), format_func=lambda item: words.plain(titles[item], 60), key="recommend.liked", wrap=True)
    address.remember("recommend.liked", "liked", filters.quoted(chosen))
    return engine.known_items(dataset, chosen)


def _offer(dataset: str, liked: list[str]) -> None:
    """A search field and a button for each item found, most liked first."""
    text = st.text_input("Find what this person likes", key="recommend.title", placeholder="part of a title", max_chars=100) or ""
    full = len(liked) >= address.MOST
    found = engine.search_items(dataset, text, limit=OFFERED, without=liked)
    if found.empty:
        st.caption(f"No other title holds {words.md(text, 60)}.")
    with st.container(horizontal=True, gap="small"):
        for row in found.to_dict("records"):
            item, title = str(row["item_id"]), row["title"]
            told = words.md(title if isinstance(title, str) and title.strip() else f"item {item}", 50)
            st.button(told, key=f"like.{item}", icon=":material/add:", on_click=_like, args=(item, liked), disabled=full)
    if full:
        st.caption(f"{address.MOST} likes are the most that the page takes; remove one to pick another.")


def _like(item: str, liked: list[str]) -> None:
    st.query_params["liked"] = ",".join(filters.quoted([*liked, item]))
