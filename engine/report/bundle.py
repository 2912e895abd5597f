"""What a comparison is called, and how to repeat it: specs and commands."""

import json
import re
import shlex
from datetime import UTC, datetime
from typing import Any, NamedTuple

from engine import datasets, runs
from engine.compare import Comparison, plain, sentences, verdict_of
from engine.report.tables import long, one_line


def export_name(comparison: Comparison, kind: str) -> str:
    """The name of an exported file: comparison-DATASET.KIND."""
    return f"comparison-{re.sub(r'[^A-Za-z0-9_-]', '', comparison.dataset)[:80]}.{kind}"


def title(comparison: Comparison) -> str:
    """What is compared, on what."""
    try:
        return f"Comparison on {one_line(datasets.get_dataset(comparison.dataset).title)}"
    except LookupError:
        return f"Comparison on {one_line(comparison.dataset)}"


def footing(comparison: Comparison) -> str:
    against = next((c.name for c in comparison.contenders if c.letter == comparison.against), "")
    return (
        f"Dataset {one_line(comparison.dataset)}, {comparison.users:,} test users. Intervals are 95 %; differences are against "
        f"{one_line(against)}. Arrows say which way is better."
    )


class Repeat(NamedTuple):
    """How a comparison is repeated."""

    specs: dict[str, dict[str, Any]]  # file name -> spec as JSON values: of the dataset, then of each run in the order of the letters
    commands: list[str]  # that read the files
    notes: list[str]  # what cannot be repeated, and what differs

    @property
    def data(self) -> list[str]:
        """The files of datasets; at most one."""
        return [file for file in self.specs if file.startswith("data-")]

    @property
    def runs(self) -> list[str]:
        """The files of runs."""
        return [file for file in self.specs if not file.startswith("data-")]


def baseline_of(comparison: Comparison) -> str | None:
    """What differences are against, as `compare` takes it: the id of a run or the kind of a baseline."""
    against = next((c for c in comparison.contenders if c.letter == comparison.against), None)
    return None if against is None else against.run_id or against.model


def repeat(comparison: Comparison) -> Repeat:
    """The specs of a comparison, and the commands that prepare, train and compare."""
    specs, notes = _specs(comparison)
    made = Repeat(specs, [], notes)
    commands = [f"recbench prepare {file}" for file in made.data]
    commands += [f"recbench train {' '.join(made.runs)} --wait"] if made.runs else []
    return made._replace(commands=[*commands, _compare_command(comparison)])


def _compare_command(comparison: Comparison) -> str:
    ids = [run_id for c in comparison.contenders for run_id in c.run_ids]
    baseline, usual = baseline_of(comparison), Comparison.model_fields
    words = ["recbench", "compare", *ids, *(("--baseline", baseline) if baseline else ())]
    words += ["--k", str(comparison.k)] if comparison.k != usual["k"].default else []
    words += ["--target", comparison.target] if comparison.target != usual["target"].default else []
    words += ["--matters", f"{100 * comparison.threshold:g}"] if comparison.threshold != usual["threshold"].default else []
    return shlex.join(words)


def bundle(comparison: Comparison) -> dict[str, Any]:
    """The results and how to repeat them: verdict, numbers, specs by file name, and the commands that read them.

    `files` holds each spec under the name that `commands` call it by; the first command writes them beside the bundle.
    """
    name = export_name(comparison, "json")
    again = repeat(comparison)
    unpack = "import json, sys; [open(n, 'w').write(json.dumps(s)) for n, s in json.load(open(sys.argv[1]))['files'].items()]"
    return {
        "title": title(comparison),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset": comparison.dataset,
        "sentences": [plain(one) for one in sentences(comparison)],
        "verdict": verdict_of(comparison).model_dump(mode="json"),
        "contenders": [c.model_dump(mode="json") for c in comparison.contenders],
        "apart": comparison.apart,
        "pairs": {key: [pair.model_dump(mode="json") for pair in tested] for key, tested in (comparison.tests or {}).items()},
        "facts": json.loads(long(comparison).to_json(orient="records")),
        "files": again.specs,
        "commands": [f'python -c "{unpack}" {name}', *again.commands],
        "notes": again.notes,
    }


def _specs(comparison: Comparison) -> tuple[dict[str, Any], list[str]]:
    """File name -> spec of the dataset and of each run, in the order of the letters; and notes on what cannot be repeated."""
    files: dict[str, Any] = {}
    notes = ["The last command names the runs of this comparison; runs that were trained anew have the ids that train prints."]
    try:
        dataset = datasets.get_dataset(comparison.dataset)
        files[f"data-{re.sub(r'[^a-z0-9-]', '', dataset.name)}.json"] = dataset.manifest["spec"]
    except (LookupError, KeyError):
        notes.append("The prepared dataset is not in this workspace any more, so its spec is missing here.")
    for one in comparison.contenders:
        for place, run_id in enumerate(one.run_ids, 1):
            file = f"{one.letter.lower()}{place if len(one.run_ids) > 1 else ''}.json"
            files[file] = runs.get_run(run_id).settings
            if files[file].get("continues"):
                notes.append(f"{file} goes on from a run of this workspace; elsewhere that one must be trained first.")
    return files, notes
