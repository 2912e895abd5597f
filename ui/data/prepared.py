"""Prepared datasets: the list, and one in detail: its content, its audit, how it was made."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

import engine
from engine.datasets import Dataset
from engine.specs import FeatureSchema
from ui.data import audit, features, rules, source
from ui.shared import address, picker, tables, words

SPLITS = ("train", "valid", "test")
PARTS = {"overview": "Overview", "audit": "Audit", "made": "How it was made"}


def listed(datasets: list[Dataset]) -> None:
    """The table of prepared datasets and, below, the one selected."""
    rows = []
    for dataset in datasets:
        counts, spec = dataset.manifest.get("counts", {}), dataset.manifest.get("spec", {})
        rows.append(
            {
                "Dataset": words.plain(dataset.name, 60),
                "Source": source.name_of(spec.get("source", {}).get("kind")),
                "Interactions": sum(counts.get("interactions", {}).values()),
                "Users": counts.get("users"),
                "Items": counts.get("items"),
                "Liked": rule(dataset),
                "Split": split_name(dataset),
                "Users to rank for": counts.get("users_to_rank", {}).get("test"),
                "Prepared": words.ago(moment(dataset.manifest.get("created_at"))),
            }
        )
    number = st.column_config.NumberColumn(format="localized")
    columns = dict.fromkeys(("Interactions", "Users", "Items", "Users to rank for"), number)
    chosen = picker.pick_row(
        pd.DataFrame(rows), [dataset.id for dataset in datasets], "data.table", "dataset", columns, "Prepared datasets"
    )
    by_id = {dataset.id: dataset for dataset in datasets}
    if chosen:
        full(by_id[chosen])
    else:
        st.caption("Select a dataset to see its split, features and audit.")
        st.page_link("train/page.py", label="Train on a dataset", icon=":material/model_training:")


def full(dataset: Dataset) -> None:
    """One dataset: its split, features, baselines, audit, and how it was made."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(words.md(dataset.title, 120), anchor=False, width="content")
        st.caption(words.md(dataset.id), width="content")
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Train on it", type="primary", icon=":material/model_training:"):
            st.switch_page("train/page.py", query_params={"dataset": dataset.id})
        if st.button("Check its files", icon=":material/verified:", help="Compares the size and digest of every file with the manifest"):
            _verify(dataset.id)
    if why := engine.datasets.why_no_ranking(dataset):
        st.info(words.md(why, 600), icon=":material/person_off:", title="Recommendations cannot be browsed")
    requested = address.value("part")
    address.seed("data.part", "part", requested if requested in PARTS else "overview")
    part = st.segmented_control(
        "Part", list(PARTS), format_func=PARTS.__getitem__, key="data.part", required=True, label_visibility="collapsed"
    )
    address.remember("data.part", "part", None if part == "overview" else part)
    if part == "audit":
        audited(dataset)
    elif part == "made":
        st.json(dataset.manifest.get("spec", {}), expanded=True)
        if cost := dataset.manifest.get("cost"):
            memory = words.size(cost["peak_memory_bytes"])
            st.caption(f"Prepared in {words.duration(cost['seconds'])}, peak memory of the driver {memory}.")
        st.caption(f"Fingerprint {words.md(dataset.manifest.get('fingerprint', words.DASH))}")
    else:
        overview(dataset)


def overview(dataset: Dataset) -> None:
    """Its split, its features, and the metrics of baselines on it."""
    counts = dataset.manifest.get("counts", {})
    grid = st.grid(2, min_column_width=400, gap="large")
    with grid.cell():
        st.markdown("**Split**")
        tables.show(tables.small_table(split_counts(counts), "split"))
        notes = [_known(counts), _cold(counts)]
        if counts.get("items"):
            notes.append(f"{words.count(counts.get('items_without_title'))} items without a title")
        if aside := set_aside(counts):
            notes.append(f"{words.count(aside)} of {words.count(counts.get('rows_read'))} rows set aside")
        st.caption(" · ".join(note for note in notes if note))
    with grid.cell():
        st.markdown("**Features**")
        _fields(dataset.schema)
    baselines(dataset.id)


def set_aside(counts: dict[str, Any]) -> int:
    """Rows that were read and are not used."""
    rows = counts.get("set_aside", 0)  # by reason; older manifests have the sum
    return sum(rows.values()) if isinstance(rows, dict) else int(rows or 0)


def _known(counts: dict[str, Any]) -> str:
    known = [f"{words.count(counts[f'train_{kind}s'])} {kind}s" for kind in ("user", "item") if counts.get(f"train_{kind}s") is not None]
    return f"{' and '.join(known)} in training" if known else ""


def _cold(counts: dict[str, Any]) -> str:
    cold = [
        f"{words.count(counts[f'cold_{kind}_rows_test'])} test rows of {kind}s"
        for kind in ("user", "item")
        if counts.get(f"cold_{kind}_rows_test") is not None
    ]
    return f"{' and '.join(cold)} not seen in training" if cold else ""


def audited(dataset: Dataset) -> None:
    """The audit that was stored when the dataset was prepared."""
    try:
        stored = engine.datasets.audit(dataset.id)
    except (ValueError, LookupError, OSError) as error:
        st.error(words.md(error, 600), icon=":material/error:", title="The audit cannot be read")
        return
    if stored is None:
        st.info("This dataset was prepared before audits were kept; prepare it again to have one.", icon=":material/rule:")
        return
    spec, key = dataset.manifest.get("spec", {}), f"audit.{dataset.id}"
    audit.figures(stored)
    audit.show(stored, lambda: engine.datasets.set_aside(dataset.id), key, spec.get("duplicates"))
    grid = st.grid(2, min_column_width=400, gap="large")
    with grid.cell():
        rules.label_outcome(stored, dataset.manifest.get("label", {}), key)
    with grid.cell():
        rules.split_outcome(stored, key)
    st.markdown("**Features**", help="Values of each feature in the rows used.")
    features.table(stored)


def _verify(dataset_id: str) -> None:
    with st.spinner("Reading every file and comparing digests …"):
        try:
            engine.datasets.verify(dataset_id)
        except ValueError as error:
            st.error(words.md(error, 600), icon=":material/error:")
        else:
            st.success("All files match the sizes and digests in the manifest.", icon=":material/verified:")


def split_counts(counts: dict[str, Any]) -> pd.DataFrame:
    """Rows, positive share and users to rank for, one row per split; ready text. Columns without values are left out."""
    rows = counts.get("interactions", {})
    positives = counts.get("positives", {})
    to_rank, sampled = counts.get("users_to_rank") or {}, counts.get("sampled_users") or {}
    frame = pd.DataFrame(
        {
            "rows": [words.count(rows.get(split)) for split in SPLITS],
            "liked": [words.percent(positives[split] / rows[split]) if rows.get(split) else words.DASH for split in SPLITS],
            "users to rank for": [words.count(to_rank.get(split)) for split in SPLITS],
            "measured": [words.count(sampled.get(split)) for split in SPLITS],
        },
        index=list(SPLITS),
    )
    return frame[[column for column in frame if not (frame[column] == words.DASH).all()]]


def fields(schema: FeatureSchema) -> pd.DataFrame:
    """The schema as ready text: name, side, kind, rows."""
    rows = [
        (f.name, f.side, "bag of categories" if f.multi_valued else "category", words.count(f.num_rows)) for f in schema.categorical
    ] + [(f.name, f.side, "number", words.DASH) for f in schema.dense]
    return pd.DataFrame([row[1:] for row in rows], index=[row[0] for row in rows], columns=["side", "kind", "rows"])


def _fields(schema: FeatureSchema) -> None:
    """The features; a long table scrolls."""
    frame = fields(schema)
    if len(frame) <= 14:
        tables.show(tables.small_table(frame, "feature", left=True))
    else:
        st.dataframe(frame.rename_axis("feature").reset_index(), hide_index=True, height=420, alt="Features, one per row")


def baselines(dataset_id: str) -> None:
    """Test metrics of popularity and random, which every model should exceed."""
    try:
        results = engine.datasets.baseline_results(dataset_id)
    except LookupError:
        return
    keys = [key for key in engine.specs.METRICS if any(not words.missing(result.get(key)) for result in results.values())]
    if not keys:
        return
    frame = pd.DataFrame(
        [[words.number(result.get(key)) for result in results.values()] for key in keys],
        index=[engine.specs.METRICS[key].label for key in keys],
        columns=[words.field_label(name) for name in results],
    )
    tooltips = {engine.specs.METRICS[key].label: engine.specs.METRICS[key].description for key in keys}
    st.markdown("**Baselines on test**")
    tables.show(tables.small_table(frame, "metric", tooltips=tooltips))


def rule(dataset: Dataset) -> str:
    """The label rule with its number or its classes."""
    label = dataset.manifest.get("label", {})
    kind, threshold = label.get("kind"), label.get("threshold")
    at = words.DASH if threshold is None else f"{threshold:.3g}"
    names = [str(name) for name in label.get("liked") or ()]
    names = [] if kind == "actions" and names == label.get("classes") else names  # all of them: any
    chosen = words.plain(" or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part), 40)
    rules_in_words = {
        "mean": f"≥ {at} (mean)", "threshold": f"≥ {at}", "user_mean": "≥ the user's mean", "given": "label 1", "implicit": "every row",
        "regression": f"≥ {at}, the value is predicted", "multi_class": f"class {chosen}" if chosen else "the last class",
        "actions": chosen or "any action",
    }  # fmt: skip
    return rules_in_words.get(str(kind), words.DASH)


def split_name(dataset: Dataset) -> str:
    """The split as people call it."""
    kind = dataset.manifest.get("split", {}).get("kind", words.DASH)
    return rules.SPLIT_NAMES.get(kind, words.field_label(kind))


def moment(text: str | None) -> datetime | None:
    """An ISO time of a manifest; None when there is none."""
    if not text:
        return None
    time = pd.to_datetime(text, utc=True, errors="coerce")
    return None if pd.isna(time) else time.to_pydatetime()
