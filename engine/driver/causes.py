"""Why a run did not finish, as one sentence: from the errors that its processes left, torchrun's report, and what the watch saw."""

import errno
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypedDict

from engine.driver.watch import Watch
from engine.spark import ClusterError
from workers.artifacts import LOG

MB = 1_000_000
TAIL = 3  # lines of a killed process's log that go into the message
DISK_FULL = ("No space left on device", f"[Errno {errno.ENOSPC}]")
NO_JAVA = "JAVA_GATEWAY_EXITED"
LAUNCHER = "TorchDistributor"  # leaves an error of its own that names no cause when a rank was killed
NO_CAUSE = "TorchDistributor failed during training"  # all that it says, whatever happened to its ranks
LOST = ("ExecutorLostFailure", "ExecutorLost", "heartbeat", "SparkException: Job aborted due to stage failure: Could not recover")
# of gloo, of NCCL, and of ranks that share tables
PEER = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited", "is gone; its log says why")
_REPORTED = re.compile(r"rank\s*: (\d+) \(local_rank: \d+\)\s+exitcode\s*: (-?\d+) \(pid: (\d+)\)")


class Cancelled(BaseException):
    """The run was cancelled. Not an Exception, so that no handler of a library swallows it. The text is the run's message."""


class RunFailedError(RuntimeError):
    """The work of a run failed; the text is the run's message."""


class Cause(NamedTuple):
    """Why an attempt failed. `lost`: a process was killed or a host lost, so that another attempt may succeed."""

    sentence: str
    lost: bool = False


class ErrorFile(TypedDict):
    """What a process of a run leaves in `<who>.error.json`."""

    type: str
    message: str
    traceback: str
    time: float
    pid: int


class Ended(NamedTuple):
    """How a rank ended: its exit code, or minus the signal that killed it."""

    rank: int
    pid: int
    code: int


def of_attempt(run_dir: Path, output: str, watch: Watch, batch_size: int | None = None) -> Cause:
    """Why an attempt of a training ended without a result.

    Args:
        output: what its launcher printed.
        batch_size: rows that each rank reads in a step; None for a model that is fitted at once.
    """
    if watch.reason:
        return Cause(watch.reason, lost=True)
    left = error_files(run_dir)
    if any(is_disk_full(one["message"]) or is_disk_full(one["traceback"]) for one in left.values()):
        return Cause(disk_sentence(run_dir))
    killed = [one for one in ended_ranks(output) if one.code < 0 and one.code != -signal.SIGTERM]
    if killed:
        return Cause(killed_sentence(run_dir, f"Rank {killed[0].rank}", killed[0].pid, -killed[0].code, watch, batch_size), lost=True)
    if left and not (left.keys() == {LAUNCHER} and NO_CAUSE in left[LAUNCHER]["message"]):
        lost = any(sign in one["traceback"] + one["message"] for one in left.values() for sign in LOST)
        if all(any(sign in one["message"] for sign in PEER) for one in left.values()):
            return Cause(
                f"A rank ended without a word, as where its executor or its host is lost; the others say: {earliest(left)}", lost=True
            )
        return Cause(earliest(left), lost)
    text = "It ended without a result: a process was killed or left early"
    if watch.out_of_memory:  # of torchrun, which then reports nothing
        return Cause(f"{text}, probably {_short_of_memory(batch_size)}. The run used up to {_of_limit(watch)}; see the log.", lost=True)
    return Cause(f"{text}; see the log.")


def of_error(run_dir: Path, error: BaseException, watch: Watch) -> str:
    """The message of a run whose work raised an error: that of Spark, of the process that failed first, or its own."""
    if isinstance(error, RunFailedError | ClusterError):
        return str(error)
    if is_disk_full(f"{error}"):
        return disk_sentence(run_dir)
    if (java := _java()) is not None and (code := java.poll()) is not None:
        who = "Spark's Java process"
        return killed_sentence(run_dir, who, java.pid, -code, watch) if code < 0 else f"{who} ended with code {code}; its log says why."
    if NO_JAVA in str(error):
        return "Spark's Java process was killed, or ended, before it was up: the run's output.log says why. Launch it again."
    left = error_files(run_dir)
    return earliest(left) if left else f"{plain(str(error))} ({type(error).__name__})"


def killed_sentence(run_dir: Path, who: str, pid: int | None, number: int, watch: Watch, batch_size: int | None = None) -> str:
    """Which process was killed by which signal, what memory it used, and the last lines of its log."""
    name = signal.Signals(number).name if number in {one.value for one in signal.Signals} else "unknown"
    used = watch.memory.get(pid, 0) if pid else watch.total
    text = f"{who} was killed by signal {number} ({name})"
    if number == signal.SIGKILL and used:
        text += f" while all processes of the run used up to {_of_limit(watch)}"
        if watch.out_of_memory:
            text += f": probably {_short_of_memory(batch_size)}"
    lines = [line for line in _log_lines(run_dir) if f"[{who.lower()}]" in line][-TAIL:]
    return text + ". Resume the run from its newest checkpoint, or launch it again." + "".join(f"\n{line[:160]}" for line in lines)


def _of_limit(watch: Watch) -> str:
    return f"{watch.total / 1e9:.1f} of {watch.limit / 1e9:.1f} GB"


def _short_of_memory(batch_size: int | None) -> str:
    halved = f": a batch of {batch_size // 2:,} needs about half of what a batch of {batch_size:,} needs" if batch_size else ""
    return f"out of memory{halved}"


def _java() -> "subprocess.Popen[bytes] | None":
    """The JVM that this process started for Spark; None without one."""
    pyspark = sys.modules.get("pyspark")
    gateway = pyspark.SparkContext._gateway if pyspark else None
    return getattr(gateway, "proc", None)


def _log_lines(run_dir: Path) -> list[str]:
    """The last lines of a run's log."""
    try:
        with (run_dir / LOG).open("rb") as file:
            file.seek(max(0, (run_dir / LOG).stat().st_size - 20_000))
            return file.read().decode("utf-8", errors="backslashreplace").splitlines()
    except OSError:
        return []


def ended_ranks(output: str) -> list[Ended]:
    """The ranks that torchrun reports as failed, each once, in its order."""
    return list(dict.fromkeys(Ended(int(rank), int(pid), int(code)) for rank, code, pid in _REPORTED.findall(output)))


def error_files(run_dir: Path) -> dict[str, ErrorFile]:
    """What the processes of a run left, by the process's name."""
    left: dict[str, ErrorFile] = {}
    for path in run_dir.glob("*.error.json"):
        try:
            left[path.name.removesuffix(".error.json")] = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
    return left


def earliest(left: Mapping[str, ErrorFile]) -> str:
    """The first error that processes left, as a sentence."""
    who, first = min(left.items(), key=lambda pair: pair[1]["time"])
    if first["type"] == SystemExit.__name__:  # raised by whoever leaves; its message is the exit code
        return f"It ended without a result: {who} left early with code {first['message'] or 0}; see the log."
    return f"{plain(first['message'])} ({first['type']}, {who})"


def is_disk_full(text: str) -> bool:
    """Whether an error, of Python or of Java, says that a disk is full."""
    return any(sign in text for sign in DISK_FULL)


def disk_sentence(run_dir: Path) -> str:
    """No space left: how much to free, and what to do then."""
    free = shutil.disk_usage(run_dir).free
    newest = max((sum(p.stat().st_size for p in one.rglob("*.safetensors")) for one in (run_dir / "checkpoint").glob("*")), default=0)
    wanted = max(2 * newest - free, 100 * MB)  # a checkpoint, and the results beside it
    return f"No space left: {free / MB:,.0f} MB are free. Free about {wanted / MB:,.0f} MB, then resume the run, or launch it again."


def plain(text: str) -> str:
    """The sentence of an error without the trace of Java or Python around it: what was raised at the bottom of it."""
    if len(text) < 400 and "\n" not in text:
        return text
    python = re.findall(r"^(?:\w+\.)*(\w*(?:Error|Exception|Refused)): (.+)$", text, re.MULTILINE)
    java = re.findall(r"Caused by: [\w.$]+: ?(.+)", text)
    if python:
        return python[-1][1].strip()
    first = next((line for line in text.splitlines() if line.strip()), text)
    return (java[-1] if java else first).strip()[:400]
