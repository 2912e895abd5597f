"""Two runs that open one dataset at the same moment."""

import time
from pathlib import Path

import pytest

from tests import ranks, tiny

ROUNDS = 30
pytestmark = [pytest.mark.slow, pytest.mark.thorough]


def _open_often(meeting: Path, dataset: Path, job: str, rank: int) -> None:
    import torch.distributed as dist

    from workers.batches import open_split

    dist.init_process_group("gloo", init_method=f"file://{meeting / job}.store", rank=rank, world_size=2)
    (meeting / f"{job}.{rank}.ready").touch()
    while len(list(meeting.glob("*.ready"))) < 4:
        time.sleep(0.01)
    streams = []
    for _ in range(ROUNDS):
        streams.append(open_split(dataset, "train"))
        assert len(list(streams[-1])) > 0
        dist.barrier()


@pytest.mark.fault("F19")
def test_two_runs_that_open_a_dataset_at_once_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """Memory that ranks share is named by the first number that is free: looking while another run takes it, ranks differed."""
    dataset = tmp_path / "dataset"
    tiny.write(tiny.groups(users=40, items=40), dataset)
    started = [
        ranks.start(_open_often, tmp_path, dataset, job, rank, environment=place | {"TMPDIR": str(tmp_path)})
        for job in ("one", "other")
        for rank, place in enumerate(ranks.places(2))
    ]
    assert ranks.finish(started, 120) == [0] * 4
