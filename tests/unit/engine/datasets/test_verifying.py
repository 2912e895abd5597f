"""What is read of a dataset before a training: all of a small one; of a large one other files of blocks for each run, in time all."""

import shutil
from pathlib import Path

import pytest

from engine import datasets
from engine.datasets import verifying as module
from workers.artifacts import MANIFEST, sealed, write_json

FILES = [f"train/part-{at:05d}/shard.00000.mds" for at in range(10)]
OTHERS = ["items.parquet", "train/index.json"]


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of ten files of blocks, of a hundred bytes each, of which 250 bytes are drawn."""
    folder = tmp_path / "datasets" / "large-1"
    for at, name in enumerate([*FILES, *OTHERS]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([at]) * 100)
    files = dict(zip([*FILES, *OTHERS], datasets.digests(folder / name for name in [*FILES, *OTHERS]), strict=True))
    content = {"format": datasets.FORMAT, "id": "large-1", "name": "large", "schema": {"categorical": []}, "files": files}
    write_json(folder / MANIFEST, sealed(content | {"checked_blocks": True}))
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(module, "DRAWN_BYTES", 250)
    return folder


def harm(path: Path) -> None:
    path.write_bytes(b"x" + path.read_bytes()[1:])


def test_other_files_of_blocks_are_read_for_each_run_and_in_time_all(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[str]] = []
    original = module.digests

    def watched(paths: list[Path]) -> list[dict[str, object]]:
        own = list(paths)
        read.append([path.relative_to(dataset).as_posix() for path in own])
        return original(own)

    monkeypatch.setattr(module, "digests", watched)
    for run in range(40):
        datasets.verify_some("large-1", f"run{run}")
    assert all(set(OTHERS) <= set(names) and len(names) == 4 for names in read)
    assert {name for names in read for name in names} == {*FILES, *OTHERS}
    datasets.verify_some("large-1", "run0")
    assert read[-1] == read[0]


def test_damage_is_an_error_of_the_runs_that_draw_it_and_of_a_whole_verification(dataset: Path) -> None:
    harm(dataset / FILES[3])
    errors = 0
    for run in range(40):
        try:
            datasets.verify_some("large-1", f"run{run}")
        except ValueError as error:
            assert FILES[3] in str(error) and "prepare it again" in str(error)
            errors += 1
    assert 0 < errors < 40
    with pytest.raises(ValueError, match=FILES[3]):
        datasets.verify("large-1")


@pytest.mark.parametrize("what", ["table", "cut", "missing", "added"])
def test_what_every_run_sees(what: str, dataset: Path) -> None:
    path = dataset / (OTHERS[0] if what == "table" else FILES[7])
    if what == "table":
        harm(path)
    elif what == "cut":
        path.write_bytes(b"x")
    elif what == "missing":
        path.unlink()
    else:
        path = path.with_name("shard.00001.mds")
        shutil.copy(dataset / FILES[7], path)
    for run in range(3):
        with pytest.raises(ValueError, match=path.relative_to(dataset).as_posix()):
            datasets.verify_some("large-1", f"run{run}")


def test_a_dataset_whose_blocks_have_no_checks_is_read_whole(dataset: Path) -> None:
    record = datasets.get_dataset("large-1").manifest
    write_json(dataset / MANIFEST, sealed({name: value for name, value in record.items() if name != "checked_blocks"}))
    harm(dataset / FILES[3])
    for run in range(3):
        with pytest.raises(ValueError, match=FILES[3]):
            datasets.verify_some("large-1", f"run{run}")
