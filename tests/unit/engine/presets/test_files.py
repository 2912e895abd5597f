"""Presets of the Train page as files: kept whole, replaced by name, and those of another version are named."""

from pathlib import Path

import pytest

import engine
from engine.presets import Preset, PresetContender
from engine.specs import MODELS, Choices, SearchSpec, TrainSpec

SEARCH = SearchSpec(trials=7, space={"model.over_layers": Choices(choices=((64, 32), (8,)))})


def preset(name: str, kind: str = "dlrm") -> Preset:
    return Preset(name=name, contenders=(PresetContender(model=MODELS[kind](), train=TrainSpec(epochs=7), search=SEARCH),), seeds=3)


def test_a_preset_is_kept_replaced_and_deleted(workspace: Path) -> None:
    for one in (preset("b/../x"), preset("A"), preset("A", "two_tower")):
        engine.presets.save(one)
    assert engine.presets.list_presets() == ([preset("A", "two_tower"), preset("b/../x")], [])
    engine.presets.delete("A")
    assert [one.name for one in engine.presets.list_presets().found] == ["b/../x"]
    assert engine.presets.last() is None
    engine.presets.keep_last(preset(""))
    assert engine.presets.last() == preset("")
    assert [one.name for one in engine.presets.list_presets().found] == ["b/../x"]


def test_what_cannot_be_read_is_named(workspace: Path) -> None:
    engine.presets.save(preset("A"))
    (path,) = (workspace / "presets").glob("*.json")
    path.write_text(path.read_text().replace('"dlrm"', '"gone"'))
    assert engine.presets.list_presets() == ([], [path.name])
    (workspace / "presets" / "last.json").write_text("{")
    assert engine.presets.last() is None


@pytest.mark.parametrize("wrong", [preset(" "), Preset(name="A", contenders=())])
def test_a_preset_has_a_name_and_a_contender(workspace: Path, wrong: Preset) -> None:
    with pytest.raises(ValueError, match="The preset has no"):
        engine.presets.save(wrong)
