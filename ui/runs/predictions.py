"""What models of a dataset predict, and the predictions of a finished run: a chart, and a sample of test rows."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

import engine
from engine.datasets import Dataset
from engine.runs import Run
from ui.runs import prediction_charts
from ui.shared import charts, tables, words

MOST_NAMES = 12
NEW = {"user_id": "new user", "item_id": "new item", "title": "new item"}  # not seen in training
ACTION_FACTS = {
    "Share of rows": "Share of test rows with this action.",
    "AUC ↑": "Chance that a row with the action is scored above one without; 0.5 is a coin toss. Higher is better.",
    "Log loss ↓": "Mean negative log likelihood of the action. Lower is better.",
    "Normalised entropy ↓": "Log loss relative to always predicting the action's share; below 1 is better than that. Lower is better.",
}


def task_sentence(dataset: Dataset) -> str:
    """Markdown: what models of a dataset predict, with the names of classes and actions."""
    label = dataset.manifest["label"]
    task = engine.specs.Task.of(label)
    if label.get("kind") == "implicit":
        return "Every row is liked, so there is no label to predict: models learn which items of the catalogue people **choose**."
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


def section(run: Run) -> None:
    """Predictions of a finished run on test rows: a chart by kind of output, then rows; or why there are none."""
    st.header("Predictions", anchor=False)
    if why := engine.runs.why_no_predictions(run):
        st.caption(words.md(why, 400))
        return
    try:
        outputs = engine.runs.outputs(run.run_id)
    except ValueError as error:
        st.error(words.md(error, 600), icon=":material/broken_image:")
        return
    if not outputs:
        st.caption("This run stored no predictions; train it again to get them.")
        return
    draw, part = DRAWN[str(outputs.get("output"))]
    grid = st.grid(2, min_column_width=420)
    with grid.cell():
        if table := outputs.get(part):
            draw(table, outputs, run.run_id)
        else:
            st.caption("No test row has a user and an item seen in training, so predictions cannot be evaluated.")
    with grid.cell():
        _rows(run)


def _reliability(bins: list[dict[str, float]], outputs: dict[str, Any], run_id: str) -> None:
    st.caption(
        "Calibration: are 70 % of rows liked where 70 % is predicted? On the dotted line they are; below it the model is "
        "overconfident. Larger points: more rows."
    )
    alt = f"Reliability curve over {len(bins)} bins and {words.count(sum(bin['rows'] for bin in bins))} test rows"
    charts.show(prediction_charts.reliability(bins), alt, key=f"reliability.{run_id}")


def _by_value(groups: list[dict[str, float]], outputs: dict[str, Any], run_id: str) -> None:
    st.caption("Mean prediction for each true value, with the standard deviation. Perfect predictions are on the dotted line.")
    alt = f"Mean prediction and deviation for {len(groups)} true values"
    charts.show(prediction_charts.by_value(groups), alt, key=f"by_value.{run_id}")


def _confusion(counts: list[list[int]], outputs: dict[str, Any], run_id: str) -> None:
    st.caption("For the rows of each true class, the share of each predicted class. Correct predictions are on the diagonal.")
    classes = [str(name) for name in outputs["classes"]]
    alt = f"Confusion matrix of {len(classes)} classes, shares of each true class"
    ink = "#1f2933" if st.context.theme.type == "light" else None
    charts.show(prediction_charts.confusion(classes, counts, ink), alt, key=f"confusion.{run_id}")


def _actions(rows: list[dict[str, Any]], outputs: dict[str, Any], run_id: str) -> None:
    cells = [[words.percent(row["rate"]), _auc(row), words.number(row["log_loss"]), words.number(row["ne"])] for row in rows]
    frame = pd.DataFrame(cells, columns=list(ACTION_FACTS), index=[words.plain(row["action"], 40) for row in rows])
    tables.show(tables.small_table(frame, "action", tooltips=ACTION_FACTS))


DRAWN: dict[str, tuple[Callable[[Any, dict[str, Any], str], None], str]] = {
    "binary": (_reliability, "reliability"),
    "regression": (_by_value, "residuals"),
    "multi_class": (_confusion, "confusion"),
    "actions": (_actions, "actions"),
}  # by output: the function that draws it, and the table that it draws


def _auc(row: dict[str, Any]) -> str:
    """0.712 ±0.008, half of the 95 % interval."""
    if row["auc"] is None:
        return words.DASH
    error = row["auc_se"]
    return words.number(row["auc"], 3) + ("" if error is None else f" ±{words.number(1.96 * error, 3)}")


def _rows(run: Run) -> None:
    """A sample of test rows with predictions. Cells show text from data as it is."""
    try:
        frame = engine.runs.sample_predictions(run.run_id)
    except (LookupError, ValueError, OSError) as error:
        st.caption(f"Test rows cannot be shown: {words.md(error, 300)}")
        return
    if frame.empty:
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{words.count(len(frame))} test rows**, drawn at random", width="content")
        worst = st.toggle("Largest errors first", key=f"misses.{run.run_id}", help=_miss(frame))
    if worst:
        frame = frame.sort_values("miss", ascending=False, kind="stable")
    st.dataframe(
        _readable(frame),
        key=f"rows.{run.run_id}.{worst}",
        hide_index=True,
        height=360,
        column_config=_columns(frame),
        placeholder=words.DASH,
        alt="Test rows with truth and prediction" + (", largest errors first" if worst else ""),
    )


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Text in one line, titles instead of item ids, words for true and false, and "new" for what training has not seen."""
    shown = frame.copy()
    if "title" in shown:
        shown["title"] = shown["title"].fillna(shown["item_id"])
        shown = shown.drop(columns="item_id")
    for name, new in NEW.items():
        if name in shown:
            shown[name] = shown[name].fillna(new)
    if shown["truth"].dtype == bool:
        shown["truth"] = shown["truth"].map({True: "liked", False: "not liked"})
    for text in shown.select_dtypes(exclude="number"):
        shown[text] = shown[text].map(lambda value: None if pd.isna(value) else words.plain(value, 80))
    return shown


def _columns(frame: pd.DataFrame) -> dict[str, Any]:
    column = st.column_config
    share = {name: column.NumberColumn(words.plain(name, 24), format="%.3f") for name in map(str, frame) if name.startswith("P(")}
    tooltip = "A probability." if frame["truth"].dtype == bool else None
    return {
        "user_id": column.TextColumn("User"),
        "item_id": column.TextColumn("Item"),
        "title": column.TextColumn("Item", width="medium"),
        "truth": "Truth",
        "predicted": "Predicted" if "probability" in frame else column.NumberColumn("Predicted", format="%.3f", help=tooltip),
        "probability": column.NumberColumn("Its probability", format="%.3f"),
        "miss": column.NumberColumn("Error", format="%.3f", help=_miss(frame)),
        **share,
    }


def _miss(frame: pd.DataFrame) -> str:
    if "probability" in frame:
        return "1 minus the probability of the true class."
    if "predicted" not in frame:
        return "Error of the action with the worst prediction."
    return "Distance between prediction and truth."
