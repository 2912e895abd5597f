"""Where the Train form starts from: the settings of the last launch, a preset that was kept by name, or the defaults."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import streamlit as st

import engine
from engine.presets import Preset, PresetContender
from engine.specs import Protocol, RunSpec
from ui.shared import address, forms, words

KEY, LAST, NEW = "train.preset", "last", "new"
NAMES = {LAST: "Those of the last launch", NEW: "Defaults"}
TOAST = "train.preset.toast"


class Start(NamedTuple):
    """What the form starts with: `model`, `train` and `search` of each contender, what all networks share, the seeds, the protocol."""

    contenders: list[dict[str, Any]]
    train: dict[str, Any]
    seeds: int = 1
    protocol: Protocol = Protocol()


def pick(given: dict[str, Any]) -> Start:
    """A choice of what the form starts from. given: the settings of the run that the address names, which come first; may be empty."""
    if message := st.session_state.pop(TOAST, None):
        st.toast(words.md(message), icon=":material/check:")
    kept, last = engine.presets.list_presets(), engine.presets.last()
    for name in kept.unreadable:
        st.caption(f"The preset in the file {words.md(name)} was written by another version and is not offered.")
    named = {f"preset:{preset.name}": preset for preset in kept.found}
    options = [*([LAST] if last else []), NEW, *named]
    if st.session_state.get(KEY) not in options:
        st.session_state[KEY] = LAST if last and not given and not address.values("models") else NEW
    if len(options) > 1 and not given:
        st.selectbox(
            "Settings", options, key=KEY, on_change=_anew, persist_state=forms.KEPT,
            format_func=lambda option: NAMES.get(option) or words.plain(named[option].name),
        )  # fmt: skip
    chosen = st.session_state[KEY]
    st.session_state["train.wanted"] = address.value("from") or chosen
    if given:
        return Start([given], given.get("train", {}), protocol=Protocol.model_validate(given.get("protocol") or {}))
    preset = last if chosen == LAST else named.get(chosen)
    return _start(preset) if preset else Start([], {})


def _anew() -> None:
    """Another start was chosen, which outranks what the address asks for."""
    st.query_params.pop("models", None)
    st.session_state.pop("train.origin", None)


def _start(preset: Preset) -> Start:
    each = [one.model_dump(mode="json") for one in preset.contenders]
    return Start(each, each[0]["train"] if each else {}, preset.seeds, preset.protocol)


def of_launch(name: str, specs: Sequence[Sequence[RunSpec]]) -> Preset:
    """The settings of a launch: runs of one contender differ in their seed alone."""
    firsts = [PresetContender(model=runs[0].model, train=runs[0].train, search=runs[0].search) for runs in specs if runs]
    protocol = next((runs[0].protocol for runs in specs if runs), Protocol())
    return Preset(name=name, contenders=tuple(firsts), seeds=max((len(runs) for runs in specs), default=1) or 1, protocol=protocol)


def offer_to_save(specs: Sequence[Sequence[RunSpec]]) -> None:
    """A popover that keeps these settings by a name, and removes what was kept."""
    with st.popover("Presets", icon=":material/bookmark:"):
        name = st.text_input("Keep these settings as", key="train.preset.name", max_chars=engine.presets.LONGEST_NAME, placeholder="a name")
        if st.button("Keep", type="primary", disabled=not (name and name.strip() and all(specs)), key="train.preset.save"):
            engine.presets.save(of_launch((name or "").strip(), specs))
            st.session_state[TOAST] = f"Kept as {name}"
            st.rerun()
        for preset in engine.presets.list_presets().found:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"{words.md(preset.name)} · {words.count(len(preset.contenders))} contenders", width="content")
                if st.button("Remove", type="tertiary", icon=":material/delete:", key=f"train.preset.remove.{preset.name}"):
                    engine.presets.delete(preset.name)
                    st.session_state[TOAST] = f"Removed {preset.name}"
                    st.rerun()


def remember(launched: list[str], specs: Sequence[Sequence[RunSpec]]) -> None:
    """Keep what was launched just now as the settings to start from next time."""
    if st.session_state.get("train.remembered") != launched and all(specs):
        st.session_state["train.remembered"] = launched
        engine.presets.keep_last(of_launch("", specs))
