"""What contenders were measured under: told on the Compare page, followed on the Recommend page."""

from collections.abc import Callable

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.fake import FakeEngine
from tests.records import DATASET, run
from ui.compare import metric_tables, protocol
from workers.specs.protocol import Protocol

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]


def measured_with_seen(run_id: str, seen: bool) -> engine.runs.Run:
    spec = engine.specs.RunSpec(dataset=DATASET, model=engine.specs.MODELS["two_tower"](), protocol={"exclude_seen": not seen})
    return run(run_id, spec=spec.model_dump(mode="json"))


@pytest.mark.parametrize("protocols, usual", [((True, True), True), ((True, False), False), ((False, False), False)])
def test_what_was_met_is_shown_as_the_contenders_were_measured(
    trained: FakeEngine, visit: Visit, protocols: tuple[bool, bool], usual: bool
) -> None:
    trained.runs = [measured_with_seen(run_id, seen) for run_id, seen in zip("ad", protocols, strict=True)]
    at = visit("recommend", runs="a,d", user="7")
    toggle = next(found for found in at.toggle if found.label == "Include items seen in training")
    assert (toggle.value, "seen" in at.query_params) == (usual, False)
    toggle.set_value(not usual).run()
    assert at.query_params["seen"] == ("0" if usual else "1")
    again = visit("recommend", runs="a,d", user="7", seen=at.query_params["seen"])
    assert next(found for found in again.toggle if found.label == "Include items seen in training").value is not usual


@pytest.mark.parametrize(
    "seen, told", [(False, "without items that the user has seen in training"), (True, "with items that the user has seen in training")]
)
def test_what_was_measured_is_one_sentence_with_the_whole_of_it_behind(
    trained: FakeEngine, visit: Visit, says: Says, seen: bool, told: str
) -> None:
    trained.runs = [measured_with_seen(run_id, seen) for run_id in "ad"]
    at = visit("compare", runs="a,d")
    caption = next(one for one in at.caption if one.value.startswith("Measured on"))
    assert told in caption.value and "28 test users" in caption.value and "seed 20240229" in caption.value
    assert f"of {trained.datasets[0].counts['train_items']} items" in caption.value
    assert f"Items seen in training left out: {'no' if seen else 'yes'}." in caption.help
    assert all(field.description in caption.help for field in type(trained.protocol_of(trained.runs[0])).model_fields.values())
    trained.datasets = []  # gone: what was measured on it is not told by halves
    assert "Measured on" not in says(visit("compare", runs="a,d"))


@pytest.mark.parametrize("name, said", [("exclude_seen", "items seen in training left out"), ("tie_seed", "seed of the order of ties")])
def test_settings_of_a_protocol_are_said_in_words(name: str, said: str) -> None:
    frame = pd.DataFrame({"setting": [f"protocol.{name}"], "A": ["True"], "B": ["False"]})
    contenders = [engine.compare.Contender(letter=one, run_id=one, name=one, model="m", color_index=at) for at, one in enumerate("AB")]
    found = metric_tables.settings_table(frame, contenders)
    assert said in found and "protocol" not in found
    assert set(protocol.SAID) == set(Protocol.model_fields)
