"""The Compare page's figures: the trade-off and its front, learning curves as they are asked for, reliability of all at once."""

import base64
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.compare.palette import look
from tests.pages.reading import Says, Visit, foreign_markup
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.compare import tradeoff
from ui.shared import charts, words

NO = float("nan")


def figure(at: AppTest, title: str) -> Any:
    """The figure whose y axis has a title."""
    found = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    return next(one for one in found if one["layout"]["yaxis"]["title"]["text"] == title)


def points(*rows: tuple[str, float, float, bool]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["letter", "x", "y", "front"])
    return frame.assign(name=frame["letter"].str.lower() + HOSTILE, low=NO, high=NO, color="#000000", marker="circle")


@pytest.mark.parametrize("rising, shape", [(True, "hv"), (False, "vh")])
def test_the_front_is_a_stair_through_who_is_on_it(rising: bool, shape: str) -> None:
    frame = points(("A", 3.0, 0.3, True), ("B", 1.0, 0.1, True), ("C", 3.0, 0.2, False))
    drawn = charts.quality_cost(frame, "s", "q", rising=rising)
    stair = drawn.data[0]
    assert (list(stair.x), list(stair.y), stair.line.shape) == ([1.0, 3.0], [0.1, 0.3], shape)
    opacity = {trace.text[0].strip(): trace.marker.opacity for trace in drawn.data[1:]}
    assert opacity["A"] == opacity["B"] == 1
    assert 0.4 < opacity["C"] < 1  # paler, and still to be read
    assert all("<img" not in trace.name for trace in drawn.data)


def test_one_alone_on_the_front_draws_no_line() -> None:
    drawn = charts.quality_cost(points(("A", 1.0, 0.3, True), ("B", 2.0, 0.2, False)), "s", "q")
    assert [trace.mode for trace in drawn.data] == ["markers+text"] * 2


def test_the_sentence_names_the_front_from_the_cheapest_on_and_escapes_names() -> None:
    frame = points(("A", 3.0, 0.3, True), ("B", 1.0, 0.1, True), ("C", 3.0, 0.2, False))
    said = tradeoff.sentence(frame, "lower")
    assert said.startswith("On the Pareto front, cheapest first: **B b")
    assert said.index("**B ") < said.index("**A ")
    assert "the others (C) a run on the front costs no more and is at least as good" in said
    assert "<img" not in said.replace("\\<", "")
    assert tradeoff.sentence(frame, "higher").index("**A ") < tradeoff.sentence(frame, "higher").index("**B ")
    assert "Points count" not in said  # nobody has an interval
    assert "Alone on the Pareto front: **A a" in tradeoff.sentence(frame[:1], "lower")
    assert "others" not in tradeoff.sentence(frame[:1], "lower")


def test_whose_results_cannot_all_be_read_is_on_no_front() -> None:
    frame = points(("A", 1.0, 0.9, False), ("B", 2.0, 0.2, True))
    said = tradeoff.sentence(frame, "lower", {"A": "what it wrote is gone"})
    assert said.startswith("Alone on the Pareto front: **B b")
    assert said.endswith("left out of the front since not all of their results can be read: A.")
    assert "others" not in said, "A is not worse than B, but not judged"
    assert tradeoff.sentence(frame[:1], "lower", {"A": "gone"}).startswith("Nobody is on a Pareto front.")


def test_a_long_legend_leaves_the_drawing_its_room() -> None:
    assert charts.room(2) == charts.room(4) == 400
    assert charts.room(12) - charts.room(4) >= 4 * 19  # lines of the legend


def test_quality_and_cost_stand_in_the_address(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "dlrm"), quality="auc", cost="nonsense")
    chosen = {box.label: box.value for box in at.selectbox}
    assert (chosen["Quality"], chosen["Cost"]) == ("auc", "Training time")
    assert "the Pareto front" in says(at)
    next(box for box in at.selectbox if box.label == "Quality").set_value("ndcg_at_10").run()
    assert "quality" not in at.query_params  # the usual one


def test_smoothing_is_a_weighted_mean_of_what_came_before() -> None:
    values = np.random.default_rng(1).normal(size=30)
    for weight in (0.0, 0.5, 0.97):
        by_hand = []
        for t in range(len(values)):
            weights = weight ** np.arange(t, -1, -1.0)
            by_hand.append(float(weights @ values[: t + 1] / weights.sum()))
        assert charts.smoothed(pd.Series(values), weight).tolist() == pytest.approx(by_hand)
    assert charts.smoothed(pd.Series([2.0] * 5), 0.9).tolist() == pytest.approx([2.0] * 5)  # no pull of a start at zero
    assert charts.smoothed(pd.Series([], dtype=float), 0.9).empty


def lines(**asked: Any) -> list[Any]:
    frame = pd.DataFrame({"contender": "A", "step": [0, 1, 2, 3], "value": [3.0, -1.0, 2.0, 1.0]})
    return list(charts.curves(frame, {"A": ("A one", look(0))}, "step", "loss", **asked).data)


def test_what_was_measured_stands_behind_what_is_smoothed() -> None:
    (plain,) = lines()
    faint, smooth = lines(smooth=0.5)
    assert list(faint.y) == list(plain.y) == [3.0, -1.0, 2.0, 1.0]
    assert (faint.showlegend, faint.line.dash) == (False, "solid")
    assert smooth.y[1] == pytest.approx((0.5 * 3 - 1) / 1.5)
    assert smooth.line.dash == look(0).dash


def test_a_log_axis_leaves_out_what_has_no_place_on_it() -> None:
    assert list(lines(log_y=True)[0].y) == [3.0, 2.0, 1.0]
    assert list(lines(log_x=True)[0].x) == [1, 2, 3]


def test_how_curves_are_drawn_stands_in_the_address(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "dlrm"), metric="train_loss", over="rows", smooth="0.5", log="y")
    drawn = figure(at, "training loss")
    assert len(drawn["data"]) == 4  # a faint and a smoothed line each
    assert drawn["layout"]["yaxis"]["type"] == "log"
    assert drawn["layout"]["xaxis"]["title"]["text"] == "rows seen"
    assert "type" not in drawn["layout"]["xaxis"]
    next(t for t in at.toggle if t.label == "Log x").set_value(True).run()
    assert at.query_params["log"] == "x,y"
    at.slider[0].set_value(0.0).run()
    assert at.query_params["smooth"] == "0"
    assert len(figure(at, "training loss")["data"]) == 2
    assert not at.exception


@pytest.mark.parametrize("smooth", ["1", "-1", "nan", "inf", "x", ""])
def test_a_smoothing_that_is_none_is_the_usual_one(shared: Workspace, visit: Visit, smooth: str) -> None:
    assert visit("compare", runs=shared.ids("two_tower", "dlrm"), metric="ndcg_at_10", smooth=smooth).slider[0].value == 0.0
    assert visit("compare", runs=shared.ids("two_tower", "dlrm"), metric="train_loss", smooth=smooth).slider[0].value == 0.8


def test_a_loss_over_epochs_is_drawn_within_the_epoch(shared: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "dlrm"), metric="train_loss", over="epoch", smooth="0")
    history = engine.runs.history(shared.runs["two_tower"])
    steps = history.loc[history["metric"] == "train_loss", "step"]
    x = figure(at, "training loss")["data"][0]["x"]
    values = x if isinstance(x, list) else np.frombuffer(base64.b64decode(x["bdata"]), x["dtype"])
    assert values[0] == pytest.approx(3 * steps.min() / steps.max())  # of steps that make three epochs
    assert values[-1] == pytest.approx(3)


def test_reliability_of_all_is_one_figure_with_their_ece(own: Workspace, visit: Visit) -> None:
    engine.runs.rename(own.runs["deepfm"], HOSTILE)
    metrics = own.run("deepfm").metrics
    own.measure("deepfm", **{key: value for key, value in metrics.items() if key != "ece"})
    at = visit("compare", runs=own.ids("deepfm", "dlrm"))
    drawn = figure(at, "observed share of likes")
    assert [trace.get("name", "")[:1] for trace in drawn["data"][1:]] == ["A", "B"]
    assert drawn["data"][2]["name"].endswith(f"ECE {words.number(own.run('dlrm').metrics['ece'])}")
    assert drawn["data"][1]["name"].endswith("ECE –")
    assert "<img" not in json.dumps(drawn)
    assert not foreign_markup(at)


@pytest.mark.parametrize("outputs", [None, {"output": "regression", "residuals": []}, {"output": "binary", "reliability": []}])
def test_without_probabilities_there_is_no_reliability(own: Workspace, visit: Visit, says: Says, outputs: Any) -> None:
    assert "Reliability" in says(visit("compare", runs=own.ids("two_tower", "dlrm")))
    path = own.path("dlrm") / "results" / "outputs.json"
    path.unlink() if outputs is None else path.write_text(json.dumps(outputs))
    assert "Reliability" not in says(visit("compare", runs=own.ids("two_tower", "dlrm")))
