"""A session on a cluster: whether its executors have what a run needs, and whether a run has ended on every host."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from engine.compute import Compute
from engine.settings import settings
from engine.spark.executors import RankRequest, python_of
from engine.spark.on_executors import Host, end_ranks, look
from workers.run import TOKEN

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEEDED = ("numpy", "pyarrow", "pandas", "pydantic", "streaming", "workers")
NEEDED_BY_RANKS = (*NEEDED, "torch", "torchrec")
END_S = 10.0  # for a process of a run to end after SIGKILL
MARKER = ".seen-by-executors"
T = TypeVar("T")
log = logging.getLogger(__name__)


class ClusterError(RuntimeError):
    """A cluster cannot run what is asked of it; the text is a sentence that says what to change."""


def check(spark: "SparkSession", compute: Compute, ranks: RankRequest | None) -> None:
    """See to it that executors are there and have what a run needs.

    Raises:
        ClusterError: they did not come, their Python does not start, or they lack modules or the workspace; says which and what to do.
    """
    wanted = _executors(compute, ranks)
    _await_executors(spark, compute, wanted)
    marker = settings().workspace / MARKER
    marker.touch()
    try:
        hosts = _on_all(spark, partial(look, NEEDED_BY_RANKS if ranks else NEEDED, str(marker)), wanted)
    except Exception as error:
        raise ClusterError(_why_not(str(error), compute)) from error
    if why := lacking(hosts, str(settings().workspace)):
        raise ClusterError(why)
    log.info("executors of %s on %s have what the run needs", compute.master, ", ".join(sorted({host.name for host in hosts})))


def lacking(hosts: list[Host], workspace: str) -> str | None:
    """What executors lack, in a sentence that says what to do; None where they lack nothing."""
    for host in hosts:
        if host.missing:
            return (
                f"Executors on {host.name} lack {', '.join(host.missing)} in their Python {host.python}: install the workbench's "
                "dependencies there, or pack this environment (`recbench pack-environment`) and name the file as the compute's environment."
            )
    if unseen := sorted({host.name for host in hosts if not host.shares}):
        return (
            f"Executors on {', '.join(unseen[:3])} do not see the workspace {workspace}: it must be a folder that all hosts share, "
            "under the same path; set RECBENCH_WORKSPACE."
        )
    return None


def end_everywhere(spark: "SparkSession", run_id: str, executors: int) -> str | None:
    """End what is left of a run's ranks on executors: None where nothing is, else which did not end, or why that is not known."""
    try:
        left = [(host, pids) for host, pids in _on_all(spark, partial(end_ranks, TOKEN, run_id, END_S), executors) if pids]
    except Exception as error:
        return f"Whether its processes on executors have ended could not be verified: {str(error).splitlines()[0][:200]}"
    if left:
        return "; ".join(f"processes {', '.join(map(str, pids))} on {host} do not end: end them yourself" for host, pids in left)
    log.info("no rank of the run is left on %d executors", executors)
    return None


def executors(spark: "SparkSession") -> int:
    """Executors that the session has now."""
    infos: Any = spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
    return len(infos) - 1  # the driver is one of them


def _executors(compute: Compute, ranks: RankRequest | None) -> int:
    """Executors that must be there before anything can begin."""
    if ranks is None:
        return 1
    each = ranks.cores(compute)
    return math.ceil(ranks.ranks / max(1, (compute.cores or each * ranks.ranks) // each))


def _await_executors(spark: "SparkSession", compute: Compute, wanted: int) -> None:
    deadline = time.monotonic() + 60 * compute.wait_minutes
    while (there := executors(spark)) < wanted:
        if time.monotonic() > deadline:
            size = f" with {compute.cores or 'its'} cores and {f'{compute.memory_gb:g} GB' if compute.memory_gb else 'the usual memory'}"
            raise ClusterError(
                f"{compute.master} gave {there} of {wanted} executors{size} in {60 * compute.wait_minutes:.0f} s: it is busy, or has no "
                "host as large as that. Choose smaller executors, or launch the run again later."
            )
        time.sleep(0.25)


def _on_all(spark: "SparkSession", function: Callable[[], T], executors: int) -> list[T]:
    """What a function returns on executors: several tasks for each, so that most likely every one takes some."""
    from pyspark import cloudpickle

    from engine.spark import on_executors

    cloudpickle.register_pickle_by_value(on_executors)
    try:
        tasks = 4 * max(executors, 1)

        def work(_: int, rows: Iterator[int]) -> list[T]:
            time.sleep(0.05)  # so that one executor does not take them all
            return [function()]

        found: list[T] = spark.sparkContext.parallelize(range(tasks), tasks).mapPartitionsWithIndex(work).collect()
        return found
    finally:
        cloudpickle.unregister_pickle_by_value(on_executors)


def _why_not(text: str, compute: Compute) -> str:
    python = python_of(compute) or "the driver's path"
    if "Cannot run program" in text or "No such file or directory" in text:
        return (
            f"Executors of {compute.master} cannot start Python ({python}): give the compute a `python` that is there, or an `environment`."
        )
    if "PYTHON_VERSION_MISMATCH" in text:
        return (
            f"Executors of {compute.master} run another minor version of Python than this one: give the compute a `python` of the same "
            "version, or pack this environment (`recbench pack-environment`)."
        )
    lines = [line for line in text.splitlines() if line.strip()]
    return f"Executors of {compute.master} cannot work: {(lines or ['no reason given'])[-1][:300]}"
