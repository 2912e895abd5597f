"""recbench diagnose: why a finished two-tower is not better."""

import argparse
from typing import Any

from engine.cli.annotations import Add


def register(add: Add) -> None:
    """Add the command to a parser."""
    text = "Check a finished two-tower for what keeps it from being better: each cause with its evidence, the first to mend first."
    diagnose = add("diagnose", _diagnose, text)
    diagnose.add_argument("run_id", metavar="RUN", help="a finished run of a two-tower")


def _diagnose(args: argparse.Namespace) -> dict[str, Any]:
    from engine import diagnosis

    found = diagnosis.diagnose(args.run_id)
    for place, one in enumerate(found, 1):
        print(f"{place}. {one.title}. {one.evidence} {one.advice}")
    if not found:
        print("No check finds anything wrong; search its settings with the budget of the others before you blame the model.")
    return {"run_id": args.run_id, "diagnoses": [one.model_dump(mode="json") for one in found]}
