"""recbench resume: a training that ended before it was done goes on from its newest checkpoint."""

import argparse
from typing import Any

from engine.cli.annotations import Add
from engine.cli.progress import wait


def register(add: Add) -> None:
    """Add the command."""
    command = add("resume", _resume, "Let a training that was interrupted, failed or stopped go on from its newest checkpoint.")
    command.add_argument("run_id", metavar="RUN")
    command.add_argument("--processes", type=int, help="ranks from now on (default: as before)")
    command.add_argument("--measure", action="store_true", help="train no more: measure the best epoch so far, to compare it as it is")
    command.add_argument("--wait", action="store_true", help="wait for it, with progress")


def _resume(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    engine.runs.resume(args.run_id, args.processes, concludes=args.measure)
    if args.wait:
        run = wait([args.run_id])[0]
        return {"run_id": run.run_id, "state": run.state, "failed": run.state != engine.runs.RunState.FINISHED}
    print(f"{args.run_id} goes on; `recbench runs` shows its state.")
    return {"run_id": args.run_id}
