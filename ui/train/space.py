"""What a search tries, as rows that can be changed: a setting, its range or its choices, and the value that is tried first."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_origin

import streamlit as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

import engine
from engine.specs import Choices, Range, RunSpec, Space
from ui.shared import forms, words

HEADS = ("Setting", "Values", "First")
WIDTHS = (5, 8, 2)  # of the columns, as shares
TRIED = "Untick what is not to be searched: it keeps its first value."
OWN = {None: "none", True: "yes", False: "no"}

Value = Any  # of a setting: its type is the field's own, which pydantic checks when the spec is built


class Tried(NamedTuple):
    """What a search tries, and the settings that are not searched and have no value of their own, with that of the first trial."""

    space: Space
    fixed: dict[str, Value]


def rows(place: DeltaGenerator, key: str, spec: RunSpec, usual: Space, given: Space | None) -> Tried:
    """Draw a row for each setting that can be searched, folded away, in a place of the page.

    Args:
        spec: the run without a search. usual: what is searched unless somebody says otherwise, at least one setting.
        given: the space to start from; None: the usual one.

    Raises:
        ValueError: a range or a choice is wrong, in a sentence.
    """
    own = engine.specs.settings_of(spec)
    offered = usual | {name: way for name, way in (given or {}).items() if name in own}
    first = engine.specs.first_settings(spec, offered)
    space, fixed = Space(), dict[str, Value]()
    with place.expander(
        f"What is tried ({len(offered)} {'setting' if len(offered) == 1 else 'settings'})",
        icon=":material/query_stats:",
        key=f"{key}.space",
    ):
        st.caption(TRIED)
        _heads()
        for name, way in offered.items():
            tried = _row(f"{key}.space.{name}", name, spec, way, first[name], given is None or name in given)
            if tried is not None:
                space[name] = tried
            elif own[name] is None:
                fixed[name] = first[name]
    return Tried(space, fixed)


def _heads() -> None:
    for column, head in zip(st.columns(WIDTHS), HEADS, strict=True):
        column.caption(f"**{head}**")


def _row(key: str, name: str, spec: RunSpec, way: Range | Choices, first: Value, ticked: bool) -> Range | Choices | None:
    """The values that are tried of one setting; None where it is not searched."""
    field, label = _field(spec, name), words.field_label(name.partition(".")[2])
    left, middle, right = st.columns(WIDTHS, vertical_alignment="center")
    with left:
        wanted = st.checkbox(label, ticked, key=f"{key}.tick", help=field.description, persist_state=forms.KEPT)
    right.caption(words.md(_text(first), 40))
    with middle:
        if isinstance(way, Range):
            return _range(key, label, field, way, disabled=not wanted)
        return _choices(key, name, label, spec, way, disabled=not wanted)


def _range(key: str, label: str, field: FieldInfo, way: Range, disabled: bool) -> Range | None:
    """Two numbers; log or not, and whole or not, stay as they are."""
    low, high, _ = forms.bounds(field)
    kind: type = int if way.whole else float
    ends = []
    for end, start, column in zip(("lowest", "highest"), (way.low, way.high), st.columns(2, gap="small"), strict=True):
        value = column.number_input(
            f"{label}: {end}", None if low is None else kind(low), None if high is None else kind(high), kind(start),
            step=1 if way.whole else forms.float_step(start), format="%d" if way.whole else "%g", key=f"{key}.{end}", disabled=disabled,
            label_visibility="collapsed", help=None, persist_state=forms.KEPT,
        )  # fmt: skip
        ends.append(float(value))
    if disabled:
        return None
    try:
        return Range(low=ends[0], high=ends[1], log=way.log, whole=way.whole)
    except ValidationError as error:
        raise ValueError(f"{label}: {engine.specs.explain(error)}") from error


def _choices(key: str, name: str, label: str, spec: RunSpec, way: Choices, disabled: bool) -> Choices | None:
    """Values out of a list, to which others can be added where the field is neither a switch nor one of a few words."""
    known = {_text(value): value for value in way.choices}
    annotation, _ = forms.without_none(_field(spec, name).annotation)
    open_ended = annotation is not bool and get_origin(annotation) is not Literal
    chosen = st.multiselect(
        f"{label}: values", list(known), list(known), key=f"{key}.values", disabled=disabled, accept_new_options=open_ended,
        label_visibility="collapsed", placeholder="at least one value", persist_state=forms.KEPT,
    )  # fmt: skip
    if disabled:
        return None
    if not chosen:
        raise ValueError(f"{label} is to be searched, but over no value; choose some, or untick it.")
    return Choices(choices=tuple(known[text] if text in known else _parsed(name, text, spec) for text in chosen))


def _parsed(name: str, text: str, spec: RunSpec) -> Value:
    """A value that somebody typed, as the field has it: 48, or 128, 64. ValueError: the field refuses it."""
    annotation, _ = forms.without_none(_field(spec, name).annotation)
    value = [part.strip() for part in text.split(",") if part.strip()] if get_origin(annotation) is tuple else text.strip()
    try:
        found = engine.specs.settings_of(engine.specs.with_settings(spec, {name: value}))[name]
    except ValidationError as error:
        raise ValueError(engine.specs.explain(error)) from error
    return tuple(found) if isinstance(found, list) else found


def _field(spec: RunSpec, name: str) -> FieldInfo:
    part, _, own = name.partition(".")
    return type(getattr(spec, part)).model_fields[own]


def _text(value: Value) -> str:
    if value is None or isinstance(value, bool):
        return OWN[value]
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def kept(given: Mapping[str, Any] | None) -> Space | None:
    """The space of a spec as JSON, checked; None where it has none, or one that this version cannot read."""
    if given is None:
        return None
    try:
        return engine.specs.SearchSpec.model_validate({"space": given}).space
    except ValidationError:
        return None
