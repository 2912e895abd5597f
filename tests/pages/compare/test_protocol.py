"""What contenders were measured under: told on the Compare page, followed on the Recommend page."""

import shutil

import pandas as pd
import pytest

import engine
from tests.pages.reading import Says, Visit, labelled
from tests.workspace import Workspace
from ui.compare import metric_tables
from workers.specs.protocol import Protocol


def measured_with_seen(own: Workspace, seen: tuple[bool, bool]) -> str:
    """Two runs that were measured with what users met in train, or without; their ids."""
    for name, with_seen in zip(("two_tower", "dlrm"), seen, strict=True):
        protocol = Protocol(exclude_seen=not with_seen).model_dump(mode="json")
        own.respecify(name, protocol=protocol)
        own.change(own.path(name) / "done.json", protocol=protocol)
    return own.ids("two_tower", "dlrm")


@pytest.mark.parametrize("protocols, usual", [((True, True), True), ((True, False), False), ((False, False), False)])
def test_what_was_met_is_shown_as_the_contenders_were_measured(
    own: Workspace, visit: Visit, protocols: tuple[bool, bool], usual: bool
) -> None:
    ids = measured_with_seen(own, protocols)
    at = visit("recommend", runs=ids, user="7")
    toggle = labelled(at.toggle, "Include items seen before")
    assert (toggle.value, "seen" in at.query_params) == (usual, False)
    toggle.set_value(not usual).run()
    assert at.query_params["seen"] == ("0" if usual else "1")
    again = visit("recommend", runs=ids, user="7", seen=at.query_params["seen"])
    assert labelled(again.toggle, "Include items seen before").value is not usual


@pytest.mark.parametrize(
    "seen, told", [(False, "without items that the user has seen before"), (True, "with items that the user has seen before")]
)
def test_what_was_measured_is_one_sentence_with_the_whole_of_it_behind(
    own: Workspace, visit: Visit, says: Says, seen: bool, told: str
) -> None:
    ids = measured_with_seen(own, (seen, seen))
    at = visit("compare", runs=ids)
    caption = next(one for one in at.caption if one.value.startswith("Measured on"))
    assert told in caption.value and "37 test users" in caption.value and "seed 20240229" in caption.value
    dataset = engine.datasets.get_dataset(own.films)
    assert f"of {dataset.counts['train_items']} items" in caption.value
    assert f"Items seen before left out: {'no' if seen else 'yes'}." in caption.help
    assert all(field.description in caption.help for field in Protocol.model_fields.values())
    shutil.rmtree(dataset.path)  # gone: what was measured on it is not told by halves
    assert "Measured on" not in says(visit("compare", runs=ids))


@pytest.mark.parametrize("name, said", [("exclude_seen", "items seen before left out"), ("tie_seed", "seed of the order of ties")])
def test_settings_of_a_protocol_are_said_in_words(name: str, said: str) -> None:
    frame = pd.DataFrame({"setting": [f"protocol.{name}"], "A": ["True"], "B": ["False"]})
    contenders = [engine.compare.Contender(letter=one, run_id=one, name=one, model="m", color_index=at) for at, one in enumerate("AB")]
    found = metric_tables.settings_table(frame, contenders)
    assert said in found and "protocol" not in found
    assert set(engine.compare.SETTINGS) == set(Protocol.model_fields)
