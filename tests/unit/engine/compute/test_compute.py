"""What a run computes on: its settings, where it is kept, and what executors are started with."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError

import engine
from engine.compute import Compute, code_archive, current, delete, files, get, given, list_computes, of_run, pack_environment, save, using
from engine.spark.cluster import lacking
from engine.spark.executors import CODE, ENVIRONMENT, RankRequest, options, python_of
from engine.spark.on_executors import Host
from workers.specs import explain

CLUSTER = Compute(name="eight hosts", master="spark://host:7077", executors=8, cores=16, memory_gb=64)


def test_one_that_is_kept_comes_back_by_its_name_whatever_characters_it_has(workspace: Path) -> None:
    odd = CLUSTER.model_copy(update={"name": "../<b>& ünïcode"})
    save(CLUSTER)
    save(odd)
    assert list_computes() == [odd, CLUSTER]
    assert get("eight hosts") == given("eight hosts") == CLUSTER
    assert not list(workspace.parent.glob("*ünïcode*"))
    delete("eight hosts")
    with pytest.raises(LookupError, match=r"has: \.\./<b>& ünïcode"):
        get("eight hosts")
    with pytest.raises(ValueError, match="no name"):
        save(CLUSTER.model_copy(update={"name": " "}))


def test_the_settings_say_where_runs_compute_unless_somebody_does(workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECBENCH_SPARK_MASTER", "local[3]")
    assert (current().master, current().is_cluster, files()) == ("local[3]", False, {})
    path = tmp_path / "cluster.json"
    path.write_text(CLUSTER.model_dump_json())
    monkeypatch.setenv("RECBENCH_COMPUTE", str(path))
    assert current() == CLUSTER and list(files()) == ["compute.json"]
    other = CLUSTER.model_copy(update={"master": "yarn"})
    with using(other):
        assert current() == other
        with using(None):
            assert current() == other
    assert current() == CLUSTER
    (tmp_path / "run").mkdir()
    for name, text in files().items():
        (tmp_path / "run" / name).write_text(text)
    assert of_run(tmp_path / "run") == CLUSTER
    assert of_run(tmp_path) is None


@pytest.mark.parametrize(
    "settings, why",
    [
        ({"master": "mesos://host"}, "is no Spark master"),
        ({"spark": {"executor.memory": "4g"}}, "is no option of Spark"),
        ({"spark": {"spark.master": "yarn"}}, "the field master says it"),
        ({"environment": "env.tar.gz", "python": "/usr/bin/python3"}, "leave python empty"),
        ({"cores": 0}, "cores"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(settings: dict, why: str) -> None:
    with pytest.raises(ValidationError) as error:
        Compute.model_validate(settings)
    assert why in explain(error.value)


def test_a_training_takes_the_cores_of_its_ranks_and_no_more(workspace: Path) -> None:
    chosen = options(CLUSTER, RankRequest(4), {"OMP_NUM_THREADS": "16"})
    assert (chosen["spark.cores.max"], chosen["spark.task.cpus"], chosen["spark.executor.instances"]) == ("64", "16", "4")
    on_gpus = CLUSTER.model_copy(update={"gpus": 8})
    chosen = options(on_gpus, RankRequest(16, on_gpus=True), {})
    assert (chosen["spark.task.cpus"], chosen["spark.cores.max"], chosen["spark.executor.instances"]) == ("2", "32", "2")
    whole = options(CLUSTER, None, {})
    assert (whole["spark.cores.max"], whole["spark.executor.instances"], whole["spark.executor.memory"]) == ("128", "8", "65536m")
    assert "spark.task.cpus" not in whole


def test_variables_of_the_run_reach_executors_and_own_options_win(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECBENCH_RUN", "a" * 32)
    own = CLUSTER.model_copy(update={"spark": {"spark.executor.memory": "3g", "spark.executorEnv.OMP_NUM_THREADS": "2"}})
    chosen = options(own, RankRequest(1), {"OMP_NUM_THREADS": "16", "PYTHONPATH": "/more"})
    assert chosen["spark.executorEnv.RECBENCH_RUN"] == "a" * 32
    assert chosen["spark.executorEnv.RECBENCH_WORKSPACE"] == str(workspace)
    assert chosen["spark.executorEnv.PYTHONPATH"] == f"{CODE}:/more"
    assert (chosen["spark.executor.memory"], chosen["spark.executorEnv.OMP_NUM_THREADS"]) == ("3g", "2")


def test_the_environment_of_a_compute_is_unpacked_and_its_python_runs(workspace: Path) -> None:
    packed = CLUSTER.model_copy(update={"environment": Path("/shared/env.tar.gz")})
    assert f"/shared/env.tar.gz#{ENVIRONMENT}" in options(packed, None, {})["spark.archives"].split(",")
    assert python_of(packed) == f"./{ENVIRONMENT}/bin/python"
    assert python_of(CLUSTER) is None


def test_the_code_archive_holds_what_tasks_import_and_is_written_once(workspace: Path) -> None:
    path = code_archive()
    names = set(zipfile.ZipFile(path).namelist())
    assert {"workers/training/entry.py", "workers/batches/__init__.pyi", "engine/__init__.py"} <= names
    assert not [name for name in names if name.startswith(("ui/", "tests/")) or "__pycache__" in name]
    before = path.stat().st_mtime_ns
    assert code_archive() == path and path.stat().st_mtime_ns == before
    assert not list(path.parent.glob(".code*"))


def test_what_executors_lack_is_one_sentence_that_says_what_to_do() -> None:
    fine = Host("a", "3.11.9", (), True)
    assert lacking([fine], "/ws") is None
    assert "on b lack torch, workers in their Python 3.11.9" in (
        lacking([fine, Host("b", "3.11.9", ("torch", "workers"), True)], "/ws") or ""
    )
    assert "on b, c do not see the workspace /ws" in (lacking([Host("c", "3", (), False), Host("b", "3", (), False)], "/ws") or "")


@pytest.mark.slow
def test_an_environment_is_packed_whole_with_its_interpreter_and_runs_elsewhere(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    (packages / "fine").mkdir(parents=True)
    (packages / "fine" / "__init__.py").write_text("answer = 42")
    (packages / "fine" / "weights.pth").write_bytes(b"\0weights of a network\n")
    (packages / "edited.pth").write_text(f"{tmp_path}\n")
    (packages / "kept.pth").write_text("import sys; sys.kept = True\nfine\n")
    path = pack_environment(tmp_path / "env.tar.gz", packages)
    (tmp_path / "host").mkdir()
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "host", filter="data")
    look = "import sys, ssl, sqlite3, fine; print(fine.answer, sys.kept, sys.prefix, [p for p in sys.path if 'packages' in p])"
    said = subprocess.run([tmp_path / "host" / "bin" / "python", "-c", look], capture_output=True, text=True, cwd="/", env={}, check=False)
    assert said.stdout.startswith(f"42 True {tmp_path / 'host'} "), said.stderr
    assert str(packages) not in said.stdout
    with pytest.raises(ValueError, match="exists"):
        pack_environment(path, packages)
    with pytest.raises(ValueError, match=r"ends with \.tar\.gz"):
        pack_environment(tmp_path / "env.rar", packages)
    with pytest.raises(ValueError, match="cannot be written"):
        pack_environment(tmp_path / "no" / "folder" / "env.tar.gz", packages)
    assert {one.name for one in tmp_path.iterdir()} == {"env.tar.gz", "host", "packages"}


def test_a_launch_keeps_where_it_computes_in_the_folder_of_the_run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("subprocess.Popen", lambda words, **rest: started.append(rest["env"]))
    with using(CLUSTER):
        run_id = engine.runs.submit(engine.datasets.DatasetSpec.model_validate({"name": "sample", "source": {"kind": "sample"}}))
    folder = workspace / "runs" / run_id
    assert of_run(folder) == CLUSTER
    assert started[0]["RECBENCH_COMPUTE"] == str(folder / "compute.json")
