"""Presets as files of the workspace: what a launch was set to, without its dataset."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, SerializeAsAny, field_validator

from engine.settings import settings
from workers.artifacts import write_json
from workers.models import KINDS, ModelSpec
from workers.run import pick
from workers.specs import Protocol, SearchSpec, Spec, TrainSpec

LONGEST_NAME = 60
LAST = "last.json"


class PresetContender(Spec):
    """One contender: its model, how it is trained, and the search for its settings."""

    model: SerializeAsAny[ModelSpec]
    train: TrainSpec
    search: SearchSpec | None = None

    @field_validator("model", mode="before")
    @classmethod
    def _by_kind(cls, value: object) -> object:
        return pick(value, KINDS, "model")


class Preset(Spec):
    """The settings of a launch: each contender, over how many seeds networks are repeated, and what their lists are measured by."""

    format: int = 1
    name: str = Field(max_length=LONGEST_NAME)
    contenders: tuple[PresetContender, ...]
    seeds: int = Field(1, ge=1)
    protocol: Protocol = Protocol()


class Presets(NamedTuple):
    """The presets of a workspace by name, and the files of those that this version cannot read."""

    found: list[Preset]
    unreadable: list[str]


def list_presets() -> Presets:
    """All presets, in the order of their names."""
    found, unreadable = [], []
    for path in sorted(_folder().glob("*.json")):
        if path.name == LAST:
            continue
        try:
            found.append(Preset.read(path))
        except ValueError:
            unreadable.append(path.name)
    return Presets(sorted(found, key=lambda preset: preset.name.casefold()), unreadable)


def save(preset: Preset) -> None:
    """Keep a preset; one of the same name is replaced. ValueError: it has no name, or no contender."""
    if not preset.name.strip():
        raise ValueError("The preset has no name; give it one.")
    if not preset.contenders:
        raise ValueError("The preset has no contender; add one, or mend its settings.")
    _write(_path(preset.name), preset)


def delete(name: str) -> None:
    """Remove a preset; nothing where there is none of that name."""
    _path(name).unlink(missing_ok=True)


def last() -> Preset | None:
    """What was launched last in this workspace; None where nothing was, or where this version cannot read it."""
    try:
        return Preset.read(_folder() / LAST)
    except ValueError:
        return None


def keep_last(preset: Preset) -> None:
    """Remember what is launched."""
    _write(_folder() / LAST, preset)


def _write(path: Path, preset: Preset) -> None:
    path.parent.mkdir(mode=settings().folder_mode, exist_ok=True)
    write_json(path, json.loads(preset.model_dump_json()))


def _folder() -> Path:
    return settings().workspace / "presets"


def _path(name: str) -> Path:
    """The file of a preset: its name may be any text."""
    return _folder() / f"{hashlib.sha256(name.strip().encode()).hexdigest()[:24]}.json"
