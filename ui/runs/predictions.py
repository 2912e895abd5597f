"""What a dataset asks models to predict, and what a finished run predicts: pictures, and test rows to look at."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

import engine
from ui.runs import prediction_charts
from ui.shared import charts, tables, words

MOST_NAMES = 12
NEW = {"user_id": "new user", "item_id": "new item", "title": "new item"}  # to train: it has no id that the model knows
ACTION_FACTS = {
    "Share of rows": "How often the action stands in the test rows.",
    "AUC ↑": "Chance that a row with the action is scored above one without; 0.5 is a coin toss. Higher is better.",
    "Log loss ↓": "Mean negative log likelihood of the action. Lower is better.",
    "Normalised entropy ↓": "Log loss over that of always predicting the action's share: below 1 the model knows more. Lower is better.",
}


def asked(dataset: Any) -> str:
    """Markdown: what models of a dataset are to predict, with the names of classes and actions."""
    label = dataset.manifest["label"]
    task = engine.specs.Task.of(label)
    if label.get("kind") == "implicit":
        return "Every row is liked, so there is nothing to predict of rows: models learn what people **choose** out of the catalogue."
    if task.output == "regression":
        return "Models predict the **value** itself of each row."
    if task.output == "multi_class":
        return f"Models predict one of **{len(task.classes)} classes**: {_names(task.classes)}."
    if task.output == "actions":
        return f"Models predict each of **{len(task.classes)} actions**: {_names(task.classes)} (the order of action weights)."
    return "Models predict whether a row is **liked**: one probability."


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(words.md(name, 30) for name in names[:MOST_NAMES])
    return shown if len(names) <= MOST_NAMES else f"{shown} and {words.count(len(names) - MOST_NAMES)} more"


def section(run: Any) -> None:
    """What a finished run predicts of test rows: a picture by kind of output, then rows; or why there is nothing to see."""
    st.subheader("What it predicts", anchor=False)
    if why := engine.runs.why_no_predictions(run):
        st.caption(words.md(why, 400))
        return
    tables_ = engine.runs.outputs(run.run_id)
    if not tables_:
        st.caption("This run left no predictions; train it again to see some.")
        return
    draw, part = DRAWN[str(tables_.get("output"))]
    grid = st.grid(2, min_column_width=420)
    with grid.cell():
        if found := tables_.get(part):
            draw(found, tables_, run.run_id)
        else:
            st.caption("No test row has a user and an item that train met, so there is nothing to judge predictions by.")
    with grid.cell():
        _rows(run)


def _reliability(bins: list[dict[str, float]], found: dict[str, Any], run_id: str) -> None:
    st.caption("Where it says 70 %, are 70 % liked? On the dotted line they are; below it the model promises too much. Larger: more rows.")
    alt = f"Reliability curve over {len(bins)} bins and {words.count(sum(bin['rows'] for bin in bins))} test rows"
    charts.show(prediction_charts.reliability(bins), alt, key=f"reliability.{run_id}")


def _by_value(groups: list[dict[str, float]], found: dict[str, Any], run_id: str) -> None:
    st.caption("The mean prediction for rows of each true value, and how far predictions spread. On the dotted line it is the truth.")
    alt = f"Mean prediction and deviation for {len(groups)} true values"
    charts.show(prediction_charts.by_value(groups), alt, key=f"by_value.{run_id}")


def _confusion(counts: list[list[int]], found: dict[str, Any], run_id: str) -> None:
    st.caption("Of the rows of each true class, the share that each class was predicted for. Right ones stand on the diagonal.")
    classes = [str(name) for name in found["classes"]]
    alt = f"Confusion matrix of {len(classes)} classes, shares of each true class"
    ink = "#1f2933" if st.context.theme.type == "light" else None
    charts.show(prediction_charts.confusion(classes, counts, ink), alt, key=f"confusion.{run_id}")


def _actions(rows: list[dict[str, Any]], found: dict[str, Any], run_id: str) -> None:
    cells = [[words.percent(row["rate"]), _auc(row), words.number(row["log_loss"]), words.number(row["ne"])] for row in rows]
    frame = pd.DataFrame(cells, columns=list(ACTION_FACTS), index=[words.plain(row["action"], 40) for row in rows])
    tables.show(tables.small_table(frame, "action", told=ACTION_FACTS))


DRAWN: dict[str, tuple[Callable[[Any, dict[str, Any], str], None], str]] = {
    "binary": (_reliability, "reliability"),
    "regression": (_by_value, "residuals"),
    "multi_class": (_confusion, "confusion"),
    "actions": (_actions, "actions"),
}  # of each output: who draws it, and which of the run's tables


def _auc(row: dict[str, Any]) -> str:
    """0.712 ±0.008: with half a 95 % interval."""
    if row["auc"] is None:
        return words.DASH
    error = row["auc_se"]
    return words.number(row["auc"], 3) + ("" if error is None else f" ±{words.number(1.96 * error, 3)}")


def _rows(run: Any) -> None:
    """Some test rows with what was foretold of them; foreign text stands in cells, which show it as it is."""
    try:
        frame = engine.runs.sample_predictions(run.run_id)
    except (LookupError, OSError) as error:
        st.caption(f"Rows cannot be shown: {words.md(error, 300)}")
        return
    if frame.empty:
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{words.count(len(frame))} test rows**, drawn at random", width="content")
        worst = st.toggle("Largest misses first", key=f"misses.{run.run_id}", help=_miss(frame))
    if worst:
        frame = frame.sort_values("miss", ascending=False, kind="stable")
    st.dataframe(
        _readable(frame),
        key=f"rows.{run.run_id}.{worst}",
        hide_index=True,
        height=360,
        column_config=_columns(frame),
        placeholder=words.DASH,
        alt="Test rows with truth and prediction" + (", largest misses first" if worst else ""),
    )


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Text in one line, an item by its title, true and false as words, and who train never met as new."""
    shown = frame.copy()
    if "title" in shown:
        shown["title"] = shown["title"].fillna(shown["item_id"])
        shown = shown.drop(columns="item_id")
    for name, new in NEW.items():
        if name in shown:
            shown[name] = shown[name].fillna(new)
    if shown["truth"].dtype == bool:
        shown["truth"] = shown["truth"].map({True: "liked", False: "not liked"})
    for name in shown.select_dtypes(exclude="number"):
        shown[name] = shown[name].map(lambda value: None if pd.isna(value) else words.plain(value, 80))
    return shown


def _columns(frame: pd.DataFrame) -> dict[str, Any]:
    column = st.column_config
    share = {name: column.NumberColumn(words.plain(name, 24), format="%.3f") for name in frame if str(name).startswith("P(")}
    told = "A probability." if frame["truth"].dtype == bool else None
    return {
        "user_id": column.TextColumn("User"),
        "item_id": column.TextColumn("Item"),
        "title": column.TextColumn("Item", width="medium"),
        "truth": "Truth",
        "predicted": "Predicted" if "probability" in frame else column.NumberColumn("Predicted", format="%.3f", help=told),
        "probability": column.NumberColumn("Its probability", format="%.3f"),
        "miss": column.NumberColumn("Miss", format="%.3f", help=_miss(frame)),
        **share,
    }


def _miss(frame: pd.DataFrame) -> str:
    if "probability" in frame:
        return "1 less the probability of the true class."
    if "predicted" not in frame:
        return "How far the action that is foretold worst is from what happened."
    return "How far the prediction is from the truth."
