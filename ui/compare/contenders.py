"""Contenders on the Compare page: what they are called there, whose seeds stand as one, and what looks wrong with them."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

import engine
from ui.shared import address, words


def names(contenders: Sequence[Any]) -> dict[str, str]:
    """Letter -> what sets a contender apart from the others, and how many seeds it stands for; a baseline keeps its name."""
    titles = {c.letter: c.name.removesuffix(_many(c)) for c in contenders if c.run_id is not None}
    short = words.short_names(titles)
    return {c.letter: f"{short[c.letter]}{_many(c)}" if c.letter in short else str(c.name) for c in contenders}


def _many(contender: Any) -> str:
    return f" · {len(contender.run_ids)} seeds" if len(contender.run_ids) > 1 else ""


def seeds_as_one(groups: list[list[str]]) -> bool:
    """Whether runs that differ in their seed alone are one contender; asked where there are such, and bound to ?seeds=apart."""
    if all(len(group) == 1 for group in groups):
        return True
    address.seed("compare.seeds", "seeds", address.value("seeds") != "apart")
    told = "Runs that differ in their seed alone are one contender: the mean of their values, with σ, the deviation between them."
    chosen = st.toggle("Seeds as one", key="compare.seeds", help=told)
    address.remember("compare.seeds", "seeds", None if chosen else "apart")
    return chosen


def alarms(contenders: Sequence[Any]) -> dict[str, list[str]]:
    """Letter -> signs that a finished model is of no use, each told once with the seeds that show it; only of whom there are any."""
    found = {c.letter: _signs(c) for c in contenders if c.run_id is not None}
    return {letter: signs for letter, signs in found.items() if signs}


def _signs(contender: Any) -> list[str]:
    ids = contender.run_ids or (contender.run_id,)
    told = [(at, sentence) for at, run_id in enumerate(ids, 1) for sentence in engine.runs.alarms(run_id)]
    if len(ids) == 1:
        return [sentence for _, sentence in told]
    return [f"Run {at} of {len(ids)}: {sentence}" for at, sentence in told]


def what_looks_wrong(contenders: Sequence[Any], found: dict[str, list[str]]) -> None:
    """Every sign by letter, folded away; nothing where there is none."""
    if not found:
        return
    short = names(contenders)
    with st.expander(f"What looks wrong ({sum(map(len, found.values()))})", icon=":material/warning:"):
        told = [(f"{letter} {words.md(short[letter], 60)}", sentence) for letter, signs in found.items() for sentence in signs]
        lines = [f"- **{who}**: {words.md(sentence, 400)}" for who, sentence in told]
        st.markdown("\n".join(lines))
