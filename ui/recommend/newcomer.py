"""Items chosen by title and recorded in the address: the likes of a new user, or the item to find similar ones to."""

import pandas as pd
import streamlit as st

import engine
from ui.recommend import filters
from ui.shared import address, words

OFFERED = 12
ORDER = "A model that reads order, such as a Markov chain, takes the last one for the latest like and counts it most."


def pick_liked(dataset: str) -> pd.DataFrame:
    """Search titles and pick items, bound to ?liked=; a warning names those that are not in the catalogue.

    Returns:
        The chosen items, in that order: item_id, title, genres, train_positives.
    """
    requested = filters.unquoted("liked")
    known = engine.recommend.known_items(dataset, requested)
    titles = dict(zip(known["item_id"], known["title"], strict=True))
    if unknown := [item for item in requested if item not in titles]:
        named = ", ".join(words.md(item, 40) for item in unknown[:3]) + (" …" if len(unknown) > 3 else "")
        st.warning(f"There is no item {named} in this catalogue; {'it is' if len(unknown) == 1 else 'they are'} left out.")
    full = len(titles) >= address.MOST
    offer(dataset, "Search for items that this person likes", "liked", list(titles), disabled=full)
    if full:
        st.caption(f"At most {address.MOST} likes. Remove one to add another.")
    if not titles:
        return known
    address.seed("recommend.liked", "liked", list(titles))
    st.session_state["recommend.liked"] = [item for item in st.session_state["recommend.liked"] if item in titles]
    chosen = st.multiselect(
        "Likes", list(titles), format_func=lambda item: words.plain(titles[item], 60), key="recommend.liked", wrap=True, help=ORDER
    )
    address.remember("recommend.liked", "liked", filters.quoted(chosen))
    return engine.recommend.known_items(dataset, chosen)


def pick_item(dataset: str) -> pd.DataFrame:
    """Search titles for one item, bound to ?item=.

    Returns:
        The item, or nothing: columns as in `pick_liked`.
    """
    requested = filters.unquoted("item")[:1]
    known = engine.recommend.known_items(dataset, requested)
    if requested and known.empty:
        st.warning(f"There is no item {words.md(requested[0], 40)} in this catalogue; choose another.")
    offer(dataset, "Find an item", "item", [], icon=":material/search:")
    return known


def offer(dataset: str, label: str, name: str, chosen: list[str], icon: str = ":material/add:", disabled: bool = False) -> None:
    """A search field and a button for each match, most liked first; a click adds the item to those in the address.

    Args:
        name: the query parameter. chosen: items that it holds and keeps.
    """
    text = st.text_input(label, key=f"recommend.title.{name}", placeholder="part of a title", max_chars=100) or ""
    if name == "item" and filters.unquoted(name) and not text.strip():  # one was chosen: its lists get the room of the offers
        return
    matches = engine.recommend.search_items(dataset, text, limit=OFFERED, without=chosen)
    if matches.empty:
        st.caption(f"No {'other ' if chosen else ''}title contains {words.md(text, 60)}.")
    with st.container(horizontal=True, gap="small"):
        for row in matches.to_dict("records"):
            item, title = str(row["item_id"]), row["title"]
            caption = words.md(title if isinstance(title, str) and title.strip() else f"item {item}", 50)
            st.button(caption, key=f"{name}.{item}", icon=icon, on_click=_choose, args=(name, [*chosen, item]), disabled=disabled)


def _choose(name: str, items: list[str]) -> None:
    st.query_params[name] = ",".join(filters.quoted(items))
