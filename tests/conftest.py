"""What tests share: a workspace of their own, real MovieLens where it is at hand, one Spark session for all."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.settings import Settings
from tests import stores

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs Spark is slow: its JVM takes seconds to start, and longer to get going. Faults are named in reports."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
        item.user_properties += [("fault", fault) for mark in item.iter_markers("fault") for fault in mark.args]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with an empty store, to copy (`tests.stores.copy`)."""
    return stores.once(tmp_path_factory, "empty-store", stores.make)


@pytest.fixture
def workspace(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with an empty store, which the test alone sees."""
    folder = stores.copy(empty_store, tmp_path / "workspace")
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(folder))
    return folder


@pytest.fixture
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose folder nobody has made yet."""
    folder = tmp_path / "untouched"
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(folder))
    return folder


def _real(name: str, file: str) -> Path:
    """A folder of real data: RECBENCH_TEST_DATA/<name>, or ../shared/data/<name> beside the repository; skips where there is none."""
    folder = Path(os.environ.get("RECBENCH_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / name
    if not (folder / file).is_file():
        pytest.skip(f"{name} is not at hand: set RECBENCH_TEST_DATA to the folder that holds it")
    readable = dict.fromkeys([*map(str, Settings().readable), *os.environ.get("RECBENCH_DATA_ROOTS", "").split(os.pathsep), str(folder)])
    os.environ["RECBENCH_DATA_ROOTS"] = os.pathsep.join(filter(None, readable))
    return folder


@pytest.fixture(scope="session")
def ml100k() -> Path:
    """The folder of MovieLens 100K."""
    return _real("ml-100k", "u.data")


@pytest.fixture(scope="session")
def set_ratings() -> Path:
    """The folder of Learning from Sets of Items, with the set ratings at least."""
    return _real("learning-from-sets-2019", "set_ratings.csv")


@pytest.fixture(scope="session")
def movies() -> Path:
    """A folder with movies.csv of a MovieLens CSV release."""
    return _real("movielens-movies", "movies.csv")


@pytest.fixture(scope="session")
def criteo() -> Path:
    """The folder of 200 rows of Criteo's log."""
    return _real("criteo-sample", "criteo_sample.txt")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SparkSession]":
    """One session for all tests, with its scratch in a workspace that outlives each of them."""
    from engine.spark.sessions import session

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(tmp_path_factory.mktemp("spark")))
        patch.setenv("RECBENCH_SPARK_MASTER", "local[2]")
        running = session("tests")
    running.conf.set("spark.sql.shuffle.partitions", 2)  # a test shuffles little; preparing sets its own number
    yield running
    running.stop()
