"""recbench support, cleanup, verify: a bundle for a report of a fault; deleting the trash for good, and what dead runs left; whether
a dataset is what was prepared."""

import argparse
from pathlib import Path
from typing import Any

from engine.cli.annotations import Add

MB = 1e6


def register(add: Add) -> None:
    """Add the commands to a parser."""
    support = add("support", _support, "Write a zip for a report of a fault: logs, specs, versions, errors; passwords and keys are masked.")
    support.add_argument("file", type=Path, metavar="FILE.zip")
    support.add_argument("run_ids", metavar="RUN", nargs="*", help="runs whose logs are in it; default: the newest 20")
    text = "Show what the trash and dead runs take of the disk; with --yes, delete it for good."
    cleanup = add("cleanup", _cleanup, text)
    cleanup.add_argument("run_ids", metavar="RUN", nargs="*", help="runs in the trash; default: all of them")
    cleanup.add_argument("--yes", action="store_true", help="delete: this cannot be undone")
    text = "Read every file of a prepared dataset, in parallel threads, and compare it with what was written."
    add("verify", _verify, text).add_argument("dataset", metavar="DATASET", help="the id of a prepared dataset")


def _verify(args: argparse.Namespace) -> dict[str, Any]:
    from engine import datasets

    datasets.verify(args.dataset)
    print(f"All files of {args.dataset} match the sizes and digests in its manifest.")
    return {"dataset": args.dataset, "verified": True}


def _support(args: argparse.Namespace) -> dict[str, Any]:
    from engine import upkeep

    content = upkeep.support_bundle(args.run_ids or None)
    args.file.write_bytes(content)
    print(f"{args.file}: {len(content) / MB:.1f} MB. Passwords and keys are masked; read it before you send it on.")
    return {"file": str(args.file), "bytes": len(content)}


def _cleanup(args: argparse.Namespace) -> dict[str, Any]:
    from engine import upkeep

    trashed = [one for one in upkeep.trashed_runs() if not args.run_ids or one.run.run_id in args.run_ids]
    for one in trashed:
        stays = f"  stays: {one.kept_because}" if one.kept_because else ""
        print(f"{one.run.run_id}  {one.bytes / MB:>8.1f} MB  {one.run.title}{stays}")
    left = [] if args.run_ids else upkeep.orphans()
    for orphan in left:
        print(f"{orphan.run_id or '':<32}  {orphan.bytes / MB:>8.1f} MB  {orphan.kind}: {orphan.what}")
    if not args.yes:
        print("Nothing was deleted; --yes deletes it for good." if trashed or left else "There is nothing to delete.")
        return {"trash": [one.run.run_id for one in trashed], "orphans": [orphan._asdict() for orphan in left]}
    deleted = upkeep.delete_trashed(args.run_ids or [one.run.run_id for one in trashed])
    for title, why in deleted.kept:
        print(f"not deleted: {title}: {why}")
    stay = upkeep.sweep_orphans() if left else []
    swept = f"{len(left) - len(stay)} of {len(left)} leftovers removed"
    print(f"{len(deleted.run_ids)} runs deleted for good, {deleted.bytes / MB:.1f} MB; {swept}.")
    kept = {"kept": deleted.kept, "orphans": [orphan._asdict() for orphan in stay]}
    return {"deleted": deleted.run_ids, "bytes": deleted.bytes, **kept, "failed": bool(stay)}
