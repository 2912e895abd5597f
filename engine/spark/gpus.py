"""The GPUs of this host, as Spark's resources: TorchDistributor starts no rank on a GPU that Spark was not asked for.

Ranks beside the driver take the driver's GPUs, and so do barrier tasks of a local master; on a cluster the tasks take their executor's.
"""

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from engine.compute import current
from engine.settings import settings

VISIBLE, CHOSEN = "CUDA_VISIBLE_DEVICES", "RECBENCH_CHOSEN_GPUS"
TASK = "spark.task.resource.gpu.amount"
PATIENCE_S = 20
MIB = 1 << 20
# Addresses are places in CUDA_VISIBLE_DEVICES where that is set, as TorchDistributor takes them, else the numbers of nvidia-smi.
_SCRIPT = """#!/bin/sh
if [ -n "$RECBENCH_CHOSEN_GPUS" ]; then
  found=$RECBENCH_CHOSEN_GPUS
elif [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
  found=$(printf '%s' "$CUDA_VISIBLE_DEVICES" | tr ',' '\\n' | awk 'NF {print NR - 1}' | paste -sd, -)
else
  found=$(nvidia-smi --query-gpu=index --format=csv,noheader | tr -d ' ' | paste -sd, -)
fi
printf '{"name": "gpu", "addresses": [%s]}\\n' "$(printf '%s' "$found" | sed 's/[0-9][0-9]*/"&"/g')"
"""


class Gpu(NamedTuple):
    """One GPU of this host."""

    address: int  # its place in CUDA_VISIBLE_DEVICES, or its number in nvidia-smi
    name: str = "GPU"
    memory_bytes: int | None = None  # None: a discovery script of the user's tells no more than addresses
    free_bytes: int | None = None


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that a run started here may use: of `Settings.gpu_discovery`, else those of nvidia-smi that CUDA_VISIBLE_DEVICES names.

    Raises:
        RuntimeError: the script of `Settings.gpu_discovery` does not run, or prints something else than Spark reads.
    """
    script = settings().gpu_discovery
    if script is not None:
        return tuple(Gpu(address) for address in _addresses(script))
    rows = _listed()
    named = os.environ.get(VISIBLE)
    if named is None:
        return tuple(row.gpu for row in rows)
    found = []
    for place, entry in enumerate(named.split(",")):
        one = next((row.gpu for row in rows if row.is_named(entry.strip())), None)
        if one is None:  # CUDA, too, ignores what follows an entry that it does not know
            break
        found.append(one._replace(address=place))
    return tuple(found)


class _Row(NamedTuple):
    gpu: Gpu
    uuid: str

    def is_named(self, entry: str) -> bool:
        return entry == str(self.gpu.address) or (bool(entry) and self.uuid.startswith(entry))


def _listed() -> list[_Row]:
    """What nvidia-smi lists; nothing where there is none, or no driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    words = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if len(row) == 5 and row[0].strip().isdigit()]
    sizes = [[int(cell) * MIB if cell.isdigit() else None for cell in row[3:]] for row in rows]
    return [_Row(Gpu(int(row[0]), row[2], *size), row[1]) for row, size in zip(rows, sizes, strict=True)]


def _addresses(script: Path) -> list[int]:
    try:
        text = subprocess.run([str(script.expanduser())], capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout
        return [int(address) for address in json.loads(text)["addresses"]]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise RuntimeError(
            f"RECBENCH_GPU_DISCOVERY is {script}, which gave no list of GPUs: {str(error)[:200]}. It must be a program that prints "
            '{"name": "gpu", "addresses": ["0", "1"]}.'
        ) from error


class GpuRequest(NamedTuple):
    """The GPUs of a training run: one for each of its processes."""

    processes: int
    local_mode: bool = True  # ranks beside the driver, rather than as barrier tasks

    @property
    def of_driver(self) -> bool:
        """Whether they are GPUs of this host, and not of a cluster's executors."""
        return self.local_mode or not current().is_cluster

    def refusal(self) -> str | None:
        """Why the GPUs of this host do not do, in a sentence; None where they do, or where executors bring their own."""
        if not self.of_driver:
            return None
        try:
            found = len(gpus())
        except RuntimeError as error:
            return str(error)
        if found >= self.processes:
            return None
        if not found:
            return "train.device is cuda, but no GPU is found on this machine; choose cpu."
        named = "1 GPU is" if found == 1 else f"{found} GPUs are"
        return f"train.device is cuda and train.processes {self.processes}, but {named} found on this machine; choose {found}, or cpu."

    @contextlib.contextmanager
    def granted(self) -> Iterator[dict[str, str]]:
        """Around the start of the JVM: the options of its session, and the environment that its discovery script reads.

        Raises:
            ValueError: this host has fewer GPUs than the run has processes; TorchDistributor would start fewer ranks and go on.
        """
        before = dict(os.environ)
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # as nvidia-smi counts
        if not self.of_driver:
            yield self._of_executors()
            return
        if why := self.refusal():
            raise ValueError(why)
        # as many as there are processes: TorchDistributor draws from what the driver has at random
        os.environ[CHOSEN] = ",".join(str(gpu.address) for gpu in gpus()[: self.processes])
        # barrier tasks are children of the JVM: where they inherit this, each sees all GPUs and takes the first
        os.environ.pop(VISIBLE, None)
        try:
            yield _resource("driver", self.processes, _written())
        finally:
            del os.environ[CHOSEN]
            os.environ |= {name: value for name, value in before.items() if name == VISIBLE}

    def _of_executors(self) -> dict[str, str]:
        compute, script = current(), settings().gpu_discovery or _written()
        each = compute.gpus
        workers = _resource("worker", each, script) if compute.master.startswith("local-cluster") else {}
        return _resource("executor", each, script) | workers | {TASK: "1"}

    def runtime_options(self) -> dict[str, str]:
        """Options to set once the session runs.

        TorchDistributor asks for a GPU per task. A local master knows the driver's GPUs only: with the amount set at its start, its tasks
        would wait for an executor's for ever.
        """
        return {TASK: "1"} if self.of_driver and not self.local_mode else {}


def _resource(owner: str, amount: int, script: Path) -> dict[str, str]:
    name = f"spark.{owner}.resource.gpu"
    return {f"{name}.amount": str(amount), f"{name}.discoveryScript": str(script)}


def _written() -> Path:
    """The discovery script, in the workspace, which executors see too."""
    script = settings().workspace / ".gpus" / "discover.sh"
    write_program(script, _SCRIPT)
    return script


def write_program(path: Path, text: str) -> None:
    """Write a program whole, unless it is there already."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(partial.stat().st_mode | 0o100 | (0o010 if partial.stat().st_mode & 0o040 else 0))
    os.replace(partial, path)
