"""recbench spec: a complete spec to edit; for a table of one's own, the guess of the page with every doubt."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from engine.cli.annotations import Add

if TYPE_CHECKING:
    from engine.datasets import DatasetSpec
    from engine.tables import TableGuess
    from workers.specs import Spec

TABLE = "table"
FACTS = ("encoding", "delimiter", "quoting", "header")


def register(add: Add) -> None:
    """Add the command to a parser."""
    text = "Print a complete spec; descriptions of its settings, and what is uncertain about a table, go to standard error."
    spec = add("spec", _spec, text)
    spec.add_argument("what", choices=["dataset", "run", "compute"])
    spec.add_argument("--source", default="sample", help="for a dataset: the source, such as sample or movielens")
    spec.add_argument(
        "--path", metavar="FILE", help="for a dataset: its file or folder; of a table the columns are guessed, as on the page"
    )
    spec.add_argument("--model", default="two_tower", help="for a run: the model, such as two_tower, dlrm or ease")
    spec.add_argument("--dataset", help="for a run: the dataset's id (default: the newest one)")


def _spec(args: argparse.Namespace) -> dict[str, Any]:
    if args.what == "run":
        answer = _run_spec(args)
    elif args.what == "compute":
        answer = _compute_spec()
    elif args.source == TABLE and args.path is not None:
        answer = _guessed(args.path)
    else:
        answer = _dataset_spec(args)
    if not args.json:
        print(json.dumps(answer, indent=2))
    return answer


def _run_spec(args: argparse.Namespace) -> dict[str, Any]:
    import engine
    from workers.run import pick

    known = engine.datasets.list_datasets()
    name = args.dataset or (known[0].id if known else "dataset-id")
    spec = engine.specs.RunSpec(dataset=name, model=pick({"kind": args.model}, engine.specs.MODELS, "model"))
    return _described(spec, [spec, spec.model, spec.train])


def _compute_spec() -> dict[str, Any]:
    from engine import compute

    spec = compute.Compute(name="cluster", master="spark://host:7077", executors=8, cores=16, memory_gb=64)
    return _described(spec, [spec])


def _dataset_spec(args: argparse.Namespace) -> dict[str, Any]:
    import engine
    from workers.run import pick

    given = {} if args.path is None else {"path": args.path}
    source = pick({"kind": args.source, **_placeholders(args.source), **given}, engine.sources.SOURCES, "source")
    spec = engine.datasets.DatasetSpec(name=args.source.replace("_", "-"), source=source)
    return _described(spec, [spec, spec.source])


def _placeholders(source: str) -> dict[str, str]:
    """Placeholders for the required settings of a source, such as its path."""
    import engine

    fields = engine.sources.SOURCES[source].model_fields if source in engine.sources.SOURCES else {}
    return {name: f"path/to/{source}" if name == "path" else name for name, field in fields.items() if field.is_required()}


def _described(spec: "Spec", parts: "list[Spec]") -> dict[str, Any]:
    """The spec as JSON values, after the descriptions of its settings."""
    for part in parts:
        for name, field in type(part).model_fields.items():
            if field.description:
                _comment(f"{name}: {field.description}")
    answer: dict[str, Any] = json.loads(spec.model_dump_json())
    return answer


def _guessed(path: str) -> dict[str, Any]:
    """The spec of a table as the page guesses it; whatever is not certain is said."""
    from pydantic import ValidationError

    import engine

    guess = engine.tables.inspect_table(path)
    raw = {"name": engine.tables.named(path), "source": {"kind": TABLE, **guess.spec_fields()}}
    doubts = _doubts(guess)
    try:
        spec = engine.datasets.DatasetSpec.model_validate(raw)
    except ValidationError as error:
        for doubt in [*doubts, f"this spec is not complete: {engine.specs.explain(error)}"]:
            _comment(f"check: {doubt}")
        raw = json.loads(json.dumps(raw, default=lambda part: part.model_dump(mode="json")))
        return raw
    spec, more = _on_rows(spec)
    for doubt in [*doubts, *more]:
        _comment(f"check: {doubt}")
    answer: dict[str, Any] = json.loads(spec.model_dump_json())
    return answer


def _doubts(guess: "TableGuess") -> list[str]:
    """What the head of a table does not settle, in sentences."""
    doubts = [f"{fact} is {getattr(guess, fact)!r} for now; the content does not determine it." for fact in guess.unsure if fact in FACTS]
    for question in guess.all_questions:
        choices = "; ".join(f"({number}) {answer.text}" for number, answer in enumerate(question.answers, 1))
        doubts.append(f"{question.text} {choices}.")
    doubts += [f"{column.name!r} is read as {column.role}: {column.why}." for column in guess.columns if not column.certain]
    doubts += [f"time_unit: {column.ambiguous}" for column in guess.columns if column.ambiguous]
    doubts += [f"numbers: {column.numbers_open}" for column in guess.columns if column.numbers_open]
    doubts += [f"missing: {column.absent_open}" for column in guess.columns if column.absent_open]
    return doubts + list(guess.notes)


def _on_rows(spec: "DatasetSpec") -> "tuple[DatasetSpec, list[str]]":
    """The spec with a threshold that the first rows reach, and what their audit warns of."""
    import engine

    try:
        rows = engine.preview.preview_rows(spec.source)
        used = rows[rows["reason"].isna()]
        if spec.label.kind == "threshold" and len(used):
            ratings = used["rating"]
            steps = sorted(map(float, ratings.unique()))
            few = steps if len(steps) <= engine.preview.MOST_VALUES else []
            liked = engine.preview.usual_threshold(few, steps[0], steps[-1], float(ratings.median()))
            label = {"kind": "given"} if engine.preview.is_given(few) else {"kind": "threshold", "threshold": liked}
            spec = engine.datasets.DatasetSpec.model_validate({**spec.model_dump(), "label": label})
        found = engine.preview.preview(spec, rows=rows).audit.findings
    except (ValueError, LookupError, OSError) as error:
        return spec, [str(error)]
    return spec, [finding.text for finding in found if finding.level != "info"]


def _comment(text: str) -> None:
    print(f"# {' '.join(text.split())}", file=sys.stderr)
