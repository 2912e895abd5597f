"""Register a finished run: write its package, check its lists against the pages', hand it to MLflow's registry."""

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from engine import datasets, runs
from engine.registry import facts, names, read
from engine.registry.mlflow_folder import write_mlflow_folder
from engine.runs import Run, RunState
from engine.settings import settings
from workers.artifacts import USERS, PreparedDataset
from workers.registry import Package, Query, ServedModel, Sizes, package_sizes, write_package

Report = Callable[[str, int, int], None]
CHECKED = 20  # users whose lists are compared before a model is registered
LISTED = 10  # items of those lists


def no_report(what: str, done: int, of: int) -> None:
    """Reports nowhere."""


def why_not_registered(run: Run) -> str | None:
    """Why a run cannot be registered, in a sentence; None where it can."""
    if run.kind != "train" or run.state != RunState.FINISHED or run.dataset is None:
        return f"{run.title} is {run.state.value}; only finished trainings and funnels can be registered."
    return datasets.why_no_ranking(datasets.get_dataset(run.dataset))


def sizes(run_id: str, users: bool = True) -> Sizes:
    """About how large a registered model will be, by its parts, before anything is written.

    Raises:
        LookupError: no such run. ValueError: it cannot be registered.
    """
    run = _registrable(run_id)
    return package_sizes(runs.whole_folder(run_id), _dataset(run), users)


def register(
    run_id: str,
    name: str | None = None,
    alias: str | None = None,
    users: bool = True,
    compared_with: Sequence[str] = (),
    report: Report = no_report,
) -> read.Registered:
    """Register a finished run, or a funnel, as a new version of a model in MLflow's registry.

    Args:
        name: of the model; None: that of the dataset. alias: that the version gets, such as champion, which another version then loses.
        users: whether the users of the dataset are known by their ids; without them a request names what somebody likes.
        compared_with: ids of runs that stood beside it in the comparison that chose it.
        report: called with what is being done, how much of it is done, and of how much; what it raises ends the registration, and nothing
            is registered.

    Raises:
        LookupError: no such run. ValueError: it cannot be registered, or a name is none. OSError: it cannot be written or uploaded.
    """
    run = _registrable(run_id)
    name = names.check_name(name or names.default_name(run.dataset_name or run.dataset or ""))
    alias = names.check_alias(alias) if alias else None
    dataset = _dataset(run)
    with _scratch() as folder:
        package_folder = folder / "package"
        package = write_package(runs.whole_folder(run_id), dataset, package_folder, run.title, users, report)
        report("comparing lists with the pages'", 0, 1)
        _check(run_id, dataset, package_folder, package)
        report("writing the model", 0, 1)
        write_mlflow_folder(package_folder, package, _likest(package_folder), folder / "model")
        size = sum(path.stat().st_size for path in (folder / "model").rglob("*") if path.is_file())
        tags = facts.tags_of(run, package, compared_with, size)
        report("uploading", 0, 1)
        version = read.add_version(name, run_id, folder / "model", tags)
    if alias:
        read.set_alias(name, alias, version)
    return read.get_registered(name, str(version))


def _registrable(run_id: str) -> Run:
    run = runs.get_run(run_id)
    if why := why_not_registered(run):
        raise ValueError(why)
    return run


def _dataset(run: Run) -> PreparedDataset:
    return PreparedDataset.open(datasets.get_dataset(run.dataset or "").path)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder in the workspace that is gone afterwards."""
    folder = settings().workspace / "cache" / f"registering-{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _likest(package: Path) -> list[str]:
    """The id of the most liked item."""
    items = pd.read_parquet(package / "items.parquet", columns=["item_id", "train_positives"])
    return items.nlargest(1, "train_positives")["item_id"].tolist()


def _check(run_id: str, dataset: PreparedDataset, folder: Path, package: Package) -> None:
    """Compare the lists of the package with those of the pages, for some users and for somebody new.

    Raises:
        ValueError: they differ.
    """
    from engine.recommend import open_model

    served, shown = ServedModel.open(folder), open_model(run_id)
    liked = _likest(folder)
    pairs = [(served.answer(Query(liked=tuple(liked), k=LISTED)), shown.recommend_new(liked, LISTED))]
    for user_id in _some_users(dataset) if package.users else ():
        pairs.append((served.answer(Query(user_id=user_id, k=LISTED)), shown.recommend(user_id, LISTED)))
    for answer, page in pairs:
        same = [item.item_id for item in answer.items] == page["item_id"].tolist()
        if not same or not np.array_equal(np.array([item.score for item in answer.items], np.float32), page["score"].to_numpy(np.float32)):
            raise ValueError(f"The packed model of run {run_id} gives other lists than the run itself; it is not registered.")


def _some_users(dataset: PreparedDataset) -> list[str]:
    """Users from the whole of users.parquet."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(dataset.folder / USERS)
    first = next(file.iter_batches(CHECKED, columns=["user_id"]), None)
    return [] if first is None else first.column(0).to_pylist()
