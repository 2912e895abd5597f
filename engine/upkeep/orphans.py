"""What dead runs left on this machine: processes, temporary files, shared memory, half-prepared datasets. Never anything of a live run."""

import shutil
import time
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from engine.runs import identity, processes
from engine.settings import settings
from engine.upkeep.disk import folder_bytes
from workers.run import segments

YOUNG_S = 60  # a run whose folder is younger may be about to take its lock


class Orphan(NamedTuple):
    """Something that a run which is over left."""

    kind: Literal["process", "temporary files", "shared memory", "half-prepared dataset", "half-deleted run"]
    run_id: str | None
    what: str  # pid and command, or path
    bytes: int


def orphans() -> list[Orphan]:
    """What is left, of runs of this workspace alone; changes nothing."""
    own = {folder.name: folder for folder in settings().runs.glob("*") if folder.is_dir()}
    over = {run_id: folder for run_id, folder in own.items() if not run_id.startswith(".") and _is_over(run_id, folder)}
    found = _processes(set(over))
    for run_id, folder in over.items():
        if (temporary := folder / processes.TEMPORARY).is_dir():
            found.append(Orphan("temporary files", run_id, str(temporary), folder_bytes(temporary)))
        if left := segments.of_run(folder):
            found.append(Orphan("shared memory", run_id, f"{left[0]} and {len(left) - 1} more", sum(map(folder_bytes, left))))
    half = [(settings().datasets.glob(".staging-*"), "half-prepared dataset"), (settings().runs.glob(".deleted-*"), "half-deleted run")]
    for paths, kind in half:
        found += [Orphan(kind, None, str(path), folder_bytes(path)) for path in paths if _is_abandoned(path)]  # type: ignore[arg-type]
    return found


def sweep_orphans() -> list[Orphan]:
    """End the processes and remove the files that `orphans` finds; returns those that are left, such as processes of another user."""
    for run_id in {one.run_id for one in orphans() if one.run_id is not None}:
        if _is_over(run_id, settings().runs / run_id):
            processes.sweep(run_id)
    for one in orphans():
        if one.run_id is None:
            shutil.rmtree(one.what, ignore_errors=True)
    return orphans()


def _is_over(run_id: str, folder: Path) -> bool:
    """Whether no driver of this machine holds a run, nor is about to; a run of another machine is left to that one."""
    if not identity.sees(identity.driven_on(folder), has_folder=True):
        return False
    return not processes.is_alive(run_id) and time.time() - folder.stat().st_ctime > (0 if (folder / "verdict.json").exists() else YOUNG_S)


def _processes(over: set[str]) -> list[Orphan]:
    found = []
    for process in psutil.process_iter():
        try:
            run_id = process.environ().get(processes.TOKEN)
            if run_id in over and process.status() != psutil.STATUS_ZOMBIE:
                found.append(Orphan("process", run_id, f"{process.pid} {' '.join(process.cmdline())[:120]}", process.memory_info().rss))
        except psutil.Error:
            continue
    return found


def _is_abandoned(path: Path) -> bool:
    """Whether the process that its name ends with is gone."""
    pid = path.name.rpartition("-")[2]
    return not pid.isdigit() or not psutil.pid_exists(int(pid))
