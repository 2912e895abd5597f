"""What contenders were measured under: told on the Compare page, followed on the Recommend page."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.fake import DATASET, FakeEngine, run

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]


def measured_with_seen(run_id: str, seen: bool) -> engine.Run:
    spec = engine.RunSpec(dataset=DATASET, model=engine.MODELS["two_tower"](), protocol={"exclude_seen": not seen})
    return run(run_id, spec=spec.model_dump(mode="json"))


@pytest.mark.parametrize("protocols, usual", [((True, True), True), ((True, False), False), ((False, False), False)])
def test_what_was_met_is_shown_as_the_contenders_were_measured(
    trained: FakeEngine, visit: Visit, protocols: tuple[bool, bool], usual: bool
) -> None:
    trained.runs = [measured_with_seen(run_id, seen) for run_id, seen in zip("ad", protocols, strict=True)]
    at = visit("recommend", runs="a,d", user="7")
    toggle = next(found for found in at.toggle if found.label == "With what was met in train")
    assert (toggle.value, "seen" in at.query_params) == (usual, False)
    toggle.set_value(not usual).run()
    assert at.query_params["seen"] == ("0" if usual else "1")
    again = visit("recommend", runs="a,d", user="7", seen=at.query_params["seen"])
    assert next(found for found in again.toggle if found.label == "With what was met in train").value is not usual
