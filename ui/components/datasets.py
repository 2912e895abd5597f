"""The Data page's parts: the list of prepared datasets, one dataset in full, and the flow that prepares a new one."""

import uuid
from typing import Any

import pandas as pd
import streamlit as st

import engine
from ui.components import address, charts, forms, launch, picker, runview, tables, words

SPLITS = ("train", "valid", "test")


def listed(found: list[Any]) -> None:
    """The table of prepared datasets and, below, the one selected."""
    rows = []
    for dataset in found:
        counts, spec = dataset.manifest.get("counts", {}), dataset.manifest.get("spec", {})
        rows.append(
            {
                "Dataset": words.plain(dataset.name, 60),
                "Source": source_name(spec.get("source", {}).get("kind")),
                "Interactions": sum(counts.get("interactions", {}).values()),
                "Users": counts.get("users"),
                "Items": counts.get("items"),
                "Liked": rule(dataset),
                "Split": words.field_label(dataset.manifest.get("split", {}).get("kind", words.DASH)),
                "Users to rank for": counts.get("users_to_rank", {}).get("test"),
                "Prepared": words.ago(moment(dataset.manifest.get("created_at"))),
            }
        )
    number = st.column_config.NumberColumn(format="localized")
    columns = dict.fromkeys(("Interactions", "Users", "Items", "Users to rank for"), number)
    chosen = picker.pick_row(pd.DataFrame(rows), [d.id for d in found], "data.table", "dataset", columns, "Prepared datasets")
    by_id = {dataset.id: dataset for dataset in found}
    if chosen:
        full(by_id[chosen])
    else:
        st.caption("Select a dataset to see what is in it.")
        st.page_link("views/train.py", label="Train on a dataset", icon=":material/model_training:")


def full(dataset: Any) -> None:
    """One dataset: what its split holds, what popularity reaches on it, what models can read, how it was made."""
    manifest = dataset.manifest
    counts = manifest.get("counts", {})
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(words.md(dataset.title, 120), anchor=False, width="content")
        st.caption(words.md(dataset.id), width="content")
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Train on it", type="primary", icon=":material/model_training:"):
            st.switch_page("views/train.py", query_params={"dataset": dataset.id})
        if st.button("Check its files", icon=":material/verified:", help="Compare every file with the size and digest in the manifest"):
            _verify(dataset.id)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**What the split holds**")
        tables.show(tables.small_table(split_counts(counts), "split"))
        cold = [words.count(counts.get(f"cold_{kind}_rows_test")) for kind in ("user", "item")]
        notes = [
            f"train knows {words.count(counts.get('train_users'))} users and {words.count(counts.get('train_items'))} items",
            f"{cold[0]} test rows of users and {cold[1]} of items never seen in train",
            f"{words.count(counts.get('items_without_title'))} items without a title",
        ]
        st.caption(" · ".join(notes))
    with right:
        st.markdown("**What models can read**")
        tables.show(tables.small_table(features(dataset.schema), "feature", left=True))
    baselines(dataset.id)
    with st.expander("How it was made", icon=":material/terminal:", key=f"made.{dataset.id}"):
        st.json(manifest.get("spec", {}), expanded=True)
        st.caption(f"Fingerprint {words.md(manifest.get('fingerprint', words.DASH))}")


def _verify(dataset_id: str) -> None:
    with st.spinner("Reading every file and comparing digests …"):
        try:
            engine.verify(dataset_id)
        except ValueError as error:
            st.error(words.md(error, 600), icon=":material/error:")
        else:
            st.success("Every file has the size and digest that the manifest names.", icon=":material/verified:")


def split_counts(counts: dict[str, Any]) -> pd.DataFrame:
    """Rows, positive share and users to rank for, a row a split; ready text."""
    rows = counts.get("interactions", {})
    positives = counts.get("positives", {})
    to_rank = counts.get("users_to_rank", {})
    sampled = counts.get("sampled_users", {})
    return pd.DataFrame(
        {
            "rows": [words.count(rows.get(split)) for split in SPLITS],
            "liked": [words.percent(positives[split] / rows[split]) if rows.get(split) else words.DASH for split in SPLITS],
            "users to rank for": [words.count(to_rank.get(split)) for split in SPLITS],
            "measured": [words.count(sampled.get(split)) for split in SPLITS],
        },
        index=list(SPLITS),
    )


def features(schema: Any) -> pd.DataFrame:
    """The schema as ready text: name, side, kind, rows."""
    rows = [
        (f.name, f.side, "bag of categories" if f.multi_valued else "category", words.count(f.num_rows)) for f in schema.categorical
    ] + [(f.name, f.side, "number", words.DASH) for f in schema.dense]
    return pd.DataFrame([row[1:] for row in rows], index=[row[0] for row in rows], columns=["side", "kind", "rows"])


def baselines(dataset_id: str) -> None:
    """What popularity and chance reach, the bar for every model."""
    try:
        found = engine.baseline_results(dataset_id)
    except LookupError:
        return
    keys = [key for key in engine.METRICS if any(not words.missing(result.get(key)) for result in found.values())]
    frame = pd.DataFrame(
        [[words.number(result.get(key)) for key in keys] for result in found.values()],
        index=[name.capitalize() for name in found],
        columns=[engine.METRICS[key].label for key in keys],
    )
    st.markdown("**The bar to clear on test**")
    tables.show(tables.small_table(frame, "baseline"))


def rule(dataset: Any) -> str:
    """The label rule with its number."""
    label = dataset.manifest.get("label", {})
    at = f"{label['threshold']:.3g}" if "threshold" in label else words.DASH
    return f"≥ {at} (mean)" if label.get("kind") == "mean" else f"≥ {at}"


def source_name(kind: str | None) -> str:
    """The name people say of a source kind."""
    found = engine.SOURCES.get(kind or "")
    return found.label if found else (kind or words.DASH)


def moment(text: str | None) -> Any:
    """An ISO time of a manifest; None when there is none."""
    if not text:
        return None
    found = pd.to_datetime(text, utc=True, errors="coerce")
    return None if pd.isna(found) else found.to_pydatetime()


def new() -> None:
    """Source, label, split and name on the left; what they give on the right; then prepare."""
    grid = st.grid(2, min_column_width=420, gap="medium")
    with grid.cell():
        source = choose_source()
        raw = forms.inputs(
            engine.DatasetSpec, f"data.{source['kind']}", {"name": source["kind"].replace("_", "-")}, columns=1, omit=("source",)
        )
        spec = forms.built(engine.DatasetSpec, raw | {"source": source}) if source.get("path", True) else None
        launched = launch.button([spec] if spec else [], complete=spec is not None, key="prepare", label="Prepare")
    with grid.cell():
        if spec is None:
            st.info("The ratings are shown here as soon as a source is named.", icon=":material/preview:")
        else:
            _shown(spec)
    if launched:
        st.subheader("Preparation", anchor=False)
        if runview.watch(launched):
            run = engine.get_run(launched[0])
            st.page_link("views/data.py", label="See the dataset", icon=":material/table:", query_params={"view": "list"} | _of(run))
            st.page_link("views/train.py", label="Train on it", icon=":material/model_training:", query_params=_of(run))


def _of(run: Any) -> dict[str, str]:
    return {"dataset": run.dataset} if run.dataset else {}


def choose_source() -> dict[str, Any]:
    """The source's raw fields with its kind; an uploaded archive becomes a path."""
    kinds = list(engine.SOURCES)
    asked = address.value("source")
    ready = [name for name, spec in engine.SOURCES.items() if not any(field.is_required() for field in spec.model_fields.values())]
    address.seed("data.source", "source", asked if asked in kinds else (ready or kinds)[0])
    kind = st.segmented_control("Source", kinds, format_func=source_name, key="data.source", required=True)
    address.remember("data.source", "source", kind)
    source = engine.SOURCES[kind or kinds[0]]
    st.caption(source.description)
    takes_file = "path" in source.model_fields
    if takes_file:
        with st.expander("Upload a zip", icon=":material/upload_file:", key="data.uploading"):
            st.file_uploader(
                "MovieLens as a zip, at most 200 MB; name larger ones by their path below",
                type=["zip"],
                max_upload_size=200,
                key="data.upload",
                on_change=_keep_upload,
                args=(f"data.{kind}.source.path",),
            )
    return {"kind": source.model_fields["kind"].default} | forms.inputs(source, f"data.{kind}.source", columns=1 if takes_file else 2)


def _keep_upload(path_key: str) -> None:
    """Write the upload into the workspace under a name of our own and name it as the source's path."""
    upload = st.session_state.get("data.upload")
    if upload is None:
        return
    folder = engine.settings().uploads
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{uuid.uuid4().hex}.zip"
    target.write_bytes(upload.getbuffer())
    st.session_state[path_key] = str(target)


@st.cache_data(max_entries=8, ttl=900, show_spinner="Reading the ratings …")
def _preview(key: str, _source: Any) -> Any:
    _source.check()
    return engine.preview(_source)


@st.cache_data(max_entries=32, ttl=900, show_spinner="Working out what the split leaves …")
def _preview_split(key: str, _spec: Any) -> Any:
    return engine.preview_split(_spec.source, _spec.label, _spec.split)


def _shown(spec: Any) -> None:
    """What the source holds and what the label rule and the split make of it."""
    try:
        seen = _preview(spec.source.model_dump_json(), spec.source)
        split = _preview_split(spec.model_dump_json(include={"source", "label", "split"}), spec)
    except (ValueError, LookupError, OSError) as error:
        st.error(words.md(error, 600), icon=":material/error:", title="This source cannot be read")
        return
    grid = st.grid(min_column_width=110)
    grid.metric("Interactions", words.count(seen.rows))
    grid.metric("Users", words.count(seen.users))
    grid.metric("Items", words.count(seen.items))
    grid.metric("Density", words.percent(seen.density), help="Share of all user-item pairs that have a rating")
    st.markdown("**Ratings and the label rule**")
    share = split.positive_share
    charts.show(
        charts.rating_histogram(seen.ratings, split.threshold),
        f"Histogram of ratings; liked from {words.number(split.threshold)}: {words.percent(share['train'])} of train",
        key="data.ratings",
    )
    to_rank = words.count(split.users_to_rank["test"])
    st.markdown(f"**The split**: {words.percent(share['train'])} of train is liked; {to_rank} users to rank for on test")
    tables.show(tables.small_table(_split_frame(split), "split"))
    st.caption(
        f"Test has {words.count(split.cold_users_test)} users and {words.count(split.cold_items_test)} items unknown to train. "
        "Ranking metrics are means over the users to rank for: a few dozen leave wide intervals."
    )
    charts.show(charts.timeline(split.timeline), "Interactions over time, by split", key="data.timeline")
    st.markdown("**First rows**")
    st.dataframe(seen.head, hide_index=True, height=220, placeholder=words.DASH, alt="The first interactions with their titles")
    launch.as_command(spec, "data.command")


def _split_frame(split: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rows": [words.count(split.rows[name]) for name in SPLITS],
            "liked": [words.percent(split.positive_share[name]) for name in SPLITS],
            "users to rank for": [words.count(split.users_to_rank.get(name)) for name in SPLITS],
        },
        index=list(SPLITS),
    )
