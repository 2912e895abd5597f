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
