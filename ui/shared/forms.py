"""A spec class as widgets: bounds, help, choices and folding all come from the fields of the class."""

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import streamlit as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

import engine
from ui.shared import words

KEPT: Literal["session"] = "session"  # what was typed survives a visit to another page
AnySpec = TypeVar("AnySpec", bound=BaseModel)
Value = Any  # a raw value of a form field: its type is the field's own, which pydantic checks when the spec is built
Annotation = Any  # of a field: a type, or a form such as int | None that has no type of its own


def inputs(
    spec: type[BaseModel],
    key: str,
    given: Mapping[str, Any] | None = None,
    *,
    columns: int = 2,
    omit: tuple[str, ...] = (),
    only: tuple[str, ...] | None = None,
    fold: bool = True,
    empty: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Draw a widget for every field, the group "more" folded, and return the raw values for `built`.

    Args:
        key: prefix of the widgets' keys; one per form on the page.
        given: values to start from instead of the fields' defaults.
        columns: fields beside each other.
        omit: fields that the page draws elsewhere.
        only: draw these fields alone.
        fold: whether the group "more" is folded.
        empty: what an empty field shows, where that depends on more than its own spec.
    """
    wanted = [name for name in (spec.model_fields if only is None else only) if name not in omit]
    fields = {name: spec.model_fields[name] for name in wanted if not _constant(spec.model_fields[name])}
    first = {name: f for name, f in fields.items() if not (fold and _folded(f))}
    rest = {name: f for name, f in fields.items() if name not in first}
    values = {name: _constant_value(f) for name, f in spec.model_fields.items() if _constant(f)}
    values |= _grid(first, key, given or {}, columns, empty)
    if rest:
        with st.expander("More settings", icon=":material/tune:", key=f"{key}.more"):
            values |= _grid(rest, key, given or {}, columns, empty)
    return values


def built(spec: type[AnySpec], raw: Mapping[str, Any]) -> AnySpec | None:
    """The spec, or None after saying which field is wrong and why."""
    try:
        return spec.model_validate(dict(raw))
    except ValidationError as error:
        st.error(words.md(engine.specs.explain(error), 600), icon=":material/edit_off:")
        return None


def folded(spec: type[BaseModel]) -> tuple[str, ...]:
    """The fields of the group "more"."""
    return tuple(name for name, field in spec.model_fields.items() if _folded(field))


def _grid(fields: Mapping[str, FieldInfo], key: str, given: Mapping[str, Any], columns: int, empty: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Value] = {}
    names = list(fields)
    for at in range(0, len(names), columns):
        for name, column in zip(names[at : at + columns], st.columns(columns, vertical_alignment="bottom"), strict=False):
            with column:
                field = fields[name]
                start = given[name] if name in given else _default(field)
                values[name] = field_input(name, field, f"{key}.{name}", start, empty.get(name))
    return values


def field_input(name: str, field: FieldInfo, key: str, start: Value, empty: str | None = None) -> Value:
    """One field as a widget that starts from a value; returns its raw value. empty: what it shows while it has none."""
    label = field.title or words.field_label(name)
    kinds = _spec_kinds(field.annotation)
    if kinds:
        return _kind_input(label, kinds, key, start)
    annotation, optional = without_none(field.annotation)

    def shown(option: Value) -> str:
        return _empty(field) if option is None else str(option)

    if get_origin(annotation) is Literal:
        options = [*([None] if optional else []), *get_args(annotation)]
        at = options.index(start) if start in options else 0
        return st.selectbox(label, options, index=at, key=key, help=field.description, format_func=shown, persist_state=KEPT)
    if annotation is bool:
        return st.toggle(label, value=bool(start), key=key, help=field.description, persist_state=KEPT)
    if annotation in (int, float):
        return _number_input(label, annotation, field, key, start, optional, empty)
    if get_origin(annotation) is tuple:
        listed = ", ".join(map(str, start or ()))
        text = st.text_input(label, listed, key=key, help=field.description, placeholder="none", max_chars=200, persist_state=KEPT)
        return [part.strip() for part in (text or "").split(",") if part.strip()]
    written = "" if start is None else str(start)
    text = st.text_input(label, written, key=key, help=field.description, max_chars=_longest(field), persist_state=KEPT) or ""
    return None if optional and not text.strip() else text.strip()


def _number_input(label: str, kind: type, field: FieldInfo, key: str, start: Value, optional: bool, empty: str | None) -> Value:
    low, high, step = bounds(field)

    def as_kind(value: Value) -> Value:
        return None if value is None else kind(value)

    if optional and key not in st.session_state:  # a widget with a default returns to it when emptied
        st.session_state[key] = as_kind(start)
    return st.number_input(
        label,
        min_value=as_kind(low),
        max_value=as_kind(high),
        value=None if optional else as_kind(start),
        step=as_kind(step) or (1 if kind is int else float_step(start)),
        format="%d" if kind is int else "%g",
        key=key,
        help=field.description,
        placeholder=(empty or _empty(field)) if optional else None,
        persist_state=KEPT,
    )


def _kind_input(label: str, kinds: list[type[BaseModel]], key: str, start: Value) -> dict[str, Any]:
    """A choice between spec classes, then the fields of the one chosen."""
    given = start.model_dump() if isinstance(start, BaseModel) else dict(start or {})
    spec = pick_kind(label, by_kind(kinds), key, given.get("kind"))
    chosen = _constant_value(spec.model_fields["kind"])
    return inputs(spec, f"{key}.{chosen}", given if chosen == given.get("kind") else None)


def by_kind(kinds: list[type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """The spec classes of a union by their kind."""
    return {_constant_value(spec.model_fields["kind"]): spec for spec in kinds}


def pick_kind(
    label: str, kinds: Mapping[str, type[BaseModel]], key: str, start: str | None, names: Mapping[str, str] | None = None
) -> type[BaseModel]:
    """A choice between spec classes, with the first line of the docstring of the chosen one.

    Args:
        names: labels of the kinds, where their names are not plain enough.
    """
    first = start if start is not None and start in kinds else next(iter(kinds))
    on_change = follow(f"{key}.kind", first, kinds)
    chosen = st.segmented_control(
        label,
        list(kinds),
        required=True,
        format_func=lambda name: (names or {}).get(str(name), words.field_label(str(name))),
        key=f"{key}.kind",
        wrap=True,
        on_change=on_change,
        persist_state=KEPT,
    )
    spec = kinds[chosen or first]
    st.caption((spec.__doc__ or "").split("\n")[0])
    return spec


def follow(key: str, start: Value, options: Iterable[Value]) -> Callable[[], None]:
    """Set the widget of a key, which is yet to be drawn without a start of its own: to what a person chose in it, and else to `start`.

    A default that the widget once had does not stay where other options or another default are offered; a person's choice does.

    Returns:
        The widget's `on_change`.
    """
    mine = f"{key}.mine"
    st.session_state[key] = st.session_state[mine] if st.session_state.get(mine) in options else start

    def keep() -> None:
        st.session_state[mine] = st.session_state[key]

    return keep


def kinds_of(spec: type[BaseModel], field: str) -> dict[str, type[BaseModel]]:
    """The spec classes that a field may hold, by kind."""
    return by_kind(_spec_kinds(spec.model_fields[field].annotation))


def _default(field: FieldInfo) -> Value:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _folded(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("group") == "more"


def _empty(field: FieldInfo) -> str:
    """The placeholder of an empty field."""
    extra = field.json_schema_extra
    return str(extra.get("empty", "none")) if isinstance(extra, dict) else "none"


def _constant(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def _constant_value(field: FieldInfo) -> Value:
    return get_args(field.annotation)[0]


def without_none(annotation: Annotation) -> tuple[Annotation, bool]:
    """int | None -> int, True."""
    if get_origin(annotation) in (Union, UnionType):
        others = [part for part in get_args(annotation) if part is not NoneType]
        if len(others) < len(get_args(annotation)) and len(others) == 1:
            return others[0], True
    return annotation, False


def _spec_kinds(annotation: Annotation) -> list[type[BaseModel]]:
    """The spec classes of a union with a `kind` each; empty for any other annotation."""
    if get_origin(annotation) not in (Union, UnionType):
        return []
    parts = get_args(annotation)
    return list(parts) if all(isinstance(part, type) and issubclass(part, BaseModel) for part in parts) else []


def bounds(field: FieldInfo) -> tuple[Value, Value, Value]:
    """Lowest and highest value and the step, None where the field has none. The spec itself refuses the value of an open bound."""
    low = high = step = None
    for rule in field.metadata:
        low = getattr(rule, "ge", getattr(rule, "gt", low))
        high = getattr(rule, "le", getattr(rule, "lt", high))
        step = getattr(rule, "multiple_of", step)
    return low, high, step


def float_step(start: Value) -> float:
    """A step of about a tenth of the number: 0.05 -> 0.01, 4.0 -> 0.5."""
    if not start:
        return 0.1
    power = 10.0 ** math.floor(math.log10(abs(start)))
    return power / 2 if abs(start) < 2 * power or power >= 1 else power


def _longest(field: FieldInfo) -> int:
    return next((rule.max_length for rule in field.metadata if hasattr(rule, "max_length")), 1000)
