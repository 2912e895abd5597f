"""Tune each, equal budget: the switch gives every contender a search, whose space can be changed, and everything keeps it."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.specs import RunSpec
from tests.pages.reading import Says, Visit, button, labelled, plainly
from tests.workspace import Workspace

SWITCH = "Tune each, equal budget"
MODELS = "two_tower,dlrm,deepfm,ease,popularity"


def switched_on(at: AppTest, trials: int = 20) -> AppTest:
    labelled(at.toggle, SWITCH).set_value(True).run()
    labelled(at.number_input, "Trials").set_value(trials).run()
    assert not at.exception, at.exception
    return at


def launched(workspace: Workspace) -> list[RunSpec]:
    return [run.training for run in workspace.launched()]


def specs(at: AppTest) -> list[dict[str, Any]]:
    """The specs that the page shows as JSON."""
    return [json.loads(block.value) for block in at.code if block.value.startswith("{")]


def row(at: AppTest, label: str) -> tuple[Any, Any]:
    """The two ends of a range."""
    return labelled(at.number_input, f"{label}: lowest"), labelled(at.number_input, f"{label}: highest")


def test_every_contender_gets_the_same_budget_and_one_without_settings_none(
    own: Workspace, drivers: None, visit: Visit, says: Says
) -> None:
    at = switched_on(visit("train", models=MODELS, dataset=own.films), trials=12)
    labelled(at.number_input, "Minutes").set_value(30).run()
    assert "Nothing to search" in says(at)
    table = next(html.body for html in at.html if "contender" in html.body and "Memory" in html.body)
    assert table.count("12 trials") == 4
    button(at, "Launch 5 runs").click().run()
    found = {spec.model.kind: spec.search for spec in launched(own)}
    assert found.pop("popularity") is None
    assert {(search.trials, search.minutes, search.space) for search in found.values() if search} == {(12, 30, None)}
    assert None not in found.values()


def test_off_nothing_is_searched_but_what_a_fitted_model_leaves_empty(own: Workspace, drivers: None, visit: Visit) -> None:
    at = visit("train", models=MODELS, dataset=own.films)
    assert not labelled(at.toggle, SWITCH).value
    assert not [box for box in at.expander if box.label.startswith("What is tried")]
    button(at, "Launch 5 runs").click().run()
    assert {spec.search for spec in launched(own)} == {None}


def test_a_range_and_choices_can_be_changed_and_removed(own: Workspace, drivers: None, visit: Visit) -> None:
    at = switched_on(visit("train", models="dlrm", dataset=own.films))
    low, high = row(at, "Table learning rate")
    low.set_value(0.01)
    high.set_value(0.1)
    labelled(at.multiselect, "Embedding dim").set_value(["16", "48"])
    labelled(at.multiselect, "Over layers").set_value(["64, 32", "8"])
    labelled(at.checkbox, "Dropout").uncheck().run()
    assert not at.exception, at.exception
    button(at, "Launch").click().run()
    (spec,) = launched(own)
    assert spec.search and spec.search.space
    space = {name: way.model_dump() for name, way in spec.search.space.items()}
    assert space["train.table_learning_rate"] == {"low": 0.01, "high": 0.1, "log": True, "whole": False}
    assert space["model.embedding_dim"]["choices"] == (16, 48)
    assert space["model.over_layers"]["choices"] == ((64, 32), (8,))
    assert "model.dropout" not in space and "train.batch_size" in space
    assert specs(at)[0]["search"]["space"]["model.embedding_dim"] == {"choices": [16, 48]}


WRONG = [
    ("Table learning rate", "A range goes from 0.7 to 0.3"),
    ("Embedding dim", "embedding_dim is '18': input should be a multiple of 4"),
    ("Batch size", "is to be searched, but over no value"),
]


@pytest.mark.parametrize(("label", "sentence"), WRONG)
def test_an_impossible_space_is_named_and_cannot_be_launched(
    shared: Workspace, visit: Visit, says: Says, label: str, sentence: str
) -> None:
    at = switched_on(visit("train", models="dlrm", dataset=shared.films))
    if label == "Table learning rate":
        row(at, label)[0].set_value(0.7).run()
    else:
        labelled(at.multiselect, label).set_value(["18"] if label == "Embedding dim" else []).run()
    assert not at.exception, at.exception
    assert sentence in plainly(says(at))
    assert button(at, "Launch").disabled


def test_a_setting_of_a_fitted_model_that_is_not_searched_keeps_its_first_value(own: Workspace, drivers: None, visit: Visit) -> None:
    at = switched_on(visit("train", models="item_knn", dataset=own.films), trials=5)
    labelled(at.checkbox, "Similarity").uncheck().run()
    button(at, "Launch").click().run()
    (spec,) = launched(own)
    assert spec.search and list(spec.search.space or ()) == ["model.neighbours"]
    assert (spec.model.similarity, spec.model.neighbours) == ("cosine", None)  # type: ignore[attr-defined]


def test_the_last_settings_a_preset_and_a_repeat_keep_budget_and_space(own: Workspace, drivers: None, visit: Visit) -> None:
    at = switched_on(visit("train", models="dlrm,ease,popularity", dataset=own.films), trials=7)
    labelled(at.multiselect, "Embedding dim").set_value(["16", "48"])
    labelled(at.checkbox, "Dropout").uncheck().run()
    at.text_input("train.preset.name").set_value("fair").run()
    button(at, "Keep").click().run()
    button(at, "Launch 3 runs").click().run()
    before = launched(own)
    assert [spec.search and spec.search.trials for spec in before] == [7, 7, None]
    for start in ("last", "preset:fair"):
        at = visit("train", dataset=own.films)
        at.selectbox("train.preset").set_value(start).run()
        assert labelled(at.toggle, SWITCH).value
        assert [RunSpec.model_validate(spec).search for spec in specs(at)] == [spec.search for spec in before]
    first = own.launched()[0]
    at = visit("train", **{"from": first.run_id})
    assert RunSpec.model_validate(specs(at)[0]).search == before[0].search
    engine.presets.delete("fair")
