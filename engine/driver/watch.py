"""Watches a run from its driver: whether it gets on, which of its processes is stopped, and what memory they use.

A run that does not get on is ended with the stacks of its processes in its log, so that nobody waits for a hung one.
"""

import logging
import signal
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from engine import runs
from engine.compute import current
from workers.run import DUMP

TICK_S = 1.0
STOPPED_S = 60.0  # a process that a signal or a debugger stopped for longer does not go on by itself
STEP_S, STEPS = 60.0, 20  # no report of steps for the longer of both: seconds, and medians of the time between reports
STARVED_SHARE, STARVED = 0.5, 10  # ranks that could run but got less than this share of a core: they have so many times as long
IDLE_S, IDLE_SHARE = 600.0, 0.02  # in phases without steps: no progress for so long, and less than this share of one core used
log = logging.getLogger("engine.driver")


class Watch:
    """A thread that ends a run's processes when they hang. Time in which this process itself did not run does not count.

    `reason` says why it did so; None as long as all is well. `memory` has the resident bytes of each process when last seen
    alive.
    """

    def __init__(self, run_dir: Path, end: Callable[[], None] | None = None) -> None:
        self.reason: str | None = None
        self.memory: dict[int, int] = {}
        self.total = 0  # of all processes together, at most
        self.limit = memory_limit()
        self._oom_kills = oom_kills()
        self._run_dir, self._end = run_dir, end
        self._all_here = not current().is_cluster  # no executor of another host computes unseen
        self._names: dict[int, str | None] = {}
        self._stopped: dict[int, float] = {}
        self._gaps: list[float] = []
        self._before: tuple[str, int] | None = None
        self._since = self._ticked = self._idle_since = time.monotonic()
        self._cpu_then = 0.0  # processor seconds of the ranks at `_since`
        self._cpu = 0.0  # processor seconds of all processes when the window of `_idle_since` began
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel killed a process for lack of memory, or its processes came near to all there is."""
        return oom_kills() > self._oom_kills or self.total > 0.8 * self.limit

    def _work(self) -> None:
        while not self._over.wait(TICK_S):
            try:
                now = time.monotonic()
                self._skip(now - self._ticked - TICK_S)
                self._ticked = now
                family = self._family()
                if self.reason is None and (reason := self._stopped_too_long(family, now) or self._hangs(family, now)):
                    self._finish(reason, family)
            except Exception:
                log.exception("the watch could not look after the run")

    def _skip(self, late_s: float) -> None:
        """Forget the time in which this process was stopped, or its host suspended."""
        if late_s > 5 * TICK_S:
            self._since, self._idle_since = self._since + late_s, self._idle_since + late_s
            self._stopped = {pid: since + late_s for pid, since in self._stopped.items()}

    def _family(self) -> list[psutil.Process]:
        """The processes below this one, after a look at their memory."""
        family, used = [], {}
        for process in psutil.Process().children(recursive=True):
            try:
                used[process.pid] = process.memory_info().rss
                family.append(process)
            except psutil.Error:
                continue
        self.memory |= {pid: rss for pid, rss in used.items() if rss}  # a process that was killed just now has none
        self.total = max(self.total, sum(used.values()))
        return family

    def _stopped_too_long(self, family: list[psutil.Process], now: float, patience_s: float = STOPPED_S) -> str | None:
        stopped = {process.pid: process for process in family if _status(process) in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)}
        self._stopped = {pid: self._stopped.get(pid, now) for pid in stopped}
        for pid, since in self._stopped.items():
            if now - since > patience_s:
                who = self._name(stopped[pid]) or f"Process {stopped[pid].name()}"
                return f"{who} (pid {pid}) was stopped for {now - since:.0f} s, by SIGSTOP or a debugger, so the run was ended. Resume it."
        return None

    def _hangs(self, family: list[psutil.Process], now: float) -> str | None:
        progress = runs.progress(self._run_dir)
        at = (progress.phase, progress.step) if progress else None
        if at != self._before:
            if at and self._before and at[0] == self._before[0] == "training":
                self._gaps = [*self._gaps[-200:], now - self._since]
            self._before, self._since, self._cpu_then = at, now, self._cpu_of_ranks(family)
        if at and at[0] == "training" and self._gaps:
            limit = max(STEP_S, STEPS * statistics.median(self._gaps))
            if now - self._since > limit and not (self._starved(family, now) and now - self._since < STARVED * limit):
                hung = (
                    f"No step for {limit:.0f} s at step {at[1]:,}: the ranks hung and were ended. Their stacks are in the log; resume it."
                )
                return self._stopped_too_long(family, now, TICK_S) or hung
        return self._idle(family, at[0] if at else "", now)

    def _starved(self, family: list[psutil.Process], now: float) -> bool:
        """Whether a rank waits for nothing but a core, as on a machine that others use: it hardly ran since the last step, and could."""
        ready = any(_status(process) == psutil.STATUS_RUNNING for process in family if self._name(process))
        return ready and self._cpu_of_ranks(family) - self._cpu_then < STARVED_SHARE * (now - self._since)

    def _cpu_of_ranks(self, family: list[psutil.Process]) -> float:
        return sum(_cpu(process) for process in family if self._name(process))

    def _idle(self, family: list[psutil.Process], phase: str, now: float) -> str | None:
        used = sum(_cpu(process) for process in family)
        if now - self._idle_since < IDLE_S:
            return None
        idle = family and self._all_here and used - self._cpu < IDLE_SHARE * IDLE_S and self._since < self._idle_since
        self._idle_since, self._cpu = now, used
        if not idle:
            return None
        text = f"nothing was computed for {IDLE_S / 60:.0f} minutes, so the run was ended. Stacks are in the log; launch it again."
        return f"In the phase {phase!r} {text}" if phase else text.capitalize()

    def _finish(self, reason: str, family: list[psutil.Process]) -> None:
        self.reason = reason
        log.error("%s", reason)
        ours = [process for process in family if self._name(process)]
        for process in ours:
            _send(process, DUMP)
        if ours:
            time.sleep(2.0)  # for the stacks
        if self._end is not None:
            self._end()
        for process in ours or family:
            _send(process, signal.SIGKILL)

    def _name(self, process: psutil.Process) -> str | None:
        """Rank 1, or the process that fits a model; None for launchers and Spark."""
        if process.pid not in self._names:
            try:
                words, variables = process.cmdline(), process.environ()
                rank = variables.get("RANK") if any(word.endswith("train.py") for word in words) and "-m" not in words else None
                own = any(word.startswith("workers.") for word in words)
                self._names[process.pid] = f"Rank {rank}" if rank is not None else "The process" if own else None
            except psutil.Error:
                return None
        return self._names[process.pid]


def memory_limit() -> int:
    """Bytes that the processes here may use: the memory of the machine, or of the control group if that is less."""
    limits = [psutil.virtual_memory().total]
    for folder in _groups():
        for name in ("memory.max", "memory.limit_in_bytes"):  # of version 2, and of version 1
            try:
                limits.append(int((folder / name).read_text()))
            except (OSError, ValueError):  # "max": no limit
                continue
    return min(limits)


def oom_kills() -> int:
    """Processes that the kernel has killed in this control group for lack of memory; 0 where it does not say."""
    for folder in _groups():
        for name in ("memory.events", "memory.oom_control"):
            try:
                lines = (folder / name).read_text().splitlines()
            except OSError:
                continue
            return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    return 0


def _groups() -> list[Path]:
    """The folders of the control group that limits this process's memory, and of those around it (cgroups(7))."""
    roots = {"": Path("/sys/fs/cgroup"), "memory": Path("/sys/fs/cgroup/memory")}
    try:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return []
    own = [(roots[controller], path.lstrip("/")) for _, controller, path in lines if controller in roots]
    return [one for root, path in own for one in ((root / path), *(root / path).parents) if one.is_relative_to(root)]


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.Error:
        return ""


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
        return float(times.user + times.system)
    except psutil.Error:
        return 0.0


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        pass
