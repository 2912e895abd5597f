"""What the workbench writes is for its user alone, or for the group of the workspace: a real run in a real driver, without Spark."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
from engine.runs import RunState
from engine.settings import exposure, settings
from tests import prepared
from tests.commands import recbench
from workers.run import RunSpec


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """As most people's shells have it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The permissions of a folder and of all that is in it, links excepted."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in (folder, *folder.rglob("*")) if not path.is_symlink()
    }


def fitted(folder: Path) -> str:
    """A dataset prepared without Spark, and EASE fitted on it from the command line; the run's id."""
    settings()
    before = os.umask(0o007 if settings().shared_group else 0o077)
    try:
        ratings = prepared.write_films(folder.parent / "source")
        id = prepared.prepare(folder, prepared.films_spec(ratings))
    finally:
        os.umask(before)
    spec = folder.parent / "ease.json"
    spec.write_text(RunSpec.model_validate({"dataset": id, "model": {"kind": "ease", "l2": 10}}).model_dump_json())
    run_id = recbench("train", str(spec), "--wait")["runs"][0]["run_id"]
    assert engine.runs.get_run(run_id).state == RunState.FINISHED
    return run_id


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.fault("F70")
def test_no_file_of_a_run_is_readable_by_others_whatever_the_umask(untouched: Path, usual_umask: None) -> None:
    fitted(untouched)
    found = modes(untouched)
    assert len(found) > 20
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}
    assert exposure() is None


@pytest.mark.slow
@pytest.mark.thorough
def test_a_workspace_of_a_group_is_the_groups_and_nobody_elses(untouched: Path, usual_umask: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECBENCH_SHARED_GROUP", "true")
    run_id = fitted(untouched)
    found = modes(untouched)
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o007} == {}
    folders = {name: mode for name, mode in found.items() if (untouched / name).is_dir()}
    assert {name: oct(mode) for name, mode in folders.items() if mode & 0o2070 != 0o2070} == {}
    files = {name: mode for name, mode in found.items() if name not in folders}
    assert {name: oct(mode) for name, mode in files.items() if mode & 0o040 != 0o040} == {}
    for name in ("mlflow.db", f"runs/{run_id}/lock", f"runs/{run_id}/run.log", "slots/0.lock", ".store.lock", ".submit.lock"):
        if name in files:
            assert files[name] & 0o060 == 0o060, name
    assert exposure() is None


def test_a_wider_workspace_is_told_with_the_command_and_left_as_it_is(workspace: Path) -> None:
    for mode, who in ((0o755, "Other users"), (0o750, "The users of its group")):
        workspace.chmod(mode)
        said = exposure() or ""
        assert said.startswith(who) and f"`chmod -R go= {workspace}`" in said
        assert stat.S_IMODE(workspace.stat().st_mode) == mode
        subprocess.run(said.split("`")[1].split(), check=True)
        assert exposure() is None


@pytest.mark.fault("F70")
@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_the_workbench_starts_with_a_umask_a_space_in_tmpdir_and_no_home(tmp_path: Path, umask: int) -> None:
    temporary = tmp_path / "with a space"
    temporary.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o500)
    environment = {**os.environ, "TMPDIR": str(temporary), "HOME": str(home), "RECBENCH_WORKSPACE": str(tmp_path / "a workspace")}
    words = [sys.executable, "-c", "from engine.cli import main; main()", "runs"]
    ended = subprocess.run(words, env=environment, umask=umask, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "No runs yet" in ended.stdout
    assert stat.S_IMODE((tmp_path / "a workspace").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a workspace" / "mlflow.db").stat().st_mode) == 0o600
