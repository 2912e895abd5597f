"""Two runs that open one dataset at the same moment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny

ROUNDS = 30
pytestmark = pytest.mark.slow
JOB = f"""
import os, sys, time
import torch.distributed as dist
from pathlib import Path
from workers.batches import open_split

meeting, dataset, job = map(Path, sys.argv[1:])
dist.init_process_group("gloo", init_method=f"file://{{meeting / job}}.store", rank=int(os.environ["RANK"]), world_size=2)
(meeting / f"{{job}}.{{os.environ['RANK']}}.ready").touch()
while len(list(meeting.glob("*.ready"))) < 4:
    time.sleep(0.01)
streams = []
for _ in range({ROUNDS}):
    streams.append(open_split(dataset, "train"))
    assert len(list(streams[-1])) > 0
    dist.barrier()
"""


def test_two_runs_that_open_a_dataset_at_once_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """Memory that ranks share is named by the first number that is free: looking while another run takes it, ranks differed."""
    dataset = tmp_path / "dataset"
    tiny.write(tiny.groups(users=40, items=40), dataset)
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", JOB, str(tmp_path), str(dataset), job],
            env={**os.environ, "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TMPDIR": str(tmp_path)}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        )
        for job in ("one", "other")
        for rank in ("0", "1")
    ]
    try:
        assert [rank.wait(120) for rank in ranks] == [0] * 4
    finally:
        for rank in ranks:
            rank.kill()
