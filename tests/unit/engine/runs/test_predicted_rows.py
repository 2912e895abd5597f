"""What a run foretold of test rows is put into words rightly, and drawn rightly."""

import numpy as np
import pandas as pd
import pytest

import engine
from engine.runs.predicted_rows import in_words
from tests.records import HOSTILE, run
from ui.runs import prediction_charts
from workers.specs.schema import Task

WHO = {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"]}


def test_a_probability_misses_a_label_by_their_distance() -> None:
    frame = pd.DataFrame(WHO | {"label": [1.0, 0.0], "target": [1.0, 0.0], "predicted": [0.9, 0.75]})
    found = in_words(frame, Task())
    assert list(found) == ["user_id", "item_id", "truth", "predicted", "miss"]
    assert found["truth"].tolist() == [True, False]
    assert found["miss"].tolist() == pytest.approx([0.1, 0.75])


def test_a_value_misses_in_its_own_unit() -> None:
    frame = pd.DataFrame({"label": [1.0, 0.0], "target": [5.0, 1.0], "predicted": [4.5, 3.0]})
    found = in_words(frame, Task(output="regression"))
    assert (found["truth"].tolist(), found["miss"].tolist()) == ([5.0, 1.0], [0.5, 2.0])


def test_classes_are_named_with_the_likeliest_one_and_its_probability() -> None:
    frame = pd.DataFrame({"label": [1.0, 0.0], "target": [2.0, 0.0], "predicted": [[0.1, 0.2, 0.7], [0.3, 0.6, 0.1]]})
    found = in_words(frame, Task(output="multi_class", classes=("bad", "so so", "good")))
    assert found["truth"].tolist() == ["good", "bad"]
    assert found["predicted"].tolist() == ["good", "so so"]
    assert found["probability"].tolist() == [0.7, 0.6]
    assert found["miss"].tolist() == pytest.approx([0.3, 0.7])


@pytest.mark.parametrize("names", [("view", "buy"), ("miss", "truth"), ("user_id", HOSTILE)])
def test_actions_get_a_column_each_whatever_they_are_called(names: tuple[str, str]) -> None:
    frame = pd.DataFrame(WHO | {"label": [1.0, 0.0], "target": [[1.0, 1.0], [0.0, 0.0]], "predicted": [[0.8, 0.4], [0.5, 0.1]]})
    found = in_words(frame, Task(output="actions", classes=names))
    assert found["truth"].tolist() == [", ".join(names), "none"]
    assert [found[f"P({name})"].tolist() for name in names] == [[0.8, 0.5], [0.4, 0.1]]
    assert found["miss"].tolist() == pytest.approx([0.6, 0.5])


def test_one_action_alone_is_a_number_and_not_a_list() -> None:
    frame = pd.DataFrame({"label": [1.0], "target": [[1.0]], "predicted": [0.8]})
    assert in_words(frame, Task(output="actions", classes=("buy",)))["P(buy)"].tolist() == [0.8]


def test_a_model_without_predictions_says_why() -> None:
    assert "trained to choose among items" in (engine.runs.why_no_predictions(run("a")) or "")
    assert "EASE is fitted to rank" in (engine.runs.why_no_predictions(run("e", "ease")) or "")
    assert engine.runs.why_no_predictions(run("d", "dlrm")) is None


def test_points_of_a_reliability_curve_are_as_large_as_their_rows_are_many() -> None:
    bins = [{"predicted": 0.1, "observed": 0.2, "rows": 400}, {"predicted": 0.9, "observed": 0.8, "rows": 100}]
    diagonal, points = prediction_charts.reliability(bins).data
    assert list(diagonal.x) == list(diagonal.y)
    assert list(points.y) == [0.2, 0.8]
    assert points.marker.size[0] == 26 > points.marker.size[1] == 16


def test_predictions_by_value_carry_their_deviation() -> None:
    groups = [{"target": t, "predicted": t / 2 + 2, "deviation": 0.5, "rows": 9} for t in (1.0, 3.0, 5.0)]
    diagonal, points = prediction_charts.by_value(groups).data
    assert list(diagonal.x) == [1.0, 5.0]
    assert list(points.error_y.array) == [0.5] * 3
    assert len(prediction_charts.by_value([]).data) == 1


def test_a_confusion_matrix_holds_shares_of_each_true_class_and_counts_to_hover() -> None:
    figure = prediction_charts.confusion([HOSTILE, "b", "none of it"], [[8, 2, 0], [1, 3, 0], [0, 0, 0]])
    cells = figure.data[0]
    np.testing.assert_allclose(cells.z, [[0.8, 0.2, 0], [0.25, 0.75, 0], [0, 0, 0]])
    assert cells.customdata[0][1][2] == 2
    assert [note.text for note in figure.layout.annotations] == ["80 %", "20 %", "0 %", "25 %", "75 %", "0 %"]  # nothing of a class unseen
    assert "<img" not in figure.to_json().replace("&lt;img", "")


def test_rare_ones_of_many_classes_share_a_row() -> None:
    many = 40
    figure = prediction_charts.confusion([f"c{k}" for k in range(many)], np.diag(np.arange(many) + 1).tolist())
    shown = figure.layout.yaxis.ticktext
    assert len(shown) == prediction_charts.MOST_CLASSES
    assert shown[-1] == f"{many - prediction_charts.MOST_CLASSES + 1} others"
    assert figure.data[0].z[-1][-1] == 1
    assert not figure.layout.annotations
