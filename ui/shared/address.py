"""The page's address as the record of what is chosen, so that it can be shared, reloaded and gone back to."""

from typing import Any

import streamlit as st

LONGEST = 120  # of one value; an id is far shorter
MOST = 24  # values in a list


def value(name: str) -> str | None:
    """One query parameter, clipped; None when it is absent or empty."""
    return st.query_params.get(name, "")[:LONGEST].strip() or None


def values(name: str) -> list[str]:
    """A comma-separated query parameter: distinct, clipped, at most MOST."""
    parts = [part.strip()[:LONGEST] for part in st.query_params.get(name, "")[: LONGEST * MOST * 2].split(",")]
    return list(dict.fromkeys(part for part in parts if part))[:MOST]


def seed(key: str, name: str, chosen: Any) -> None:
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


def select(label: str, key: str, name: str, options: dict[str, str], **more: Any) -> str:
    """A select box bound to a query parameter; the first option is the usual one and is not written down.

    Args:
        options: value -> what people read; an address that names none of them is one that names nothing. more: for `st.selectbox`.
    """
    usual, asked = next(iter(options)), value(name)
    seed(key, name, asked if asked in options else usual)
    if st.session_state[key] not in options:
        st.session_state[key] = usual
    chosen: str = st.selectbox(label, list(options), format_func=lambda option: options[option], key=key, **more) or usual
    remember(key, name, None if chosen == usual else chosen)
    return chosen
