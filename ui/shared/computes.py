"""Where runs compute: a choice on the pages that launch, drawn where the workspace keeps any."""

from contextlib import AbstractContextManager

import streamlit as st

import engine
from ui.shared import address, words


def choose(key: str, parameter: str = "compute") -> AbstractContextManager[None]:
    """Let people choose among the kept computes; what is judged and launched within the returned context computes there.

    Args:
        key: of the widget. parameter: of the page's address, which keeps the choice.
    """
    kept = {compute.name: compute for compute in engine.compute.list_computes()}
    if not kept:
        return engine.compute.using(None)
    try:
        usual = engine.compute.current().in_words
    except (LookupError, ValueError) as error:
        st.error(words.md(error, 400), icon=":material/error:", title="RECBENCH_COMPUTE cannot be used")
        return engine.compute.using(None)
    options = {"": f"As the settings say · {words.plain(usual, 80)}"}
    options |= {name: f"{words.plain(name, 60)} · {words.plain(compute.in_words, 80)}" for name, compute in kept.items()}
    return engine.compute.using(kept.get(address.select("Where it computes", key, parameter, options)))
