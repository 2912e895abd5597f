"""Which items may stand in a list: chosen once for all contenders, bound to the address."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote

import streamlit as st

import engine
from ui.shared import address, words

MOST_LIKES = 10_000_000


class Chosen(NamedTuple):
    """What lists leave out."""

    only: engine.recommend.Filter
    exclude_seen: bool

    @property
    def said(self) -> str:
        """What is asked of items, behind "No item"; empty for nothing."""
        parts = [f"of {' or '.join(self.only.genres)}"] if self.only.genres else []
        parts += [f"with {words.count(self.only.least_likes)} likes or more"] if self.only.least_likes else []
        return " ".join(parts)


def quoted(values: list[str]) -> list[str]:
    """Values as an address holds them in a list: a comma in one is no end of it."""
    return [quote(value, safe=" /:") for value in values]


def unquoted(name: str) -> list[str]:
    """A list of the address that `quoted` wrote."""
    return [unquote(value) for value in address.values(name)]


def _measured(run_ids: Sequence[str]) -> tuple[bool, str | None]:
    """Whether lists hold what users met in train unless somebody chooses: where all contenders were measured so; and that in words."""
    left_out = {engine.compare.protocol_of(engine.runs.get_run(run_id)).exclude_seen for run_id in run_ids}
    if len(left_out) != 1:
        return False, "Some contenders were measured with the items that a user met in train, others without." if left_out else None
    usual = left_out == {False}
    return usual, f"The contenders were measured {'with' if usual else 'without'} the items that a user met in train."


def pick(dataset: str, new: bool = False, run_ids: Sequence[str] = ()) -> Chosen:
    """A popover with the filters, bound to ?genre=, ?likes= and ?seen=.

    Args:
        new: of somebody new there is nothing that was seen.
        run_ids: the contenders; what was met in train is in their lists or not as they were measured, unless somebody chooses otherwise.
    """
    known = engine.recommend.genres(dataset)
    asked = [name for name in unquoted("genre") if name in known]
    least = address.value("likes") or ""
    address.seed("recommend.genre", "genre", asked)
    address.seed("recommend.likes", "likes", min(int(least), MOST_LIKES) if least.isascii() and least.isdigit() else 0)
    usual, told = _measured(run_ids)
    key = f"recommend.seen.{usual}"  # contenders of another protocol start from another choice
    address.seed(key, "seen", {"1": True, "0": False}.get(address.value("seen") or "", usual))
    st.session_state["recommend.genre"] = [name for name in st.session_state["recommend.genre"] if name in known]
    chosen = [bool(st.session_state["recommend.genre"]), st.session_state["recommend.likes"] > 0]
    on = sum([*chosen, st.session_state[key] != usual and not new])
    with st.popover(f"Filters ({on})" if on else "Filters", icon=":material/filter_alt:"):
        genres = st.multiselect("Genres", known, key="recommend.genre", help="One of them is enough.", disabled=not known)
        likes = st.number_input("Likes in train, at least", 0, MOST_LIKES, step=10, key="recommend.likes")
        seen = st.toggle("With what was met in train", key=key, disabled=new, help=told)
    address.remember("recommend.genre", "genre", quoted(genres))
    address.remember("recommend.likes", "likes", str(likes) if likes else None)
    if not new:
        address.remember(key, "seen", None if seen == usual else "1" if seen else "0")
    return Chosen(engine.recommend.Filter(genres=tuple(genres), least_likes=int(likes)), not seen or new)
