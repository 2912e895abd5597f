"""recbench preflight: what a run will take, before it is started."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli import computing
from engine.cli.annotations import Add

if TYPE_CHECKING:
    from engine.preflight import Preflight

MARKS = {"fine": "ok", "warning": "warning", "blocked": "BLOCKED"}


def register(add: Add) -> None:
    """Add the command to a parser."""
    text = "Judge specs before they are started: memory, disk, steps, time. Ends with 1 where a run would be refused."
    command = add("preflight", _preflight, text)
    command.add_argument("specs", type=Path, nargs="+", metavar="SPEC", help="specs of runs or of datasets")
    computing.add_option(command)


def _preflight(args: argparse.Namespace) -> dict[str, Any]:
    judged = [_judge(path) for path in args.specs]
    for one in judged:
        _print(one)
    found = [one.model_dump(mode="json") | {"level": one.level} for one in judged]
    return {"preflights": found, "failed": any(one.level == "blocked" for one in judged)}


def _judge(path: Path) -> "Preflight":
    """The pre-flight of the spec in a file. Errors: the model refuses the dataset, or the spec or its dataset cannot be read."""
    from engine import datasets, preflight
    from engine.specs import RunSpec
    from workers.artifacts import lacks_target

    if not _is_run(path):
        dataset_spec = datasets.DatasetSpec.read(path)
        dataset_spec.source.check()
        return preflight.preparation(dataset_spec)
    spec = RunSpec.read(path)
    dataset = datasets.get_dataset(spec.dataset)
    if why := spec.model.refusal(dataset.schema, dataset.manifest["label"]) or lacks_target(spec.protocol.target, dataset.path):
        raise ValueError(why)
    return preflight.training(spec, dataset)


def _is_run(path: Path) -> bool:
    """Whether a file holds the spec of a run; what is wrong with it is for whoever reads it as a spec to say."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return True
    return not (isinstance(value, dict) and "source" in value)


def _print(judged: "Preflight") -> None:
    """A line for each item, then the tables."""
    from engine.preflight import size

    print(judged.title)
    for item in judged.items:
        print(f"  {MARKS[item.level]:<8} {item.name:<10} {item.value}")
        if item.advice:
            print(f"{'':<22}{item.advice}")
    for table in judged.tables:
        print(f"{'':<11}{table.name:<24} {table.rows:>15,} × {table.width:<6,} {size(table.bytes):>9}")
