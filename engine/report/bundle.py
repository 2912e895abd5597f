"""What a comparison is called, and how to repeat it: specs and commands."""

import json
import re
import shlex
from datetime import UTC, datetime
from typing import Any

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


def bundle(comparison: Comparison) -> dict[str, Any]:
    """The results and how to repeat them: verdict, numbers, specs by file name, and the commands that read them.

    `files` holds each spec under the name that `commands` call it by; the first command writes them beside the bundle.
    """
    name = export_name(comparison, "json")
    specs, notes = _specs(comparison)
    data, trained = [file for file in specs if file.startswith("data-")], [file for file in specs if not file.startswith("data-")]
    unpack = "import json, sys; [open(n, 'w').write(json.dumps(s)) for n, s in json.load(open(sys.argv[1]))['files'].items()]"
    ids = [run_id for c in comparison.contenders for run_id in c.run_ids]
    against = next((c for c in comparison.contenders if c.letter == comparison.against), None)
    baseline = "" if against is None else f" --baseline {shlex.quote(against.run_id or against.model)}"
    commands = [f'python -c "{unpack}" {name}', *(f"recbench prepare {file}" for file in data)]
    commands += [f"recbench train {' '.join(trained)} --wait"] if trained else []
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
        "files": specs,
        "commands": [*commands, f"recbench compare {' '.join(map(shlex.quote, ids))}{baseline}"],
        "notes": [
            "The last command names the runs of this comparison; runs that were trained anew have the ids that train prints.",
            *notes,
        ],
    }


def _specs(comparison: Comparison) -> tuple[dict[str, Any], list[str]]:
    """File name -> spec of the dataset and of each run, in the order of the letters; and notes on what cannot be repeated."""
    files: dict[str, Any] = {}
    notes = []
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
