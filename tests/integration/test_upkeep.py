"""Upkeep of a real workspace: a bundle without secrets, what dead runs left, and deleting the trash for good."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
from engine import upkeep
from engine.runs import processes, store
from tests import stores, workspace
from tests.commands import asked
from tests.workspace import Workspace
from workers.run import segments

SECRET = "hunter2hunter2"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace that the tests of pages share; nothing may write to it."""
    return workspace.kept(
        stores.once(tmp_path_factory, "films", lambda folder: workspace.keep(workspace.build(folder / "workspace"), folder))
    )


@pytest.fixture
def own(made: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A copy of it to write to, whose live runs are held."""
    with workspace.held(workspace.copy(made, tmp_path / "workspace")) as found:
        monkeypatch.setenv("RECBENCH_WORKSPACE", str(found.folder))
        yield found


def read(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        assert bundle.testzip() is None
        return {name: bundle.read(name).decode() for name in bundle.namelist()}


def test_the_bundle_tells_how_runs_went_and_holds_no_secret(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIexample")
    folder = own.path("failed")
    (folder / "rank0.error.json").write_text(json.dumps({"type": "OSError", "message": f"postgresql://ann:{SECRET}@db", "time": 1}))
    end = f"\nkey wJalrXUtnFEMIexample\nhttps://ann:{SECRET}@store\n\xff end".encode("latin-1")
    (folder / "run.log").write_bytes(b"began\n" + b"x" * 500_000 + end)
    found = read(upkeep.support_bundle())
    everything = "".join(found.values())
    assert SECRET not in everything and "wJalrXUtnFEMIexample" not in everything
    assert "postgresql://ann:…@db" in found[f"runs/{own.runs['failed']}/rank0.error.json"]
    log = found[f"runs/{own.runs['failed']}/run.log"]
    assert len(log) < 210_000 and log.endswith(" end") and "began" not in log
    assert json.loads(found["versions.json"])["recommender-workbench"] == upkeep.product_version()
    assert json.loads(found["store.json"])["trouble"] is None
    assert json.loads(found[f"runs/{own.runs['failed']}/record.json"])["message"] == workspace.FAILURE
    assert not [name for name in found if name.endswith((".parquet", ".safetensors"))]
    one = read(upkeep.support_bundle([own.runs["ease"]]))
    assert {name.split("/")[1] for name in one if name.startswith("runs/")} == {own.runs["ease"]}
    monkeypatch.setenv("RECBENCH_ARTIFACT_ROOT", f"s3://key:{SECRET}@bucket/path")
    assert SECRET not in "".join(read(upkeep.support_bundle([])).values())


@pytest.mark.fault("F29")
def test_a_bundle_is_made_without_a_store(own: Workspace, tmp_path: Path) -> None:
    (own.folder / stores.DATABASE).write_bytes(b"this is no database" * 1000)
    target = tmp_path / "bundle.zip"
    words = [sys.executable, "-c", "from engine.cli import main; main()", "support", str(target)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    found = read(target.read_bytes())
    assert json.loads(found["store.json"])["trouble"]
    assert len([name for name in found if name.endswith("spec.json")]) >= 10


def test_the_trash_is_deleted_for_good_but_for_what_others_need(own: Workspace) -> None:
    names = ("ease10", "ials", "two_tower")  # the funnel is made of the two-tower
    assert engine.runs.trash([own.runs[name] for name in names]) == []
    sized = {one.run.run_id: one for one in upkeep.trashed_runs()}
    assert set(sized) == {own.runs[name] for name in names}
    assert "needs it" in (sized[own.runs["two_tower"]].kept_because or "")
    artifacts = own.folder / "artifacts" / "trainings"
    assert (artifacts / own.runs["ials"]).is_dir() and own.path("ials").is_dir()
    listed = asked("cleanup")
    assert set(listed["trash"]) == set(sized) and own.path("ials").is_dir(), "without --yes nothing is deleted"
    deleted = upkeep.delete_trashed([*sized, own.runs["ease"], own.runs["running"]])
    assert set(deleted.run_ids) == {own.runs["ease10"], own.runs["ials"]}
    assert deleted.bytes == sum(sized[run_id].bytes for run_id in deleted.run_ids) > 10_000
    why = dict(deleted.kept)
    assert "not in the trash" in why[own.run("ease").title] and "not in the trash" in why[own.run("running").title]
    for name in ("ease10", "ials"):
        assert not own.path(name).exists() and not (artifacts / own.runs[name]).exists()
        with pytest.raises(LookupError, match="deleted for good"):
            engine.runs.get_run(own.runs[name])
    assert {one.run.run_id for one in upkeep.trashed_runs()} == {own.runs["two_tower"]}
    assert not list((own.folder / "runs").glob(".deleted-*"))
    known = {run.run_id for run in engine.runs.list_runs()}
    assert own.runs["ials"] not in known and own.runs["ease"] in known
    assert store.client().get_run(own.runs["ials"]).info.lifecycle_stage == "deleted"


def test_a_run_goes_together_with_the_trashed_runs_that_need_it(own: Workspace) -> None:
    engine.runs.trash([own.runs["two_tower"], own.runs["funnel"]])
    assert {one.kept_because for one in upkeep.trashed_runs()} == {None}
    gone = asked("cleanup", "--yes", own.runs["two_tower"], own.runs["funnel"])["deleted"]
    assert set(gone) == {own.runs["two_tower"], own.runs["funnel"]}


@pytest.mark.fault("F35", "F36")
def test_what_dead_runs_left_is_swept_and_nothing_of_live_ones(own: Workspace) -> None:
    """Shared memory by the numbers that runs recorded: of a run whose processes were killed, never of one that lives."""
    dead, live = own.path("interrupted"), own.path("running")
    made = [Path(f"/dev/shm/{number:06}_{name}") for number in (999_871, 999_872, 999_873) for name in ("locals", "shard_states")]
    assert not any(path.exists() for path in made)
    try:
        for path in made:
            path.write_bytes(b"0" * 4096)
        segments.record(dead, 999_871)
        segments.record(live, 999_872)  # 999_873 is nobody's that we know of
        for folder in (dead, live):
            (folder / "tmp").mkdir(exist_ok=True)
            (folder / "tmp" / "left").write_bytes(b"1" * 5000)
        half = own.folder / "datasets" / f".staging-films-{2**22 - 3}"
        half.mkdir()
        words = [sys.executable, "-c", "import time; time.sleep(600)"]
        process = subprocess.Popen(words, env={**os.environ, processes.TOKEN: own.runs["interrupted"]})
        living = subprocess.Popen(words, env={**os.environ, processes.TOKEN: own.runs["running"]})
        try:
            (dead / "verdict.json").write_text(json.dumps({"status": "FAILED", "message": "killed", "time": 0}))
            found = upkeep.orphans()
            ours = (None, *(own.runs[name] for name in ("interrupted", *workspace.LIVE)))
            kinds = {(one.kind, one.run_id) for one in found if one.run_id in ours}  # runs that this process made left files too
            assert kinds == {(kind, own.runs["interrupted"]) for kind in ("process", "temporary files", "shared memory")} | {
                ("half-prepared dataset", None)
            }
            assert upkeep.sweep_orphans() == []
            assert process.wait(timeout=10) != 0
            assert living.poll() is None
        finally:
            for one in (process, living):
                one.kill()
                one.wait()
        assert [path.exists() for path in made] == [False, False, True, True, True, True]
        assert not (dead / "tmp").exists() and (live / "tmp" / "left").exists() and not half.exists()
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def test_segments_of_another_boot_are_nobodys(tmp_path: Path) -> None:
    made = Path("/dev/shm/999874_locals")
    made.write_bytes(b"0")
    try:
        segments.record(tmp_path, 999_874)
        assert segments.of_run(tmp_path) == [made]
        record = json.loads((tmp_path / segments.SEGMENTS).read_text())
        (tmp_path / segments.SEGMENTS).write_text(json.dumps(record | {"boot": "another"}))
        assert segments.of_run(tmp_path) == []
        segments.remove(tmp_path)
        assert made.exists()
    finally:
        made.unlink(missing_ok=True)


def test_disk_use_counts_everything_once(own: Workspace) -> None:
    used = {one.kind: one for one in upkeep.disk_use()}
    assert used["Datasets"].number == 2
    assert used["Runs"].number == len(own.runs)
    assert used["Runs in the trash"].number == 0
    engine.runs.trash([own.runs["ials"]])
    after = {one.kind: one for one in upkeep.disk_use()}
    assert (after["Runs in the trash"].number, after["Runs"].number) == (1, len(own.runs) - 1)
    together = after["Runs in the trash"].bytes + after["Runs"].bytes
    assert after["Runs in the trash"].bytes > 10_000 and abs(together - used["Runs"].bytes) < 50_000
