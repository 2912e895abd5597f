"""recbench rename, note, tag, pin, unpin, trash, restore: what people write on runs."""

import argparse
from collections.abc import Callable
from typing import Any

Command = Callable[[argparse.Namespace], dict[str, Any]]
Add = Callable[[str, Command, str], argparse.ArgumentParser]


def register(add: Add) -> None:
    """Add the commands to a parser."""
    for name, text, more in (
        ("rename", "Give a run another name.", "name"),
        ("note", "Replace a run's note; an empty one removes it.", "note"),
    ):
        command = add(name, _write, text)
        command.add_argument("run_id", metavar="RUN")
        command.add_argument("text", metavar=more.upper())
        command.set_defaults(what=name)
    tags = add("tag", _tag, "Replace a run's tags; without TAG, remove all.")
    tags.add_argument("run_id", metavar="RUN")
    tags.add_argument("tags", metavar="TAG", nargs="*")
    for name, text in (
        ("pin", "Make a run the default baseline of its dataset."),
        ("unpin", "Make popularity the default baseline again."),
    ):
        command = add(name, _pin, text)
        command.add_argument("run_id", metavar="RUN")
        command.set_defaults(what=name)
    trash = add("trash", _trash, "Move runs to the trash; they can be restored for 30 days.")
    trash.add_argument("run_ids", metavar="RUN", nargs="+")
    trash.add_argument("--force", action="store_true", help="those of somebody else too")
    add("restore", _restore, "Restore runs from the trash; without RUN, list the trash.").add_argument("run_ids", metavar="RUN", nargs="*")


def _write(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    (engine.runs.rename if args.what == "rename" else engine.runs.annotate)(args.run_id, args.text)
    return {"run_id": args.run_id}


def _tag(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    engine.runs.tag(args.run_id, args.tags)
    return {"run_id": args.run_id}


def _pin(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    (engine.runs.pin if args.what == "pin" else engine.runs.unpin)(args.run_id)
    return {"run_id": args.run_id}


def _trash(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    for run_id in args.run_ids:
        for other in engine.runs.dependents(run_id):
            print(f"note: {other.title} ({other.run_id}) needs {run_id}")
    refusals = engine.runs.trash(args.run_ids, force=args.force)
    for one in refusals:
        print(f"not moved: {one.run_id} {one.title}: {one.reason}")
    return {"kept": [one._asdict() for one in refusals], "failed": bool(refusals)}


def _restore(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    if not args.run_ids:
        for run in engine.runs.list_trash():
            print(f"{run.run_id}  {run.trashed_at:%Y-%m-%d %H:%M}  {run.title}")
        return {"trash": [run.run_id for run in engine.runs.list_trash()]}
    engine.runs.restore(args.run_ids)
    return {"restored": args.run_ids}
