"""Submit runs.

A run is alive while the lock of its folder is held: the submitter takes it and the driver inherits it, so that it is held from before the
driver starts until it has ended.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from engine import compute, datasets, locks, preflight
from engine.datasets import DatasetSpec, DownloadSpec
from engine.runs import claims, records, store
from engine.runs.described import described
from engine.runs.processes import LOCK, TOKEN, is_alive
from engine.runs.settle import settle_all
from engine.runs.spec import SubmittedSpec
from engine.settings import settings
from workers.artifacts import OUTPUT, SPEC, lacks_target, write_json
from workers.run import RunSpec

TICKET = "ticket.json"
AFTER = "after.json"
CONCLUDES = "RECBENCH_CONCLUDES"  # whether the next attempt trains no more, and measures the best epoch so far
PROCESSES = "RECBENCH_PROCESSES"  # ranks of the next attempt, where they are not those of the spec


def submit(spec: SubmittedSpec, key: str | None = None, after: str | None = None, files: Mapping[str, str] | None = None) -> str:
    """Start a preparation, a training run, a download or a list export in a driver process; returns the run id at once.

    It computes where `engine.compute.using` says, else where the settings say. A download that is under way is not started again: its
    id is returned.

    Args:
        key: idempotency key; a second call with the same key returns the first call's run.
        after: a run that must finish first, such as the preparation of the dataset.
        files: name -> text of files that are written to the run's folder with its spec.

    Raises:
        LookupError: the dataset (where no `after` prepares it) or the run to continue does not exist.
        ValueError: the model cannot be trained on the dataset, or cannot continue that run, or the run takes more than there is; says why
            and what to do.
    """
    from engine.runs import continuing, funnels

    if isinstance(spec, RunSpec) and after is None:
        dataset = datasets.get_dataset(spec.dataset)
        if why := spec.model.refusal(dataset.schema, dataset.manifest["label"]) or lacks_target(spec.protocol.target, dataset.path):
            raise ValueError(why)
        if why := preflight.training(spec, dataset).why_blocked:
            raise ValueError(why)
        spec = spec.resolved(dataset.schema)
    if isinstance(spec, RunSpec):
        continuing.check(spec)
        funnels.check(spec)
    if isinstance(spec, DatasetSpec):
        spec.source.check()
        preflight.refuse_small(spec)
    if isinstance(spec, DownloadSpec):
        return _download(spec)
    if key is None:
        return _launch(spec, {}, after, files)
    with locks.held(".submit.lock", 60, "Another submission"):
        known = store.search(("prepare", "train", "export", "features"), 1, f"tags.`{store.TAG}key` = '{_safe(key)}'")
        return known[0].info.run_id if known else _launch(spec, {"key": _safe(key)}, after, files)


def _download(spec: DownloadSpec) -> str:
    with locks.held(".submit.lock", 60, "Another submission"):
        newest = store.search(("download",), 1, f"tags.`{store.TAG}download` = '{spec.key}'")
        if newest and is_alive(newest[0].info.run_id):
            return newest[0].info.run_id
        return _launch(spec, {}, None)


def submit_tour() -> list[str]:
    """The first run: prepare the sample ratings, then a two-tower and a DLRM on them. Returns the three run ids.

    While such a tour is under way, started in any tab, its run ids are returned.
    """
    from engine.sources import SOURCES
    from workers.models import MODELS

    spec = DatasetSpec(name="sample", source=SOURCES["sample"].model_validate({}))
    runs = [RunSpec(dataset=datasets.dataset_id(spec), model=MODELS[kind].model_validate({})) for kind in ("two_tower", "dlrm")]
    with locks.held(".submit.lock", 60, "Another submission"):
        newest = [run.info.run_id for run in store.search(("prepare", "train"), 3, f"tags.`{store.TAG}tour` = 'yes'")]
        if any(map(is_alive, newest)):
            return newest[::-1]
        first = _launch(spec, {"tour": "yes"}, None)
        return [first, *(_launch(run, {"tour": "yes"}, first) for run in runs)]


def _safe(key: str) -> str:
    return "".join(c for c in key if c.isalnum() or c in "-_.")[:200]


def _launch(spec: SubmittedSpec, tags: dict[str, str], after: str | None, files: Mapping[str, str] | None = None) -> str:
    settle_all()  # so that no process of a run that died computes at the same time
    kind, title, known = described(spec)
    with claims.claimed() as claim:
        for name, text in {**(files or {}), **compute.files(), SPEC: spec.model_dump_json(indent=2)}.items():
            (claim.folder / name).write_text(text, encoding="utf-8")
        if after:
            write_json(claim.folder / AFTER, {"run": after})
        run_id = records.create(claim, kind, title, spec, known | tags)
        start_driver(run_id, kind, claim.become(run_id), os.dup(claim.lock))
    return run_id


def start_driver(
    run_id: str, kind: store.Kind, folder: Path, held: int | None = None, variables: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Start the driver of a run, which inherits the lock of its folder: the one that is held already, else one that is taken here.

    Args:
        variables: PROCESSES and CONCLUDES, where this attempt is another than the spec says.
    """
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, settings().file_mode) if held is None else held
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if kind != "download":
            write_json(folder / TICKET, {"submitted": time.time_ns()})
        own = {TOKEN: run_id, "RECBENCH_LOCK_FD": str(lock)}
        environment = {**os.environ, **settings().inherited, **compute.variables(folder), **own, **variables}
        with (folder / OUTPUT).open("ab") as output:
            subprocess.Popen(
                [sys.executable, "-m", "engine.driver", run_id, kind],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[lock],
                start_new_session=True,
            )
    finally:
        os.close(lock)  # the driver's inherited descriptor keeps the lock
