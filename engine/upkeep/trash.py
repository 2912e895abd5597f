"""Deleting runs of the trash for good: their folder, their artifacts, and their record in the store."""

import logging
import os
import shutil
import urllib.parse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from engine import runs
from engine.runs import Run, processes, store
from engine.settings import settings
from engine.upkeep.disk import folder_bytes

log = logging.getLogger(__name__)


class TrashedRun(NamedTuple):
    """A run in the trash: the bytes that deleting it frees, and why it must stay, where it must."""

    run: Run
    bytes: int
    kept_because: str | None


class Deleted(NamedTuple):
    """What was deleted for good: ids and bytes; and of what was not, the titles and the reasons."""

    run_ids: tuple[str, ...]
    bytes: int
    kept: tuple[tuple[str, str], ...]


def trashed_runs() -> list[TrashedRun]:
    """All runs in the trash, those too that can no longer be restored; the largest first. Changes nothing."""
    found = runs.list_runs(trashed=True)
    kept = _kept(found, found)
    sized = [TrashedRun(run, sum(map(folder_bytes, _paths(run.run_id))), kept.get(run.run_id)) for run in found]
    return sorted(sized, key=lambda one: -one.bytes)


def delete_trashed(run_ids: Iterable[str]) -> Deleted:
    """Delete runs for good; a run that is not in the trash, is live, or that another one needs, is kept with the reason.

    The store marks them as deleted; `mlflow gc` removes its rows, and artifacts that are not on this machine.

    Raises:
        LookupError: no such run; none is deleted then.
    """
    chosen = [runs.get_run(run_id) for run_id in dict.fromkeys(run_ids)]
    kept = _kept(chosen, [run for run in chosen if run.trashed_at is not None])
    gone = [run for run in chosen if run.run_id not in kept]
    freed = 0
    for run in gone:
        paths = _paths(run.run_id)
        freed += sum(map(folder_bytes, paths))
        _delete(run.run_id, paths)
    return Deleted(tuple(run.run_id for run in gone), freed, tuple((run.title, kept[run.run_id]) for run in chosen if run.run_id in kept))


def _kept(chosen: list[Run], together: list[Run]) -> dict[str, str]:
    """Run id -> why it is kept, where others of `together` are deleted with it."""
    every = [*runs.list_runs("train"), *runs.list_runs("train", trashed=True)]
    kept: dict[str, str] = {}
    for run in chosen:
        if run.trashed_at is None:
            kept[run.run_id] = "it is not in the trash: move it there first"
        elif run.live or processes.is_alive(run.run_id):
            kept[run.run_id] = f"it is {run.state.value}: cancel it first"
        elif why := runs.why_not_yours(run.owner):
            kept[run.run_id] = f"{why}: its owner deletes it"
    while True:  # what needs a run that is kept may go; what a kept run needs must stay
        going = {run.run_id for run in together} - set(kept)
        more = {
            run.run_id: f"{needs[0].title} needs it: delete that first"
            for run in chosen
            if run.run_id not in kept and (needs := [one for one in runs.dependents(run.run_id, every) if one.run_id not in going])
        }
        if not more:
            return kept
        kept |= more


def _paths(run_id: str) -> list[Path]:
    """What there is of a run on this machine: its folder, and its artifacts where their root is a folder. Named by its id, whatever the
    store has for an address: that of a workspace that was copied points into the other one."""
    uri = urllib.parse.urlsplit(settings().artifacts)
    root = Path(urllib.parse.unquote(uri.path)) if uri.scheme in ("", "file") else None
    return [settings().runs / run_id, *(sorted(root.glob(f"*/{run_id}")) if root else ())]


def _delete(run_id: str, paths: list[Path]) -> None:
    """The folder is moved aside first: no page, and no `recbench adopt`, finds half a run."""
    folder, *artifacts = paths
    aside = folder.with_name(f".deleted-{run_id}-{os.getpid()}")
    if folder.exists():
        folder.rename(aside)
    store.delete(run_id)
    for path in (aside, *artifacts):
        shutil.rmtree(path, ignore_errors=True)
    log.info("deleted run %s for good", run_id)
