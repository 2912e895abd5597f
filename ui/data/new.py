"""The flow that prepares a dataset: one page, read from top to bottom, nothing hidden, everything live."""

from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

import engine
from ui.data import audit, dataset_charts, features, mapping, rules
from ui.data import source as sourcing
from ui.runs import launch, live
from ui.shared import forms, tables, words

STAGES = ("Source", "Columns", "Label", "Split", "Features", "Audit", "Prepare")
UNSEEN = {"name", "history", "history_order", "eval_users", "missing_flags"}  # settings that change nothing in the audit
READ_AS = {
    "number": "a number", "category": "a class or an action", "actions": "several actions, 0 or 1 each", "none": "none: every row is liked",
}  # fmt: skip


class Cells(NamedTuple):
    """Where a stage asks, and where it shows what the answers give."""

    left: Any
    right: Any


def flow() -> None:
    """Source → columns → label → split → features → audit → prepare."""
    strip = st.container()
    source_at, columns_at = _stage(1), _wide(2)
    with source_at.left:
        kind = sourcing.pick()
        source, questions = _source(kind, columns_at)
    with source_at.right:
        rows = _rows(source) if source is not None else None
    if source is not None and rows is not None:
        spec, places = _rules(kind, source, rows)
        with places["audit"]:
            seen = _seen(spec, rows) if spec is not None else None
        _outcomes(kind, source_at, columns_at, places, spec, seen)
        _prepare(spec if seen is not None else None, seen, questions, places["prepare"])
        done = {"Source": True, "Columns": not questions, "Prepare": bool(st.session_state.get("prepare.last"))}
        done |= dict.fromkeys(("Label", "Split", "Features", "Audit"), seen is not None)
        blocked = seen is not None and any(finding.level == "block" for finding in seen.audit.findings)
        _strip(strip, done | {"Audit": done["Audit"] and not blocked}, questions)
        return
    with source_at.right:
        if source is None:
            st.info("What the source holds is shown here as soon as it is named.", icon=":material/preview:")
    for number in range(3, len(STAGES) + 1):
        with _wide(number):
            st.caption("Comes with a source that can be read.")
    launch.button([], complete=False, key="prepare", label="Prepare")
    _strip(strip, {}, questions)


def _strip(place: Any, done: dict[str, bool], questions: list[str]) -> None:
    """The stages as links, each with its state: done, open, or asking."""
    told = []
    for stage in STAGES:
        asks = stage == "Columns" and bool(questions)
        mark = ":material/help:" if asks else ":material/check_circle:" if done.get(stage) else ":material/radio_button_unchecked:"
        told.append(f"{mark} [{stage}](#{stage.lower()})")
    place.markdown(" → ".join(told))


def _heading(number: int) -> None:
    stage = STAGES[number - 1]
    st.subheader(f"{number} · {stage}", anchor=stage.lower(), divider="gray")


def _stage(number: int) -> Cells:
    """A stage with controls on the left and their outcome on the right; below each other where there is no room."""
    _heading(number)
    grid = st.grid(2, min_column_width=400, gap="large")
    return Cells(grid.cell(), grid.cell())


def _wide(number: int) -> Any:
    _heading(number)
    return st.container()


def _source(kind: str, columns_at: Any) -> tuple[Any | None, list[str]]:
    """The source that the fields make, None while they make none; and the questions that are open."""
    key, questions = f"data.{kind}.source", list[str]()
    if kind == sourcing.TABLE:
        mapping.place(key)
        with columns_at:
            raw, questions = mapping.choose(key)
            source = forms.built(engine.sources.SOURCES[kind], raw) if raw is not None and not questions else None
            if questions:
                st.caption(":material/help: Still open: " + " ".join(words.md(question) for question in questions))
        return source, questions
    raw = sourcing.fields(kind, key)
    return (forms.built(engine.sources.SOURCES[kind], raw) if raw.get("path", True) else None), questions


def _rows(source: Any) -> pd.DataFrame | None:
    """The source's first rows; None after saying why they cannot be read."""
    try:
        return sourcing.rows(source.model_dump_json(), source)  # type: ignore[no-any-return]
    except (ValueError, LookupError, OSError) as error:
        st.error(words.md(error, 600), icon=":material/error:", title="This source cannot be read")
        return None


def _rules(kind: str, source: Any, rows: pd.DataFrame) -> tuple[Any | None, dict[str, Any]]:
    """Everything that is asked below the source: the spec, None when it is wrong, and where outcomes go."""
    reading, given, key = source.reading(), source.defaults(), f"data.{kind}"
    places: dict[str, Any] = {"label": _stage(3)}
    with places["label"].left:
        label = rules.label_controls(reading, rules.values_of(rows), f"{key}.label.{reading.value}", given.get("label"))
    places["split"] = _stage(4)
    with places["split"].left:
        split = rules.split_controls(reading, f"{key}.split", given.get("split"))
        kept = rules.row_controls(reading, key, given)
    with _wide(5):
        encoded = features.controls(source, key, given)
        places["features"] = st.container()
    places["audit"] = _wide(6)
    with _wide(7):
        usual = mapping.named(source.path) if kind == sourcing.TABLE else kind.replace("_", "-")
        raw = forms.inputs(
            engine.datasets.DatasetSpec, f"{key}.{usual}", {"name": usual}, columns=3, only=("name", "eval_users", "seed"), fold=False
        )
        spec = forms.built(engine.datasets.DatasetSpec, kept | encoded | raw | {"label": label, "split": split, "source": source})
        places["prepare"] = st.container()
    return spec, places


def _seen(spec: Any, rows: pd.DataFrame) -> Any | None:
    """The preview of a spec; None after saying why there is none."""
    try:
        return sourcing.preview(spec.model_dump_json(exclude=UNSEEN), spec, rows)
    except (ValueError, LookupError, OSError) as error:
        st.error(words.md(error, 600), icon=":material/error:", title="These rules cannot be applied")
        return None


def _outcomes(kind: str, source_at: Cells, columns_at: Any, places: dict[str, Any], spec: Any, seen: Any) -> None:
    """What the answers give, beside each stage."""
    if spec is None or seen is None:
        return
    label = spec.label.model_dump()
    with source_at.right:
        audit.figures(seen.audit)
        _notes(spec.source)
    with columns_at:
        _columns(kind, spec.source, seen)
    with places["label"].right:
        rules.label_outcome(seen.audit, label, "new")
    with places["split"].right:
        rules.split_outcome(seen.audit, "new")
    with places["features"]:
        features.table(seen.audit)
    with places["audit"]:
        audit.show(seen.audit, lambda: seen.set_aside, "new", spec.duplicates)


def _notes(source: Any) -> None:
    try:
        told = sourcing.notes(source.model_dump_json(), source)
    except (ValueError, LookupError, OSError):
        told = ()
    if told:
        st.info("\n\n".join(words.md(note, 600) for note in told), icon=":material/lightbulb:")
    st.button("Read the source again", icon=":material/refresh:", type="tertiary", on_click=_again, help="When the file has changed")


def _again() -> None:
    """Read everything again, also how a table is written and what its columns are."""
    sourcing.forget()
    mapping.guessed.clear()


def _columns(kind: str, source: Any, seen: Any) -> None:
    """What the rows are read as, and the first of them."""
    reading, found = source.reading(), source.features()
    if kind != sourcing.TABLE:
        sides = {side: [f.name for f in found if f.side == side] for side in ("user", "item", "context")}
        facts = {
            "a row names": " and ".join(f"{side} id" for side in ("user", "item") if getattr(reading, side)) or "neither user nor item",
            "label": READ_AS[reading.value],
            "time": mapping.UNITS.get(reading.time, "none") if reading.time else "none",
            **{f"features of the {side}": words.plain(", ".join(names), 300) for side, names in sides.items() if names},
        }
        frame = pd.DataFrame({"read as": list(facts.values())}, index=list(facts))
        grid = st.grid(2, min_column_width=400, gap="large")
        with grid.cell():
            tables.show(tables.small_table(frame, "what", left=True))
        with grid.cell():
            _head(seen.head, reading.time)
        return
    st.markdown("**First rows as they are used**")
    _head(seen.head, reading.time)


def _head(head: pd.DataFrame, time: str | None) -> None:
    if time is None:
        head = head.drop(columns="timestamp", errors="ignore")
    elif time != "order" and "timestamp" in head:
        head = head.assign(timestamp=dataset_charts.moments(head["timestamp"]))
    st.dataframe(
        head.map(lambda value: words.plain(value, 200) if isinstance(value, str) else value),
        hide_index=True,
        height=230,
        placeholder=words.DASH,
        alt="The first rows as they are used, with titles",
    )


def _prepare(spec: Any, seen: Any, questions: list[str], place: Any) -> None:
    """The one button, what still stands in its way, and the preparation as it goes."""
    with place:
        blocks = [finding for finding in seen.audit.findings if finding.level == "block"] if seen is not None else []
        stopped = bool(blocks) and not seen.audit.truncated  # what is true of the first rows need not be of all
        if stopped:
            st.error(words.md(blocks[0].text, 600), icon=":material/block:", title="Not to be prepared like this")
        complete = spec is not None and not questions and not stopped
        launched = launch.button([spec] if spec is not None else [], complete=complete, key="prepare", label="Prepare")
        if spec is not None:
            launch.as_command(spec, "data.command")
        if launched:
            st.markdown("**Preparation**")
            if live.watch(launched):
                run = engine.runs.get_run(launched[0])
                of = {"dataset": run.dataset} if run.dataset else {}
                st.page_link("data/page.py", label="See the dataset", icon=":material/table:", query_params={"view": "list"} | of)
                st.page_link("train/page.py", label="Train on it", icon=":material/model_training:", query_params=of)
