"""What tests share: a workspace of their own, real MovieLens where it is at hand, one Spark session for all."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace that the test alone sees."""
    folder = tmp_path / "workspace"
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(folder))
    return folder


@pytest.fixture(scope="session")
def ml100k() -> Path:
    """The folder of MovieLens 100K: RECBENCH_TEST_DATA/ml-100k, or ../shared/data/ml-100k beside the repository."""
    folder = Path(os.environ.get("RECBENCH_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / "ml-100k"
    if not (folder / "u.data").is_file():
        pytest.skip("MovieLens 100K is not at hand: set RECBENCH_TEST_DATA to the folder that holds ml-100k")
    return folder


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SparkSession]":
    """One session for all tests, with its scratch in a workspace that outlives each of them."""
    from engine.spark import session

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(tmp_path_factory.mktemp("spark")))
        patch.setenv("RECBENCH_SPARK_MASTER", "local[2]")
        running = session("tests")
    yield running
    running.stop()
