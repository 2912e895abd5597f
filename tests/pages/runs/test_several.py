"""Several runs at once on the Runs page: ticked, opened, compared, stopped, tagged; and what they differ in."""

import json
from typing import Any

import pytest

import engine
from engine.runs import RunState
from tests.pages.reading import Says, Visit, button, foreign_markup, plainly, ticked
from tests.records import HOSTILE
from tests.workspace import PROGRESS, Workspace
from ui.runs.parallel import axis, differing, results


def compare_link(at: Any) -> Any:
    return next(link.proto for link in at.get("page_link") if link.label == "Compare")


def test_the_only_one_that_is_ticked_is_open_and_a_click_opens_another(shared: Workspace, visit: Visit) -> None:
    at = ticked(visit("runs"), shared, "dlrm")
    assert at.query_params["run"] == shared.runs["dlrm"]
    at = ticked(at, shared, "dlrm", "two_tower")
    assert "run" not in at.query_params
    at = ticked(at, shared, "dlrm", "two_tower", clicked="ease")
    assert at.query_params["run"] == shared.runs["ease"]
    assert compare_link(at)


def test_several_are_compared_where_they_can_be(shared: Workspace, visit: Visit, says: Says) -> None:
    at = ticked(visit("runs"), shared, "dlrm", "two_tower")
    link = compare_link(at)
    assert not link.disabled and set(link.query_string.removeprefix("runs=").split("%2C")) == {
        shared.runs["dlrm"],
        shared.runs["two_tower"],
    }
    assert "2 runs ticked" in says(at)
    assert "different datasets" in compare_link(ticked(at, shared, "dlrm", "clicks")).help
    assert compare_link(ticked(at, shared, "dlrm", "failed")).disabled


def test_several_are_stopped_and_tagged(own: Workspace, visit: Visit, says: Says) -> None:
    at = ticked(visit("runs"), own, "running", "queued", "dlrm")
    button(at, "Stop and discard").click().run()
    assert [own.run(name).state for name in ("running", "queued", "dlrm")] == [
        RunState.CANCELLING, RunState.CANCELLING, RunState.FINISHED,
    ]  # fmt: skip
    engine.runs.tag(own.runs["dlrm"], ["kept"])
    at = ticked(visit("runs"), own, "dlrm", "ease")
    at.multiselect("several.tags").set_value([HOSTILE[:30]]).run()
    button(at, "Tag 2 runs").click().run()
    assert not at.exception
    assert own.run("dlrm").tags == ("kept", HOSTILE[:30].strip())
    assert own.run("ease").tags == (HOSTILE[:30].strip(),)
    assert not foreign_markup(at)


def test_a_live_run_has_its_phase_and_its_time_in_the_table(shared: Workspace, visit: Visit) -> None:
    frame = visit("runs").dataframe[0].value
    row = frame[frame["Run"] == "Popular, running"].iloc[0]
    assert (row["Phase"], row["Time left"]) == (f"training · epoch {PROGRESS['epoch']} of {PROGRESS['epochs']}", "1 min left")
    assert row["Elapsed"] and not frame[frame["Run"] == "Popular, queued"].iloc[0]["Elapsed"]


def test_runs_are_grouped_by_dataset_on_demand(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("runs", group="dataset")
    assert len(at.dataframe) > 1 and sum(len(table.value) for table in at.dataframe) == len(shared.runs)
    assert all("Dataset" not in table.value for table in at.dataframe)
    at.toggle("runs.group").set_value(False).run()
    assert len(at.dataframe) == 1 and "group" not in at.query_params


def test_what_differs_is_drawn(shared: Workspace, visit: Visit, says: Says) -> None:
    at = ticked(visit("runs"), shared, "two_tower", "seed2", "dlrm", "ease")
    (chart,) = [json.loads(one.proto.spec) for one in at.get("plotly_chart") if "parcoords" in one.proto.spec]
    titles = [one["label"] for one in chart["data"][0]["dimensions"]]
    assert titles[:2] == ["Run", "Model"] and {"NDCG@10", "AUC", "Training time (s)"} <= set(titles)
    assert "Drag along an axis" in plainly(says(at))


def test_settings_that_differ_and_those_that_only_some_have(shared: Workspace) -> None:
    runs = [shared.run(name) for name in ("two_tower", "seed2", "dlrm")]
    found = differing(runs)
    assert found["Model"] == ["Two-tower", "Two-tower", "DLRM"]
    assert found["Seed"] == [1.0, 2.0, 1.0]
    assert found["Objective"] == ["softmax", "softmax", None]
    assert "Epochs" not in found and "Kind" not in found
    assert results(runs)["NDCG@10"] == [run.metrics["ndcg_at_10"] for run in runs]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1.0, 3.0, None], ["–", "1", "3"]),
        ([0.001, 1.0], ["0.001", "1"]),
        (["b", None, "a", 2.0], ["–", "2", "a", "b"]),
        ([5.0, 5.0], ["5"]),
        ([0.0, 1.0, 1.01, 2.0], ["0", "0.5", "1", "1.5", "2"]),
    ],
)
def test_an_axis_has_a_place_for_runs_without_a_value(values: list[Any], labels: list[str]) -> None:
    found = axis("setting", values)
    assert found.labels == labels
    assert len(found.at) == len(values) and all(at >= min(found.ticks) for at in found.at)
    if None in values:
        assert found.at[values.index(None)] == found.ticks[0]


def test_numbers_that_are_far_apart_are_on_a_logarithmic_axis() -> None:
    assert axis("rate", [0.001, 0.01, 1.0]).at == pytest.approx([-3, -2, 0])
