"""The Train page: contenders of every kind, what a dataset asks of them, and runs over several seeds."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.fake import DATASET, HOSTILE, FakeEngine, advertising, dataset
from tests.pages.test_pages import button, foreign_markup

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]


def code(at: AppTest) -> str:
    return "\n".join(block.value for block in at.code)


def test_seeds_repeat_networks_and_fit_the_others_once(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("train", models="two_tower,dlrm,ease,ials")
    at.number_input("train.seeds.new").set_value(3).run()
    assert code(at).count('"seed": 1') == 4  # of each contender one is written out
    assert "and 2 more with train.seed 2, 3" in says(at)
    button(at, "Launch 8 runs").click().run()
    launched = [(spec.model.kind, spec.train.seed) for spec, _ in trained.submitted]
    assert launched == [(kind, seed) for kind in ("two_tower", "dlrm") for seed in (1, 2, 3)] + [("ease", 1), ("ials", 1)]
    assert len({key for _, key in trained.submitted}) == 8


def test_more_runs_than_a_machine_holds_are_not_launched(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("train", models="two_tower,dlrm,deepfm,dlrm_dcnv2")
    at.number_input("train.seeds.new").set_value(10).run()
    assert "40 runs are too many for one launch" in says(at)
    assert button(at, "Launch 40 runs").disabled
    at.number_input("train.seeds.new").set_value(7).run()
    assert not button(at, "Launch 28 runs").disabled


def test_ten_contenders_are_the_most(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("train")
    for _ in range(8):
        button(at, "Add Popularity").click().run()
    assert button(at, "Add Popularity").disabled
    assert "At most 10 contenders" in says(at)
    assert "J · Popularity" in says(at)
    button(at, "Launch 10 runs").click().run()
    assert len(trained.submitted) == 10


def test_every_model_is_offered_in_its_group(trained: FakeEngine, visit: Visit) -> None:
    at = visit("train")
    assert {f"Add {model.label}" for model in engine.specs.MODELS.values()} <= {b.label for b in at.button}
    captions = [caption.value for caption in at.caption]
    assert captions.index("Retrieval") < captions.index("Ranking") < captions.index("Baselines, without epochs")


def test_rankers_and_fitted_models_say_what_they_trade(trained: FakeEngine, visit: Visit, says: Says) -> None:
    said = says(visit("train", models="dlrm"))
    assert "With negatives from the catalogue it learns choice; its logits are not probabilities" in said
    assert "training settings below do not apply" not in said
    assert "training settings below do not apply" in says(visit("train", models="ease"))


def test_where_nobody_is_ranked_for_no_negatives_are_offered_as_a_trade(fake: FakeEngine, visit: Visit, says: Says) -> None:
    fake.datasets = [advertising()]
    said = says(visit("train"))
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
    fake: FakeEngine, visit: Visit, says: Says, label: dict[str, Any], sentence: str
) -> None:
    fake.datasets = [dataset(label=label)]
    at = visit("train")
    assert sentence in says(at)
    assert not foreign_markup(at)


def test_actions_are_weighed_where_there_are_some(fake: FakeEngine, visit: Visit, says: Says) -> None:
    fake.datasets = [dataset(label={"kind": "actions", "output": "actions", "classes": ["view", "buy"], "liked": ["buy"]})]
    at = visit("train", models="dlrm")
    weights = next(box for box in at.text_input if box.label == "Action weights")
    weights.set_value("1, 2.5, 3").run()
    assert "action_weights has 3 numbers, but this dataset predicts 2 actions" in says(at).replace("\\", "")
    assert button(at, "Launch").disabled
    next(box for box in at.text_input if box.label == "Action weights").set_value("1, 2.5").run()
    button(at, "Launch").click().run()
    assert fake.submitted[0][0].model.action_weights == (1.0, 2.5)


def test_actions_are_not_weighed_where_there_are_none(trained: FakeEngine, visit: Visit) -> None:
    at = visit("train", models="dlrm", dataset=DATASET)
    assert not [box for box in at.text_input if box.label == "Action weights"]
