"""recbench adopt, and the word on standard error where there is something to adopt."""

import argparse
import sys
from typing import Any

from engine.cli.annotations import Add


def register(add: Add) -> None:
    """Add the command to a parser."""
    add("adopt", _adopt, "Take runs in from their folders, after the store was lost, replaced or damaged.")


def hint(args: argparse.Namespace) -> None:
    """Say on standard error that run folders are here that the store does not know; nothing where the command did not use the store."""
    from engine.runs import adoption_hint, is_open

    if args.run is _adopt or not is_open():
        return
    if text := adoption_hint():
        print(f"recbench: {text}", file=sys.stderr)


def _adopt(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    done = engine.runs.adopt()
    for word, run_ids in (("taken in", done.new), ("completed", done.completed)):
        for run_id in run_ids:
            run = engine.runs.get_run(run_id)
            print(f"{run_id}  {word}  {run.state.value:<11}  {run.title}")
    for run_id, why in done.left:
        print(f"{run_id}  left: {why}", file=sys.stderr)
    if not (done.new or done.completed or done.left):
        print("The store knows all that the run folders hold.")
    return {"new": done.new, "completed": done.completed, "left": [{"run_id": run_id, "reason": why} for run_id, why in done.left]}
