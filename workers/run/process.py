"""What every process of a run does, rank or not: end with its parent, log, measure its peak memory. Imports no torch."""

import ctypes
import faulthandler
import logging
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from workers.artifacts import LOG
from workers.run import attempts
from workers.run.journal import say_why
from workers.specs import MaskSecrets

log = logging.getLogger(__name__)
TOKEN = "RECBENCH_RUN"  # in the environment of every process of a run, on every host
RENDEZVOUS = "RECBENCH_RENDEZVOUS"  # the file through which the ranks of one host meet, in a folder that nobody else can enter
LAUNCHER_S = 2.0  # between looks at whether the launcher of a rank is there
DUMP = signal.SIGUSR2  # a process of a run answers it with the stacks of its threads, in the run's log


@contextmanager
def log_and_report_errors(run: Path, who: str, level: int = logging.INFO, attempt: int | None = None) -> Iterator[None]:
    """Around all that a process of a run does: it ends with its parent, logs to the run, and writes what it raises to `<who>.error.json`.

    Args:
        who: what the process is, such as fit, or rank 0; the name of the file has no spaces.
        attempt: of the run; once a later one has begun, errors of this one are its own affair and are only logged.
    """
    end_with_parent()
    faulthandler.enable()
    answer_with_stacks(run)
    log_to(run / LOG, who, level)
    try:
        yield
    except BaseException as error:
        if attempt is None or attempts.current(run).number in (0, attempt):
            say_why(run, who.replace(" ", ""), error, traceback.format_exc())
        log.exception("%s failed", who)
        raise


def end_with_parent() -> None:
    """Linux: die with the process that started this one. PR_SET_PDEATHSIG is 1 in <sys/prctl.h>."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def end_with_launcher() -> None:
    """End this rank and torchrun's agent above it once the process that started the agent is gone: that of an executor that was lost, or
    whose task was cancelled, leaves nothing that computes on its host."""
    agent = psutil.Process(os.getppid())
    launcher = agent.ppid()

    def watch() -> None:
        while True:
            time.sleep(LAUNCHER_S)
            try:
                if agent.ppid() == launcher:
                    continue
                agent.kill()
            except psutil.NoSuchProcess:
                pass
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def answer_with_stacks(run: Path) -> None:
    """Let this process write the stacks of its threads to the run's log when it gets DUMP, even while it hangs in C code."""
    file = os.open(run / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o660)
    faulthandler.register(DUMP, file=file, all_threads=True)


def log_to(path: Path, who: str, level: int = logging.INFO) -> None:
    """Append this process's log to a file, each line with its name."""
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(LogFormat(who))
    handler.addFilter(MaskSecrets())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for verbose in ("streaming", "torchrec"):
        logging.getLogger(verbose).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning)  # torch and torchrec warn about calls of their own


class LogFormat(logging.Formatter):
    """Lines of a run's log: time, the process, the level and the message; before a library's message, its name in parentheses.

    `engine.runs.log_lines` reads by that which lines are the workbench's own.
    """

    def __init__(self, who: str) -> None:
        super().__init__(f"%(asctime)s [{who}] %(levelname)s %(message)s")
        self._library = logging.Formatter(f"%(asctime)s [{who}] %(levelname)s (%(name)s) %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One record; those of our own floors are plain."""
        own = record.name.split(".")[0] in ("engine", "workers")
        return super().format(record) if own else self._library.format(record)


def peak_memory() -> int:
    """Peak resident bytes of this process: VmHWM of proc(5)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)
