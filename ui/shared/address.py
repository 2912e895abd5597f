"""The page's address records the choices, so that a page can be shared, reloaded and reached by Back."""

from typing import Literal

import streamlit as st

LONGEST = 120  # characters of one value; an id is far shorter
MOST = 24  # values in a list


def value(name: str) -> str | None:
    """One query parameter, clipped; None when it is absent or empty."""
    return st.query_params.get(name, "")[:LONGEST].strip() or None


def values(name: str) -> list[str]:
    """A comma-separated query parameter: distinct, clipped, at most MOST."""
    parts = [part.strip()[:LONGEST] for part in st.query_params.get(name, "")[: LONGEST * MOST * 2].split(",")]
    return list(dict.fromkeys(part for part in parts if part))[:MOST]


def seed(key: str, name: str, chosen: object) -> None:
    """Set a widget's state from the address where the address is newer: first drawing, a link, Back. Call before the widget."""
    now = st.query_params.get(name)
    if key not in st.session_state or st.session_state.get(f"address.{key}", now) != now:
        st.session_state[key] = chosen


def remember(key: str | None, name: str, chosen: str | list[str] | None) -> None:
    """Write a choice to the address. Call after the widget, with the same key as `seed`."""
    text = ",".join(chosen) if isinstance(chosen, list) else chosen
    if (st.query_params.get(name) or None) != (text or None):
        if text:
            st.query_params[name] = text
        else:
            st.query_params.pop(name, None)
    if key:
        st.session_state[f"address.{key}"] = st.query_params.get(name)


def select(label: str, key: str, name: str, options: dict[str, str], width: int | Literal["stretch"] = "stretch") -> str:
    """A select box bound to a query parameter; the first option is the default and is not written to the address.

    Args:
        options: value -> label. A value in the address that is not among them is ignored.
    """
    usual, requested = next(iter(options)), value(name)
    seed(key, name, requested if requested in options else usual)
    if st.session_state[key] not in options:
        st.session_state[key] = usual
    chosen: str = st.selectbox(label, list(options), format_func=lambda option: options[option], key=key, width=width) or usual
    remember(key, name, None if chosen == usual else chosen)
    return chosen
