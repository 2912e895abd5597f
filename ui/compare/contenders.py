"""Contenders on the Compare page: whose seeds are one contender, and what looks wrong with them."""

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.compare import Contender, names
from ui.shared import address, words


def seeds_as_one(groups: list[list[str]]) -> bool:
    """Whether runs that differ in their seed alone are one contender; asked where there are such, and bound to ?seeds=apart."""
    if all(len(group) == 1 for group in groups):
        return True
    address.seed("compare.seeds", "seeds", address.value("seeds") != "apart")
    text = "Runs that differ in their seed alone are one contender: the mean of their values, with σ, the standard deviation between them."
    chosen = st.toggle("Seeds as one", key="compare.seeds", help=text)
    address.remember("compare.seeds", "seeds", None if chosen else "apart")
    return chosen


def what_looks_wrong(contenders: Sequence[Contender], alarms: Mapping[str, Sequence[str]]) -> None:
    """Every sign by letter, in a folded section; no section where there is none."""
    if not alarms:
        return
    short = names(contenders)
    with st.expander(f"What looks wrong ({sum(map(len, alarms.values()))})", icon=":material/warning:"):
        signs_by_name = [(f"{letter} {words.md(short[letter], 60)}", sentence) for letter, signs in alarms.items() for sentence in signs]
        lines = [f"- **{who}**: {words.md(sentence, 400)}" for who, sentence in signs_by_name]
        st.markdown("\n".join(lines))
