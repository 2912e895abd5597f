"""A run on cuda starts as documented: real drivers, Spark and TorchDistributor, with made-up GPUs, up to the rank that finds none."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import engine
from engine.runs import RunState
from engine.spark import GpuRequest, gpus
from engine.spark.gpus import _written
from tests import stores
from tests.commands import until
from tests.integration.test_runs import prepare_sample, spec
from workers.training.devices import NO_GPU

ON_CLUSTER = "local-cluster[1,2,1024]"  # a master, a worker and an executor, in processes of their own
VISIBLE = re.compile(r"\[rank (\d)\].*CUDA_VISIBLE_DEVICES is (\S+)")


def discovery(folder: Path, printed: str) -> Path:
    script = folder / "discover.sh"
    script.write_text(f"#!/bin/sh\necho '{printed}'\n")
    script.chmod(0o755)
    return script


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that says that this machine has the GPUs 3 and 5."""
    script = discovery(tmp_path, '{"name": "gpu", "addresses": ["3", "5"]}')
    monkeypatch.setenv("RECBENCH_GPU_DISCOVERY", str(script))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return script


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.fault("F43")
@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("master", "beside_driver", "devices"),
    [("local[2]", True, {"3,5", "5,3"}), ("local[2]", False, {"3", "5"}), (ON_CLUSTER, False, {"3", "5"})],
    ids=["beside the driver", "barrier tasks", "barrier tasks of executors"],
)
def test_ranks_start_on_the_devices_that_spark_gave_and_say_themselves_that_they_see_no_gpu(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    master: str,
    beside_driver: bool,
    devices: set[str],
) -> None:
    folder = stores.copy(stores.once(tmp_path_factory, "sample", prepare_sample), tmp_path / "space")
    (dataset,) = (path.name for path in (folder / "datasets").iterdir())
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(folder))
    monkeypatch.setenv("RECBENCH_SPARK_MASTER", master)
    monkeypatch.setenv("RECBENCH_GPUS_PER_EXECUTOR", "2")
    run_id = engine.runs.submit(spec(dataset, processes=2, device="cuda", local_mode=beside_driver, retries=0))
    until(lambda: not engine.runs.get_run(run_id).live, 180)
    run, log = engine.runs.get_run(run_id), (folder / "runs" / run_id / "run.log").read_text()
    assert run.state == RunState.FAILED and NO_GPU in (run.message or ""), log
    seen = VISIBLE.findall(log)
    assert seen and {named for _, named in seen} <= devices
    if not beside_driver:  # rank by rank, as the plan has them
        assert all(named == ("3", "5")[int(rank)] for rank, named in seen)


@pytest.mark.fault("F43")
def test_fewer_gpus_than_processes_are_refused_since_torch_distributor_would_start_fewer_ranks(two_gpus: Path) -> None:
    assert [gpu.address for gpu in gpus()] == [3, 5]
    assert GpuRequest(2).refusal() is None
    assert "processes 3, but 2 GPUs are found" in (GpuRequest(3).refusal() or "")
    with pytest.raises(ValueError, match="choose 2, or cpu"), GpuRequest(3).granted():
        pass


@pytest.mark.parametrize("printed", ["", "no GPU here", '{"name": "gpu"}'])
def test_a_discovery_program_that_prints_something_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str) -> None:
    script = discovery(tmp_path, printed)
    monkeypatch.setenv("RECBENCH_GPU_DISCOVERY", str(script))
    assert str(script) in (GpuRequest(1).refusal() or "")


NVIDIA_SMI = """#!/bin/sh
case "$1" in
  *uuid*) printf '0, GPU-aa, NVIDIA A, 1000, 900\\n1, GPU-bb, NVIDIA B, 2000, [N/A]\\n' ;;
  *) printf '0\\n1\\n' ;;
esac
"""


@pytest.mark.parametrize(
    ("visible", "found", "scripted"),
    [
        (None, [(0, "A"), (1, "B")], '"0","1"'),
        ("1", [(0, "B")], '"0"'),
        ("GPU-bb,0", [(0, "B"), (1, "A")], '"0","1"'),
        ("", [], ""),
        ("7", [], None),
    ],
)
def test_cuda_visible_devices_says_which_of_nvidia_smi_are_taken(
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    found: list[tuple[int, str]],
    scripted: str | None,
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(NVIDIA_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("RECBENCH_GPU_DISCOVERY", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [(gpu.address, gpu.name[-1]) for gpu in gpus()] == found
    if scripted is not None:
        printed = subprocess.run([str(_written())], capture_output=True, text=True, check=True).stdout
        assert printed.strip() == f'{{"name": "gpu", "addresses": [{scripted}]}}'
