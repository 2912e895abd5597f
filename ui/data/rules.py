"""Label rule, split and row filters: their controls and their outcomes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st
from pydantic import BaseModel

import engine
from engine.datasets import Audit
from engine.sources import Reading
from ui.data import dataset_charts
from ui.shared import charts, forms, tables, words

SPLITS = ("train", "valid", "test")
MOST_STEPS = 100  # different labels that a slider steps through
LABELS = {
    "threshold": "≥ threshold",
    "mean": "≥ mean",
    "user_mean": "≥ user's mean",
    "given": "As given, 0 or 1",
    "regression": "The value itself",
    "multi_class": "Classes",
    "actions": "Several actions",
    "implicit": "None: every row is liked",
}
SPLIT_NAMES = {"time": "By time", "per_user": "Last of each user", "last": "Leave one out", "random": "Random", "column": "My column"}
IMPLICIT = (
    "**Implicit feedback.** There is no rating: each interaction counts as positive. Only objectives that contrast with items "
    "*not* chosen can learn from it: softmax for retrieval, or catalogue negatives for ranking. "
    "Plain pointwise objectives would predict yes for everything and are refused."
)
RANDOM = (
    "A random split leaks the future: models train on interactions later than the test rows, so metrics come out better than in "
    "use. Use it for data without timestamps, or to reproduce published results."
)
PER_USER = (
    "A split per user leaks other users' future: models train on interactions of others that are later than a user's test rows. It asks "
    "what each user does next, not what happens next month."
)
LEAVE_ONE_OUT = (
    "Each user's last like is test, the like before it validation, as in most published results on sequences. Train contains likes that "
    "are later than other users' test items (Ji et al., TOIS 2023), so metrics come out better than in use."
)
TOOLTIPS = {
    "rows": "Rows in this split.",
    "liked": "Rows that count as liked under the label rule, and their share.",
    "users": "Distinct users in this split.",
    "items": "Distinct items in this split.",
    "cold users": "Users not seen in training, and their rows here. Models know nothing about them.",
    "cold items": "Items not seen in training, and their rows here. No model can rank them.",
    "users to rank for": "Users seen in training who like an item here that is new to them. Ranking metrics are means over them.",
}


class Values(NamedTuple):
    """What the labels of a source look like. `steps`: the distinct values in order, where they are few; `classes`: classes or actions."""

    low: float | None = None
    high: float | None = None
    steps: tuple[float, ...] = ()
    middle: float | None = None
    classes: tuple[str, ...] = ()


def values_of(rows: pd.DataFrame) -> Values:
    """The labels of rows that were read (`engine.preview_rows`) and not set aside."""
    used = rows[rows["reason"].isna()] if "reason" in rows else rows
    if "rating" in used and used["rating"].notna().any():
        counts = used["rating"].value_counts().sort_index()
        steps = tuple(float(value) for value in counts.index) if len(counts) <= MOST_STEPS else ()
        names = tuple(f"{value:g}" for value in steps)
        return Values(float(counts.index[0]), float(counts.index[-1]), steps, float(used["rating"].median()), names)
    if "category" in used:
        counts = used["category"].str.split("|").explode().value_counts()
        return Values(classes=tuple(str(name) for name in counts.index[:MOST_STEPS]))
    return Values(classes=tuple(name.removeprefix("action.") for name in map(str, used) if name.startswith("action.")))


def label_controls(reading: Reading, values: Values, key: str, start: Mapping[str, Any] | None, questions: list[str]) -> dict[str, Any]:
    """The rule and its settings as raw fields; only rules that suit what the rows carry. What is left open goes to `questions`."""
    every = forms.kinds_of(engine.datasets.DatasetSpec, "label")
    kinds = {kind: every[kind] for kind in engine.datasets.LABELS_OF[reading.value] if kind in every}
    if not reading.user:
        kinds.pop("user_mean", None)
    if list(kinds) == ["implicit"]:
        st.info(IMPLICIT, icon=":material/touch_app:")
        return {"kind": "implicit"}
    given = dict(start or {})
    if given.get("kind") == "threshold" and engine.preview.is_given(values.steps):
        given = {"kind": "given"}
    spec = forms.pick_kind("What counts as liked", kinds, key, given.get("kind"), LABELS)
    kind = next(name for name, one in kinds.items() if one is spec)
    given = given if given.get("kind") == kind else {}
    raw: dict[str, Any] = {"kind": kind}
    if kind == "threshold":
        raw["threshold"] = _number("Liked from", values, f"{key}.threshold", given.get("threshold", 4.0), False, spec, "threshold")
    elif kind == "regression":
        raw["liked_from"] = _number("Liked from", values, f"{key}.liked_from", given.get("liked_from"), True, spec, "liked_from")
    elif "liked" in spec.model_fields:
        raw["liked"] = _liked(kind, values, key, spec, kind == "actions" and reading.value == "category", questions)
    return raw


def _number(label: str, values: Values, key: str, start: float | None, optional: bool, spec: type[BaseModel], field: str) -> float | None:
    """A value in the range of the labels: a slider for few distinct values, else a number field."""
    tooltip, low, high = spec.model_fields[field].description, values.low, values.high
    if low is None or high is None:
        return start
    if start is not None:
        start = engine.preview.usual_threshold(values.steps, low, high, low if values.middle is None else values.middle, start)
    if len(values.steps) > 1 and not optional:
        return st.select_slider(
            label,
            values.steps,
            high if start is None else start,
            format_func=lambda v: f"{v:g}",
            key=f"{key}.{hash(values.steps)}",
            help=tooltip,
            persist_state=forms.KEPT,
        )
    name = f"{key}.{low:g}.{high:g}"
    if optional and name not in st.session_state:
        st.session_state[name] = start
    return st.number_input(
        f"{label} ({low:g} to {high:g})",
        min_value=low,
        max_value=high,
        value=None if optional else start,
        step=(high - low) / 100 or None,
        format="%g",
        key=name,
        help=tooltip,
        placeholder="the mean of train",
        persist_state=forms.KEPT,
    )


def _liked(kind: str, values: Values, key: str, spec: type[BaseModel], events: bool, questions: list[str]) -> list[str]:
    """The classes or actions that count as liked. The stronger actions are preselected, unless the most frequent one is among them:
    then they are asked for."""
    stronger = engine.preview.usual_likes(values.classes) if kind == "actions" else []
    frequent = engine.preview.strong_and_frequent(values.classes) if events else None
    usual = f"the last in order: {max(values.classes)}" if kind == "multi_class" and values.classes else ", ".join(stronger)
    if values.steps:
        usual = f"the highest: {values.steps[-1]:g}"
    liked = st.multiselect(
        "Counts as liked" + (" · please choose" if frequent else ""),
        list(values.classes),
        stronger if not frequent else [],
        format_func=lambda name: words.plain(name, 60),
        placeholder=f"none chosen: {words.plain(usual, 60)}",
        key=f"{key}.liked.{hash(values.classes)}",
        help=spec.model_fields["liked"].description,
        persist_state=forms.KEPT,
    )
    if frequent and not liked:
        named = words.md(words.plain(frequent, 40))
        question = f"Choose the actions that count as liked: {named} is the most frequent one, and says more than a view."
        st.warning(question, icon=":material/help:")
        questions.append(question)
    return liked


def liked_of(audit: Audit, label: Mapping[str, Any]) -> list[str]:
    """The classes or actions that count as liked under a label rule."""
    if label.get("kind") not in ("multi_class", "actions"):
        return []
    chosen = [str(name) for name in label.get("liked") or ()]
    return chosen or (engine.preview.usual_likes(audit.classes) if label["kind"] == "actions" else list(audit.classes[-1:]))


def label_outcome(audit: Audit, label: Mapping[str, Any], key: str) -> None:
    """The distribution of labels with the rule drawn on it, and the share of liked rows."""
    liked = liked_of(audit, label)
    train = audit.splits.get("train")
    share = words.percent(train.positive_share) if train else words.DASH
    if audit.ratings:
        st.markdown("**Labels and the rule**", help="Rows per label; blue bars count as liked.")
        figure = dataset_charts.rating_histogram(audit.ratings, audit.rating_bin, audit.threshold, liked)
        charts.show(figure, f"Histogram of labels; {share} of train is liked", key=f"{key}.labels")
    elif audit.categories:
        st.markdown("**Classes and the rule**", help="Rows per class or action; those with a check mark count as liked.")
        charts.show(
            dataset_charts.class_bars(audit.categories, liked), f"Rows of each class; {share} of train is liked", key=f"{key}.classes"
        )
        if len(audit.categories) > dataset_charts.MOST_CLASSES:
            st.caption(f"The most frequent {dataset_charts.MOST_CLASSES} of {words.count(len(audit.categories))} are shown.")
    balance(audit, label)


def balance(audit: Audit, label: Mapping[str, Any]) -> None:
    """The class balance: a figure per split, and a sentence."""
    grid = st.grid(min_column_width=120, gap="small")
    for name in SPLITS:
        if name in audit.splits:
            side = audit.splits[name]
            of = f"{words.count(side.positives)} of {words.count(side.rows)} rows are liked."
            grid.metric(f"Liked in {name}", words.percent(side.positive_share), help=of)
    rows, liked = (sum(getattr(side, field) for side in audit.splits.values()) for field in ("rows", "positives"))
    sentences = [f"{words.count(liked)} of {words.count(rows)} rows count as liked."]
    test = audit.splits.get("test")
    if test is not None and test.users_to_rank is not None and test.users is not None:
        sentences.append(
            f"{words.count(test.users_to_rank)} of {words.count(test.users)} test users have likes that ranking metrics can measure."
        )
    if label.get("kind") == "user_mean":
        sentences.append("The threshold differs by user, so no line is drawn.")
    outputs = {"regression": "the value itself", "multi_class": "one of the classes", "actions": "each of the actions"}
    if audit.output in outputs:
        sentences.append(f"Models predict {outputs[audit.output]}; likes are used for ranking and history.")
    st.caption(" ".join(sentences))


def split_controls(reading: Reading, key: str, start: Mapping[str, Any] | None) -> dict[str, Any]:
    """The split and its shares as raw fields; only splits that the source allows."""
    kinds = forms.kinds_of(engine.datasets.DatasetSpec, "split")
    timed = reading.time is not None
    allowed = {"time": timed, "per_user": timed and reading.user, "last": timed and reading.user, "random": True, "column": reading.split}
    kinds = {kind: spec for kind, spec in kinds.items() if allowed.get(kind, True)}
    given = dict(start or {})
    usual = given.get("kind") or ("column" if reading.split else "time" if timed else "random")
    spec = forms.pick_kind("What is held out", kinds, key, usual, SPLIT_NAMES)
    kind = next(name for name, one in kinds.items() if one is spec)
    raw = forms.inputs(spec, f"{key}.{kind}", given if given.get("kind") == kind else None)
    if kind == "random":
        st.caption(RANDOM if timed else f"There is no timestamp, so nothing can be held out by time. {RANDOM}")
    if kind == "per_user":
        st.caption(PER_USER)
    if kind == "last":
        st.caption(LEAVE_ONE_OUT)
    return raw | {"kind": kind}


def pick_split(key: str, kind: str, shares: Mapping[str, float]) -> None:
    """Choose a split in the controls of `split_controls`, whose key is given, with some shares, as a person would."""
    st.session_state[f"{key}.kind.mine"] = kind
    for name, share in shares.items():
        st.session_state[f"{key}.{kind}.{name}"] = share


def row_controls(reading: Reading, key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Which rows stay: the policy on duplicates and the minimums (k-core)."""
    fields = engine.datasets.DatasetSpec.model_fields
    policies = ["exact", "latest", "first", "mean", "keep"] if reading.user and reading.item else ["exact", "keep"]
    if reading.value != "number" and "mean" in policies:
        policies.remove("mean")
    names = {
        "exact": "Set exact copies aside", "latest": "One row per pair: the latest", "first": "One row per pair: the first",
        "mean": "One row per pair: the mean", "keep": "Keep every row",
    }  # fmt: skip
    usual, name = given.get("duplicates", "exact"), f"{key}.duplicates"
    on_change = forms.follow(name, usual if usual in policies else policies[0], policies)
    raw: dict[str, Any] = {
        "duplicates": st.selectbox(
            "Duplicates", policies, format_func=lambda name: names[name], key=name, on_change=on_change,
            help=fields["duplicates"].description, persist_state=forms.KEPT,
        )
    }  # fmt: skip
    minimums = [f"min_{side}_interactions" for side in ("user", "item") if getattr(reading, side)]
    return raw | forms.inputs(engine.datasets.DatasetSpec, key, given, only=tuple(minimums))


def split_outcome(audit: Audit, key: str) -> None:
    """Rows, users and items of each split, cold ones among them, and rows over time."""
    st.markdown("**Rows by split**")
    tables.show(tables.small_table(split_frame(audit), "split", tooltips=TOOLTIPS))
    core = sum(rows for why, rows in audit.set_aside.items() if "minimum" in why)
    if core:
        st.caption(f"The minimum counts set {words.count(core)} rows aside.")
    if audit.timeline:
        figure = dataset_charts.timeline(audit.timeline, audit.time == "order")
        charts.show(figure, "Rows over time, stacked by split", key=f"{key}.timeline")
    elif audit.splits:
        charts.show(dataset_charts.split_bar(audit.splits), "Rows of each split", key=f"{key}.split")


def split_frame(audit: Audit) -> pd.DataFrame:
    """Ready text, one row per split; columns for ids that the source does not have are left out."""
    cells: dict[str, list[str]] = {name: [] for name in TOOLTIPS}
    names = [name for name in SPLITS if name in audit.splits]
    for name in names:
        side = audit.splits[name]
        cells["rows"].append(words.count(side.rows))
        cells["liked"].append(f"{words.count(side.positives)} ({words.percent(side.positive_share)})")
        cells["users"].append(words.count(side.users))
        cells["items"].append(words.count(side.items))
        cells["cold users"].append(_cold(side.cold_users, side.cold_user_rows, name))
        cells["cold items"].append(_cold(side.cold_items, side.cold_item_rows, name))
        cells["users to rank for"].append(words.count(side.users_to_rank))
    frame = pd.DataFrame(cells, index=names)
    return frame[[column for column in frame if not (frame[column] == words.DASH).all()]]


def _cold(ids: int | None, rows: int | None, split: str) -> str:
    if ids is None or split == "train":
        return words.DASH
    return words.count(ids) if not rows else f"{words.count(ids)} ({words.count(rows)} rows)"
