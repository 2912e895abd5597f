"""Specs check at the border, in words; the registry takes a file as registration."""

import json

import pytest
from pydantic import ValidationError

from engine.datasets.spec import DatasetSpec
from engine.sources import SOURCES
from workers.models import MODELS
from workers.run.spec import RunSpec, settings_of
from workers.specs.spec import explain
from workers.specs.training import TrainSpec

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=lambda m: m.__name__)


def wrong(**given) -> str:
    with pytest.raises(ValidationError) as caught:
        RunSpec.model_validate({"dataset": "sample-0", "model": {"kind": "dlrm"}, **given})
    return explain(caught.value)


@every_model
def test_a_run_spec_survives_json(model):
    spec = RunSpec(dataset="sample-0", model=model(), train=TrainSpec(epochs=7))
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    assert settings_of(spec)["train.epochs"] == 7


@every_model
def test_every_setting_of_a_model_is_described(model):
    assert [name for name, field in model.model_fields.items() if name != "kind" and not field.description] == []


def test_a_dataset_spec_survives_json():
    for source in SOURCES.values():
        if not any(field.is_required() for field in source.model_fields.values()):
            spec = DatasetSpec(name="a", source=source())
            assert DatasetSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epoch": 3}, "epoch is not a known setting"),
        ({"train": {"epochs": 0}}, "train.epochs is 0"),
        ({"train": {"table_learning_rate": float("nan")}}, "train.table_learning_rate is nan"),
        ({"train": {"batch_size": "many"}}, "train.batch_size is 'many'"),
        ({"model": {"kind": "transformer"}}, "Unknown model 'transformer'; this checkout has "),
        ({"model": {"kind": "dlrm", "embedding_dim": 10}}, "embedding_dim is 10"),
        ({"dataset": "../../etc/passwd"}, "dataset is '../../etc/passwd'"),
    ],
)
@pytest.mark.fault("F60")
def test_a_bad_setting_is_named_with_its_value(given, said):
    assert said in wrong(**given)


@pytest.mark.fault("F60")
def test_an_unreadable_spec_file_is_one_sentence(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("{not json")
    with pytest.raises(ValueError, match=r"run\.json is not a readable JSON spec"):
        RunSpec.read(path)
    path.write_text(json.dumps({"model": {"kind": "dlrm"}}))
    with pytest.raises(ValueError, match="dataset is missing"):
        RunSpec.read(path)


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(ValidationError) as caught:
        DatasetSpec(source=SOURCES["sample"](), split={"kind": "time", "valid": 0.45, "test": 0.49})
    assert "leave at least 0.1 to train on" in explain(caught.value)
