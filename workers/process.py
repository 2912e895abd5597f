"""What every process of a run does for itself, rank or not: die with its parent, log, know its peak memory. Imports no torch."""

import ctypes
import logging
import signal
import warnings
from pathlib import Path

import psutil


def outlive_nobody() -> None:
    """Linux: die with the process that started this one. PR_SET_PDEATHSIG is 1 in <sys/prctl.h>."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def log_to(path: Path, who: str, level: int = logging.INFO) -> None:
    """Append this process's log to a file, each line with its name."""
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(f"%(asctime)s [{who}] %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for talkative in ("streaming", "torchrec"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning)  # torch and torchrec warn of their own calls, not of ours


def peak_memory() -> int:
    """Peak resident bytes of this process: VmHWM of proc(5)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)
