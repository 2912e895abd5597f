"""Filters on recommended items: the same for all contenders, bound to the address."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote

import streamlit as st

import engine
from ui.shared import address, words

MOST_LIKES = 10_000_000


class Chosen(NamedTuple):
    """The filters in force."""

    only: engine.recommend.Filter
    exclude_seen: bool

    @property
    def description(self) -> str:
        """The filters in words, to follow "No item"; empty without filters."""
        parts = [f"of {' or '.join(self.only.genres)}"] if self.only.genres else []
        parts += [f"with {words.count(self.only.least_likes)} likes or more"] if self.only.least_likes else []
        return " ".join(parts)


def quoted(values: list[str]) -> list[str]:
    """Values as an address holds them in a list: a comma inside a value does not split it."""
    return [quote(value, safe=" /:") for value in values]


def unquoted(name: str) -> list[str]:
    """A list of the address that `quoted` wrote."""
    return [unquote(value) for value in address.values(name)]


def _measured(run_ids: Sequence[str]) -> tuple[bool, str | None]:
    """Whether lists include items seen before by default, as in the evaluation of all contenders; and a sentence that says so."""
    left_out = {engine.compare.protocol_of(engine.runs.get_run(run_id)).exclude_seen for run_id in run_ids}
    if len(left_out) != 1:
        return False, "Some contenders were evaluated with items that users had seen before, others without." if left_out else None
    usual = left_out == {False}
    return usual, f"The contenders were evaluated {'with' if usual else 'without'} items that users had seen before."


def pick(dataset: str, new: bool = False, run_ids: Sequence[str] = ()) -> Chosen:
    """A popover with the filters, bound to ?genre=, ?likes= and ?seen=.

    Args:
        new: a new user has seen no items.
        run_ids: the contenders. By default, items seen before are included or excluded as in their evaluation.
    """
    known = engine.recommend.genres(dataset)
    requested = [name for name in unquoted("genre") if name in known]
    least = address.value("likes") or ""
    address.seed("recommend.genre", "genre", requested)
    address.seed("recommend.likes", "likes", min(int(least), MOST_LIKES) if least.isascii() and least.isdigit() else 0)
    usual, explanation = _measured(run_ids)
    key = f"recommend.seen.{usual}"  # contenders of another protocol start from another choice
    address.seed(key, "seen", {"1": True, "0": False}.get(address.value("seen") or "", usual))
    st.session_state["recommend.genre"] = [name for name in st.session_state["recommend.genre"] if name in known]
    chosen = [bool(st.session_state["recommend.genre"]), st.session_state["recommend.likes"] > 0]
    on = sum([*chosen, st.session_state[key] != usual and not new])
    with st.popover(f"Filters ({on})" if on else "Filters", icon=":material/filter_alt:"):
        genres = st.multiselect("Genres", known, key="recommend.genre", help="Items of any of these genres.", disabled=not known)
        likes = st.number_input("Minimum likes in training", 0, MOST_LIKES, step=10, key="recommend.likes")
        seen = st.toggle("Include items seen before", key=key, disabled=new, help=explanation)
    address.remember("recommend.genre", "genre", quoted(genres))
    address.remember("recommend.likes", "likes", str(likes) if likes else None)
    if not new:
        address.remember(key, "seen", None if seen == usual else "1" if seen else "0")
    return Chosen(engine.recommend.Filter(genres=tuple(genres), least_likes=int(likes)), not seen or new)
