"""The Train page: contenders of every kind, what a dataset asks of them, launching, and runs over several seeds."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.specs import RunSpec
from tests.pages.reading import Says, Visit, button, foreign_markup, labelled, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.train import purposes, question
from ui.train.before import EARLIER
from ui.train.purposes import CHOOSE, JUDGE


def code(at: AppTest) -> str:
    return "\n".join(block.value for block in at.code)


def launched(workspace: Workspace) -> list[RunSpec]:
    """What was launched since the workspace was made, in its order."""
    return [run.training for run in workspace.launched()]


def keys(workspace: Workspace) -> set[str]:
    """The idempotency keys of what was launched."""
    return {engine.runs.store.get(run.run_id).data.tags["recbench.key"] for run in workspace.launched()}


def label_of(own: Workspace, **label: Any) -> None:
    """Change what the films teach."""
    own.change(own.folder / "datasets" / own.films / "manifest.json", label=label)


@pytest.mark.fault("F13")
def test_both_models_launch_with_one_click_and_a_double_click_launches_them_once(own: Workspace, drivers: None, visit: Visit) -> None:
    at = visit("train", dataset=own.films)
    at.number_input("train.all.new.epochs").set_value(2).run()
    launch = button(at, "Launch 2 runs")
    launch.click().run()
    assert [(spec.model.kind, spec.train.epochs) for spec in launched(own)] == [("two_tower", 2), ("dlrm", 2)]
    assert {run.state for run in own.launched()} == {engine.runs.RunState.QUEUED}
    assert button(at, "Launch 2 runs").disabled
    launch.click().run()  # the second click of a double click: it left the browser before the button was drawn disabled
    assert len(own.launched()) == 2
    button(at, "Launch the same again").click().run()
    button(at, "Launch 2 runs").click().run()
    assert len(own.launched()) == 4
    assert len(keys(own)) == 4


def test_a_fitted_model_is_a_button_away_and_tuned_unless_settings_are_given(own: Workspace, drivers: None, visit: Visit) -> None:
    at = visit("train", dataset=own.films)
    for label in ("Add EASE", "Add Item-kNN"):
        button(at, label).click().run()
    assert not at.exception
    next(n for n in at.number_input if n.label == "Neighbours").set_value(30).run()
    button(at, "Launch 4 runs").click().run()
    chosen: dict[str, Any] = {spec.model.kind: spec.model for spec in launched(own)}
    assert chosen["ease"].l2 is None
    assert (chosen["item_knn"].neighbours, chosen["item_knn"].similarity) == (30, None)


@pytest.mark.parametrize(("kind", "judging", "choosing"), [("two_tower", "pointwise", "softmax"), ("dlrm", "none", "uniform")])
def test_the_purpose_of_a_network_is_asked_in_words(
    own: Workspace, drivers: None, visit: Visit, says: Says, kind: str, judging: str, choosing: str
) -> None:
    at = visit("train", models=kind, dataset=own.films)
    for purpose, value, trade in ((JUDGE, judging, "worse than popularity"), (CHOOSE, choosing, "its logits are not probabilities")):
        at.session_state[f"train.{at.session_state['train.contenders'][0][0]}.purpose"] = purpose
        at.run()
        assert trade in says(at)
        assert f'"{purposes.field_of(engine.specs.MODELS[kind])}": "{value}"' in code(at)
    assert not [box for box in at.selectbox if box.label in ("Objective", "Negatives")]


def test_rates_are_a_contenders_own_and_an_empty_one_shows_the_value_that_is_used(own: Workspace, drivers: None, visit: Visit) -> None:
    at = visit("train", models="two_tower,dlrm", dataset=own.films)
    rates = [n for n in at.number_input if n.label == "Table learning rate"]
    assert [rate.placeholder for rate in rates] == ["0.1, as usual here", "0.02, as usual here"]
    rates[0].set_value(0.5)
    [n for n in at.number_input if n.label == "Dense learning rate"][1].set_value(0.003).run()
    button(at, "Launch 2 runs").click().run()
    found = [(spec.train.table_learning_rate, spec.train.dense_learning_rate) for spec in launched(own)]
    assert found == [(0.5, 0.001), (0.02, 0.003)]


def test_a_purpose_changes_the_rate_that_is_used(shared: Workspace, visit: Visit) -> None:
    at = visit("train", models="dlrm", dataset=shared.films)
    at.session_state[f"train.{at.session_state['train.contenders'][0][0]}.purpose"] = CHOOSE
    at.run()
    assert labelled(at.number_input, "Table learning rate").placeholder == "0.1, as usual here"


def test_an_optimiser_that_cannot_be_is_said_of_its_contender(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("train", models="two_tower,dlrm", dataset=shared.films)
    [box for box in at.selectbox if box.label == "Table optimizer"][1].set_value("adam").run()
    assert "**B** · table_optimizer is adam" in plainly(says(at))
    assert button(at, "Launch").disabled


def test_the_settings_of_the_last_launch_come_back(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = visit("train", models="ease,dlrm", dataset=own.films)
    labelled(at.number_input, "Embedding dim").set_value(32)
    at.number_input("train.all.new.epochs").set_value(7).run()
    at.number_input("train.seeds.new").set_value(2).run()
    next(box for box in at.segmented_control if box.label == question.LABEL).set_value("last").run()
    button(at, "Launch 3 runs").click().run()
    before = launched(own)
    assert {spec.protocol.target for spec in before} == {"last"}
    at = visit("train", dataset=own.films)
    assert at.selectbox("train.preset").value == "last"
    button(at, "Launch 3 runs").click().run()
    assert launched(own) == before + before
    at.selectbox("train.preset").set_value("new").run()
    assert '"epochs": 40' in code(at) and "A · Two-tower" in says(at)


def test_presets_are_kept_by_name_and_removed(own: Workspace, visit: Visit, says: Says) -> None:
    at = visit("train", models="dlrm", dataset=own.films)
    labelled(at.number_input, "Embedding dim").set_value(64).run()
    at.text_input("train.preset.name").set_value(HOSTILE[:60]).run()
    button(at, "Keep").click().run()
    assert not at.exception and not foreign_markup(at)
    at = visit("train", dataset=own.films)
    assert '"embedding_dim": 64' in code(at) or at.selectbox("train.preset").value == "new"
    at.selectbox("train.preset").set_value(f"preset:{HOSTILE[:60].strip()}").run()
    assert "A · DLRM" in says(at) and "B · " not in says(at)
    assert '"embedding_dim": 64' in code(at)
    button(at, "Remove").click().run()
    assert not engine.presets.list_presets().found


def test_an_impossible_setting_is_named_and_cannot_be_launched(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("train", models="dlrm", dataset=shared.films)
    field = next(n for n in at.number_input if n.label == "Embedding dim")
    field.set_value(18).run()
    assert "embedding_dim is 18" in plainly(says(at))
    assert button(at, "Launch").disabled


def test_a_refused_launch_says_why(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = visit("train", dataset=own.films)
    (own.folder / ".submit.lock").unlink(missing_ok=True)
    (own.folder / ".submit.lock").mkdir()
    button(at, "Launch 2 runs").click().run()
    assert "Is a directory" in says(at)
    assert own.launched() == []


def test_train_again_starts_from_the_settings_of_a_run(own: Workspace, drivers: None, visit: Visit) -> None:
    own.respecify("dlrm", model=own.run("dlrm").settings["model"] | {"over_layers": [8, 4]})
    at = visit("train", **{"from": own.runs["dlrm"]})
    button(at, "Launch").click().run()
    (again,) = launched(own)
    assert again == own.run("dlrm").training
    assert (again.train.epochs, again.train.batch_size, again.network.embedding_dim) == (3, 128, 8)  # none of them the default
    assert again.network.over_layers == (8, 4)  # type: ignore[attr-defined]  # a list in the spec, a text in the form


def test_seeds_repeat_networks_and_fit_the_others_once(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = visit("train", models="two_tower,dlrm,ease,ials", dataset=own.films)
    at.number_input("train.seeds.new").set_value(3).run()
    assert code(at).count('"seed": 1') == 4  # of each contender one is written out
    assert "and 2 more with train.seed 2, 3" in says(at)
    button(at, "Launch 8 runs").click().run()
    found = [(spec.model.kind, spec.train.seed) for spec in launched(own)]
    assert found == [(kind, seed) for kind in ("two_tower", "dlrm") for seed in (1, 2, 3)] + [("ease", 1), ("ials", 1)]
    assert len(keys(own)) == 8


def test_more_runs_than_a_machine_holds_are_not_launched(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("train", models="two_tower,dlrm,deepfm,dlrm_dcnv2", dataset=shared.films)
    at.number_input("train.seeds.new").set_value(10).run()
    assert "40 runs are too many for one launch" in says(at)
    assert button(at, "Launch 40 runs").disabled
    at.number_input("train.seeds.new").set_value(7).run()
    assert not button(at, "Launch 28 runs").disabled


def test_ten_contenders_are_the_most(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = visit("train", dataset=own.films)
    for _ in range(8):
        button(at, "Add Popularity").click().run()
    assert button(at, "Add Popularity").disabled
    assert "At most 10 contenders" in says(at)
    assert "J · Popularity" in says(at)
    button(at, "Launch 10 runs").click().run()
    assert len(own.launched()) == 10


def test_every_model_is_offered_in_its_group(shared: Workspace, visit: Visit) -> None:
    at = visit("train", dataset=shared.films)
    assert {f"Add {model.label}" for model in engine.specs.MODELS.values()} <= {b.label for b in at.button}
    captions = [caption.value for caption in at.caption]
    assert captions.index("Retrieval") < captions.index("Ranking") < captions.index("Baselines, without epochs")


def test_rankers_and_fitted_models_say_what_they_trade(shared: Workspace, visit: Visit, says: Says) -> None:
    said = says(visit("train", models="dlrm", dataset=shared.films))
    assert "the best AUC on rated items, but it ranks the catalogue worse than popularity" in said
    assert "training settings below do not apply" not in said
    assert "training settings below do not apply" in says(visit("train", models="ease", dataset=shared.films))


def test_where_nobody_is_ranked_for_no_negatives_are_offered_as_a_trade(shared: Workspace, visit: Visit, says: Says) -> None:
    said = says(visit("train", dataset=shared.clicks))
    assert "probability" in said
    assert "it learns choice" not in said


LABELS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "threshold", "threshold": 4.0}, "predict whether a row is **liked**"),
    ({"kind": "implicit", "output": "binary"}, "Every row is liked"),
    ({"kind": "regression", "output": "regression", "mean": 3.5}, "predict the **value**"),
    ({"kind": "multi_class", "output": "multi_class", "classes": ["1", "2", HOSTILE], "liked": ["2"]}, "one of **3 classes**: 1, 2, "),
    ({"kind": "actions", "output": "actions", "classes": ["view", HOSTILE], "liked": ["view"]}, "each of **2 actions**: view, "),
    ({"kind": "multi_class", "output": "multi_class", "classes": [f"c{k}" for k in range(40)], "liked": ["c1"]}, "c11 and 28 more"),
]


@pytest.mark.parametrize(("label", "sentence"), LABELS)
def test_what_a_dataset_asks_to_predict_is_said_with_its_names(
    own: Workspace, visit: Visit, says: Says, label: dict[str, Any], sentence: str
) -> None:
    label_of(own, **label)
    at = visit("train", dataset=own.films)
    assert sentence in says(at)
    assert not foreign_markup(at)


def test_actions_are_weighed_where_there_are_some(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    label_of(own, kind="actions", output="actions", classes=["view", "buy"], liked=["buy"])
    at = visit("train", models="dlrm", dataset=own.films)
    labelled(at.text_input, "Action weights").set_value("1, 2.5, 3").run()
    assert "action_weights has 3 numbers, but this dataset predicts 2 actions" in plainly(says(at))
    assert button(at, "Launch").disabled
    labelled(at.text_input, "Action weights").set_value("1, 2.5").run()
    button(at, "Launch").click().run()
    (spec,) = launched(own)
    assert spec.network.action_weights == (1.0, 2.5)  # type: ignore[attr-defined]


def test_actions_are_not_weighed_where_there_are_none(shared: Workspace, visit: Visit) -> None:
    at = visit("train", models="dlrm", dataset=shared.films)
    assert not [box for box in at.text_input if box.label == "Action weights"]


def test_training_starts_with_the_models_that_fit(own: Workspace, drivers: None, visit: Visit) -> None:
    at = visit("train", dataset=own.clicks)
    button(at, "Launch").click().run()
    assert [spec.model.kind for spec in launched(own)] == ["dlrm"]


def test_a_refused_model_says_why_and_is_not_launched(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("train", dataset=shared.clicks)
    button(at, "Add Two-tower").click().run()
    assert "needs a user and an item" in says(at)
    assert all(element.disabled for element in at.button if element.label.startswith("Launch"))


def test_another_dataset_that_refuses_a_model_starts_anew(shared: Workspace, visit: Visit) -> None:
    at = visit("train", dataset=shared.films)
    assert button(at, "Launch 2 runs")
    at.selectbox("train.dataset").set_value(shared.clicks).run()
    assert not at.exception
    assert button(at, "Launch")


def test_what_a_launch_takes_is_shown_above_its_button(shared: Workspace, visit: Visit) -> None:
    at = visit("train", models="dlrm,ease", dataset=shared.films)
    table = next(html.body for html in at.html if "contender" in html.body and "Memory" in html.body)
    assert "A · DLRM" in table and "B · EASE" in table and "not measured yet" in table
    assert not button(at, "Launch 2 runs").disabled


@pytest.mark.fault("F42")
def test_a_launch_that_cannot_work_is_disabled_with_the_reason(own: Workspace, visit: Visit, says: Says) -> None:
    path = own.folder / "datasets" / own.films / "manifest.json"
    schema = json.loads(path.read_text())["schema"]
    next(one for one in schema["categorical"] if one["name"] == "user_id")["num_rows"] = 10**12
    own.change(path, schema=schema)
    at = visit("train", models="dlrm,two_tower", dataset=own.films)
    assert button(at, "Launch 2 runs").disabled
    assert "most of it for user_id 1,000,000,000,000 × 16" in plainly(says(at))


def test_the_next_item_offers_histories_of_what_came_before_in_one_click(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = visit("train", models="two_tower", dataset=own.films)
    assert "history_order" not in plainly(says(at))
    next(box for box in at.segmented_control if box.label == question.LABEL).set_value("next").run()
    assert "The run asks for the next item: prepare the dataset again with history_order before" in plainly(says(at))
    button(at, EARLIER).click().run()
    assert not at.exception
    (run,) = own.launched()
    assert run.kind == "prepare"
    assert json.loads((own.folder / "runs" / run.run_id / "spec.json").read_text())["history_order"] == "before"
    button(at, "Launch").click().run()
    assert own.launched()[-1].training.protocol.target == "next"
