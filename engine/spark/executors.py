"""What executors of a cluster are started with: the workbench's code, a Python, the variables of a run, cores and memory."""

import math
import os
from collections.abc import Mapping
from typing import NamedTuple

from engine.compute import Compute, code_archive
from engine.settings import settings
from workers.run import TOKEN
from workers.stores import PLACES

CODE, ENVIRONMENT = "recbench_code", "recbench_environment"  # folders, relative to where an executor works
PYTHON = "PYSPARK_PYTHON"


class RankRequest(NamedTuple):
    """The barrier tasks of a training run, one for each of its ranks."""

    ranks: int
    on_gpus: bool = False

    def cores(self, compute: Compute) -> int:
        """Cores of each rank: an executor has as many ranks as GPUs, and without GPUs one."""
        return max(1, (compute.cores or 1) // (compute.gpus if self.on_gpus else 1))


def python_of(compute: Compute) -> str | None:
    """The Python of the executors; None: the path of the driver's, on every host."""
    return f"./{ENVIRONMENT}/bin/python" if compute.environment else compute.python


def options(compute: Compute, ranks: RankRequest | None, variables: Mapping[str, str]) -> dict[str, str]:
    """Options of a session on a cluster; those of the compute's own win.

    Args:
        ranks: of a training, which takes the cores that its ranks need and no more; None: a preparation.
        variables: the environment of tasks, and of the ranks that they start.
    """
    archives = [f"{code_archive()}#{CODE}", *([f"{compute.environment}#{ENVIRONMENT}"] if compute.environment else [])]
    own = settings().inherited | ({TOKEN: os.environ[TOKEN]} if TOKEN in os.environ else {})
    own |= {name: os.environ[name] for name in PLACES if name in os.environ}  # where S3 is; credentials are the hosts' own
    path = ":".join(part for part in (CODE, variables.get("PYTHONPATH")) if part)
    chosen = {
        "spark.archives": ",".join(archives),
        "spark.task.reaper.enabled": "true",  # a task that was cancelled and does not end takes its executor along
        "spark.task.reaper.killTimeout": "30s",
    }
    chosen |= {f"spark.executorEnv.{name}": value for name, value in {**own, **variables, "PYTHONPATH": path}.items()}
    if compute.memory_gb:
        chosen["spark.executor.memory"] = f"{round(1024 * compute.memory_gb)}m"
    if compute.cores:
        chosen["spark.executor.cores"] = str(compute.cores)
    return chosen | (_of_preparation(compute) if ranks is None else _of_ranks(compute, ranks)) | compute.spark


def _of_preparation(compute: Compute) -> dict[str, str]:
    if not compute.executors:
        return {}
    most = {"spark.cores.max": str(compute.executors * compute.cores)} if compute.cores else {}  # of a standalone cluster
    return {"spark.executor.instances": str(compute.executors)} | most


def _of_ranks(compute: Compute, ranks: RankRequest) -> dict[str, str]:
    each = ranks.cores(compute)
    executors = math.ceil(ranks.ranks / max(1, (compute.cores or each) // each))
    return {"spark.task.cpus": str(each), "spark.cores.max": str(each * ranks.ranks), "spark.executor.instances": str(executors)}
