"""The compute of a run, a file of its folder, and that of the process: a driver works in its run's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from engine.compute.kept import get
from engine.compute.spec import Compute
from engine.settings import settings

COMPUTE = "compute.json"  # in the folder of a run that was launched with one
VARIABLE = "RECBENCH_COMPUTE"  # name of a kept compute, or the path of one as JSON: what runs are launched with where nothing else is said
_chosen: ContextVar[Compute | None] = ContextVar("compute", default=None)


def current() -> Compute:
    """The compute that is in use: that of `using`, else what RECBENCH_COMPUTE names, else the Spark master of the settings.

    Raises:
        LookupError, ValueError: RECBENCH_COMPUTE names none that is kept, or a file that holds none.
    """
    return _named() or Compute(master=settings().spark_master, gpus=settings().gpus_per_executor)


def given(text: str) -> Compute:
    """The compute that a person names: a file of JSON, or one that the workspace keeps.

    Raises:
        LookupError: none is kept under this name. ValueError: the file holds none.
    """
    path = Path(text)
    return Compute.read(path) if path.suffix == ".json" or os.sep in text else get(text)


@contextmanager
def using(compute: Compute | None) -> Iterator[None]:
    """In here, runs are judged and launched with a compute; with None as without."""
    before = _chosen.set(compute or _chosen.get())
    try:
        yield
    finally:
        _chosen.reset(before)


def files() -> dict[str, str]:
    """What the folder of a run that is launched now holds of its compute, name -> text; nothing where only the settings say it."""
    named = _named()
    return {COMPUTE: named.model_dump_json(indent=2)} if named else {}


def variables(run: Path) -> dict[str, str]:
    """The environment of a run's driver, as far as its compute is concerned."""
    return {VARIABLE: str(run / COMPUTE)} if (run / COMPUTE).is_file() else {}


def of_run(run: Path) -> Compute | None:
    """The compute that a run was launched with, out of its folder; None where only the settings said it, or it cannot be read."""
    try:
        return Compute.read(run / COMPUTE) if (run / COMPUTE).is_file() else None
    except ValueError:
        return None


def _named() -> Compute | None:
    if (chosen := _chosen.get()) is not None:
        return chosen
    named = os.environ.get(VARIABLE)
    return given(named) if named else None
