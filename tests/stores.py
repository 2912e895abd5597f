"""What is made once in a test run for all of its workers, and copied; first of all MLflow stores, since making one takes seconds."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

DATABASE = "mlflow.db"
PLACES = (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("tags", "value"))  # columns that name the workspace


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` has filled once in this test run: by the worker that asks first, while others wait. Nobody may write to it."""
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # each worker has a folder of its own in that of the run
    folder, done = root / f"once-{name}", root / f"once-{name}.done"
    with FileLock(root / f"once-{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def make(folder: Path) -> None:
    """Make a workspace with an empty store."""
    from engine.runs import store

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(folder))
        store.client()


def copy(workspace: Path, folder: Path) -> Path:
    """Copy a workspace to a folder, whose store knows that it is there; returns the folder."""
    shutil.copytree(workspace, folder, dirs_exist_ok=True)
    with sqlite3.connect(folder / DATABASE) as database:
        for table, column in PLACES:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(workspace), str(folder)))
    return folder
