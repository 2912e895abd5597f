"""Batches are read by the rank itself: no worker process that could be forked with its threads and hang, nor a number of them to set."""

import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.specs import RunSpec
from tests import ranks, tiny


def _read(dataset: str, out: str) -> None:
    from workers.batches import open_split

    started: list[int] = []

    def look() -> None:
        while not over.is_set():
            started.extend(child.pid for child in psutil.Process().children(recursive=True))

    over, busy = threading.Event(), threading.Event()
    looking = threading.Thread(target=look)
    looking.start()
    holder = threading.Thread(target=busy.wait)  # a thread of another library, while data are read
    holder.start()
    rows = sum(len(block["label"]) for _ in range(3) for block in open_split(Path(dataset), "train", shuffle=True))
    over.set()
    busy.set()
    looking.join()
    holder.join()
    np.save(out, [rows, len(started)])


@pytest.mark.slow
@pytest.mark.fault("F44")
def test_a_split_is_read_without_a_process_beside_the_rank(tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    frame = tiny.groups(users=60, items=40)
    tiny.write(frame, dataset)
    (code,) = ranks.finish([ranks.start(_read, str(dataset), str(tmp_path / "found.npy"), environment={"TMPDIR": str(tmp_path)})], 60)
    assert code == 0, "within a minute"
    rows, children = np.load(tmp_path / "found.npy")
    assert (rows, children) == (3 * (frame["split"] == "train").sum(), 0)


@pytest.mark.fault("F44")
def test_a_number_of_workers_is_no_setting() -> None:
    spec = {"dataset": "films-0123456789ab", "model": {"kind": "dlrm"}}
    with pytest.raises(ValueError, match="num_workers"):
        RunSpec.model_validate({**spec, "train": {"num_workers": 8}})
    assert not [name for name in RunSpec.model_validate(spec).train.model_dump() if "worker" in name]
