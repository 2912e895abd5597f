"""The form that prepares a dataset: one page, read from top to bottom; each answer updates the preview at once."""

from functools import partial
from typing import NamedTuple

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import engine
from engine.datasets import DatasetSpec
from engine.preview import Preview
from engine.sources import SourceSpec
from ui.data import audit, dataset_charts, features, mapping, rules, splits, times
from ui.data import source as sources
from ui.runs import launch, live
from ui.shared import computes, forms, tables, words

STAGES = ("Source", "Columns", "Label", "Split", "Features", "Audit", "Prepare")
UNSEEN = {"name", "history", "history_order", "sequence", "eval_users", "missing_flags"}  # settings that do not change the audit
READ_AS = {
    "number": "a number", "category": "a class or an action", "actions": "several actions, 0 or 1 each", "none": "none: every row is liked",
}  # fmt: skip


class Cells(NamedTuple):
    """The two columns of a stage: its controls, and their outcome."""

    left: DeltaGenerator
    right: DeltaGenerator


class Places(NamedTuple):
    """Where the outcomes of the stages go."""

    label: DeltaGenerator
    split: DeltaGenerator
    splits: DeltaGenerator
    features: DeltaGenerator
    audit: DeltaGenerator
    prepare: DeltaGenerator


def flow() -> None:
    """Source → columns → label → split → features → audit → prepare."""
    strip = st.container()
    source_at, columns_at = _stage(1), _wide(2)
    source, questions, rows = None, list[str](), None
    with source_at.left:
        kind = sources.pick()
        if kind is not None:
            source, questions = _source(kind, columns_at)
    with source_at.right:
        rows = _rows(source) if source is not None else None
    if kind is not None and source is not None and rows is not None:
        of_label = list[str]()
        spec, places = _rules(kind, source, rows, of_label)
        with places.audit:
            seen = _seen(spec, rows) if spec is not None else None
        _outcomes(kind, source_at, columns_at, places, spec, seen)
        _prepare(_launch_key(kind, source), spec if seen is not None else None, seen, questions + of_label, places.prepare)
        done = {"Source": True, "Columns": not questions, "Prepare": launch.launched(_launch_key(kind, source))}
        done |= dict.fromkeys(("Label", "Split", "Features", "Audit"), seen is not None)
        blocked = seen is not None and any(finding.level == "block" for finding in seen.audit.findings)
        _strip(strip, done | {"Audit": done["Audit"] and not blocked}, {"Columns": questions, "Label": of_label})
        return
    with source_at.right:
        if kind is None:
            st.info("Choose a source to preview its rows here. Nothing is read before that.", icon=":material/preview:")
        elif source is None:
            asked = questions and kind == sources.TABLE and st.session_state.get(f"data.{kind}.source.path")
            todo = "Answer the questions about its columns" if asked else "Name or upload its file"
            st.info(f"{todo} to preview its rows here.", icon=":material/preview:")
    for place in [*([columns_at] if kind is None else []), *(_wide(number) for number in range(3, len(STAGES) + 1))]:
        with place:
            st.caption("Available once the source can be read" + (" and its questions are answered." if questions else "."))
    launch.button([], complete=False, key="prepare", label="Prepare")
    _strip(strip, {}, {"Columns": questions})


def _strip(place: DeltaGenerator, done: dict[str, bool], questions: dict[str, list[str]]) -> None:
    """The stages as links, each with its state: done, open, or with an open question."""
    links = []
    for stage in STAGES:
        asks = bool(questions.get(stage))
        mark = ":material/help:" if asks else ":material/check_circle:" if done.get(stage) else ":material/radio_button_unchecked:"
        links.append(f"{mark} [{stage}](#{stage.lower()})")
    place.markdown(" → ".join(links))


def _heading(number: int) -> None:
    stage = STAGES[number - 1]
    st.header(f"{number} · {stage}", anchor=stage.lower(), divider="gray")


def _stage(number: int) -> Cells:
    """A stage with controls on the left and their outcome on the right; below each other where there is no room."""
    _heading(number)
    grid = st.grid(2, min_column_width=400, gap="large")
    return Cells(grid.cell(), grid.cell())


def _wide(number: int) -> DeltaGenerator:
    _heading(number)
    return st.container()


def _source(kind: str, columns_at: DeltaGenerator) -> tuple[SourceSpec | None, list[str]]:
    """The source that the fields describe, None while they are incomplete; and the questions that are still open."""
    key, questions = f"data.{kind}.source", list[str]()
    if kind == sources.TABLE:
        mapping.place(key)
        with columns_at:
            raw, questions = mapping.choose(key)
            source = forms.built(engine.sources.SOURCES[kind], raw) if raw is not None and not questions else None
            if questions:
                st.caption(":material/help: Open questions: " + " ".join(words.md(question) for question in questions))
        return source, questions
    raw = sources.fields(kind, key)
    return (forms.built(engine.sources.SOURCES[kind], raw) if raw.get("path", True) else None), questions


def _key(kind: str, source: SourceSpec) -> str:
    """Of the controls below the source: each file has its own, which begin with its defaults."""
    path = getattr(source, "path", None)
    return f"data.{kind}.{mapping.digest(path)}" if path else f"data.{kind}"


def _launch_key(kind: str, source: SourceSpec) -> str:
    return f"{_key(kind, source)}.prepare"


def _rows(source: SourceSpec) -> pd.DataFrame | None:
    """The source's first rows; None after saying why they cannot be read."""
    try:
        return sources.rows(source.model_dump_json(), source)
    except (ValueError, LookupError, OSError) as error:
        st.error(words.md(error, 600), icon=":material/error:", title="This source cannot be read")
        return None


def _rules(kind: str, source: SourceSpec, rows: pd.DataFrame, questions: list[str]) -> tuple[DatasetSpec | None, Places]:
    """All controls below the source: the spec, None when it is wrong, and where outcomes go."""
    reading, given, key = source.reading(), source.defaults(), _key(kind, source)
    label_at = _stage(3)
    with label_at.left:
        label = rules.label_controls(reading, rules.values_of(rows), f"{key}.label.{reading.value}", given.get("label"), questions)
    split_at = _stage(4)
    with split_at.left:
        split = rules.split_controls(reading, f"{key}.split", given.get("split"))
        row_rules = rules.row_controls(reading, key, given)
    splits_at = st.container()
    with _wide(5):
        encoded = features.controls(source, key, given)
        features_at = st.container()
    audit_at = _wide(6)
    with _wide(7):
        usual = engine.tables.named(str(getattr(source, "path", ""))) if kind == sources.TABLE else kind.replace("_", "-")
        raw = forms.inputs(
            engine.datasets.DatasetSpec, f"{key}.{usual}", {"name": usual}, columns=3, only=("name", "eval_users", "seed"), fold=False
        )
        spec = forms.built(engine.datasets.DatasetSpec, row_rules | encoded | raw | {"label": label, "split": split, "source": source})
        prepare_at = st.container()
    return spec, Places(label_at.right, split_at.right, splits_at, features_at, audit_at, prepare_at)


def _seen(spec: DatasetSpec, rows: pd.DataFrame) -> Preview | None:
    """The preview of a spec; None after saying why there is none."""
    try:
        return sources.preview(spec.model_dump_json(exclude=UNSEEN), spec, rows)
    except (ValueError, LookupError, OSError) as error:
        st.error(words.md(error, 600), icon=":material/error:", title="These rules cannot be applied")
        return None


def _outcomes(
    kind: str, source_at: Cells, columns_at: DeltaGenerator, places: Places, spec: DatasetSpec | None, seen: Preview | None
) -> None:
    """The outcome of the answers, beside each stage."""
    if spec is None or seen is None:
        return
    label = spec.label.model_dump()
    with source_at.right:
        audit.figures(seen.audit)
        _notes(spec.source)
    with columns_at:
        _columns(kind, spec.source, seen)
    with places.label:
        rules.label_outcome(seen.audit, label, "new")
    with places.split:
        rules.split_outcome(seen.audit, "new")
    with places.splits:
        splits.outcome(seen, spec.split.kind, partial(_pick_split, kind, spec), "new.splits")
    with places.features:
        features.table(seen.audit)
    with places.audit:
        audit.show(seen.audit, lambda: seen.set_aside, "new", spec.duplicates)


def _pick_split(kind: str, spec: DatasetSpec, split: str) -> None:
    """Choose another split with the same shares. kind: of the source."""
    shares = {name: getattr(spec.split, name) for name in ("valid", "test") if hasattr(spec.split, name)}
    rules.pick_split(f"{_key(kind, spec.source)}.split", split, shares)


def _notes(source: SourceSpec) -> None:
    try:
        notes = sources.notes(source.model_dump_json(), source)
    except (ValueError, LookupError, OSError):
        notes = ()
    if notes:
        st.info("\n\n".join(words.md(note, 600) for note in notes), icon=":material/lightbulb:")
    st.button("Read the source again", icon=":material/refresh:", type="tertiary", on_click=_again, help="When the file has changed")


def _again() -> None:
    """Read everything again, also how a table is written and what its columns are."""
    sources.forget()
    mapping.guessed.clear()


def _columns(kind: str, source: SourceSpec, seen: Preview) -> None:
    """How the rows are read, and the first of them."""
    reading, columns = source.reading(), source.features()
    if kind != sources.TABLE:
        sides = {side: [f.name for f in columns if f.side == side] for side in ("user", "item", "context")}
        facts = {
            "ids in a row": " and ".join(f"{side} id" for side in ("user", "item") if getattr(reading, side)) or "neither user nor item",
            "label": READ_AS[reading.value],
            "time": times.unit_words(reading.time) if reading.time else "none",
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


def _prepare(key: str, spec: DatasetSpec | None, seen: Preview | None, questions: list[str], place: DeltaGenerator) -> None:
    """The launch button, what prevents it, and the progress of the preparation."""
    with place:
        blocks = [finding for finding in seen.audit.findings if finding.level == "block"] if seen is not None else []
        stopped = bool(blocks) and seen is not None and not seen.audit.truncated  # the first rows may differ from the rest
        if stopped:
            st.error(words.md(blocks[0].text, 600), icon=":material/block:", title="Cannot be prepared like this")
        complete = spec is not None and not questions and not stopped
        with computes.choose("data.compute"):
            launched = launch.button([spec] if spec is not None else [], complete=complete, key=key, label="Prepare")
        if spec is not None:
            launch.as_command(spec, "data.command")
        if launched:
            st.markdown("**Preparation**")
            if live.watch(launched):
                run = engine.runs.get_run(launched[0])
                of = {"dataset": run.dataset} if run.dataset else {}
                st.page_link("data/page.py", label="See the dataset", icon=":material/table:", query_params={"view": "list"} | of)
                st.page_link("train/page.py", label="Train on it", icon=":material/model_training:", query_params=of)
