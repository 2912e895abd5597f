"""A run of a colleague, whose folder is in another workspace: compared and browsed from its artifacts, or left out of every crown."""

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import engine
from engine.compare import verdict_of
from engine.recommend import open_model
from engine.runs import fetching, identity, store
from tests import stores, workspace
from tests.commands import recbench
from tests.prepared import films_spec, prepare, write_films
from tests.workspace import QUICK, Workspace
from workers.artifacts import CHECKPOINT, DONE, RESULTS, SPEC
from workers.run import RunSpec


def build(folder: Path) -> Workspace:
    """Two runs and a funnel of two networks, with what their drivers keep in the artifact store."""
    folder.mkdir(parents=True)
    with workspace.entered(folder):
        films, made = prepare(folder, films_spec(write_films(folder / "source"))), {}
        with workspace.trainer() as train:
            for name, kind in (("ease", "ease"), ("popularity", "popularity"), ("two_tower", "two_tower"), ("dlrm", "dlrm")):
                small = {"embedding_dim": 8} if kind in ("two_tower", "dlrm") else {}
                spec = {"dataset": films, "model": {"kind": kind, **small}, "train": QUICK if small else {}}
                made[name] = train(RunSpec.model_validate(spec))
            made["funnel"] = train(engine.runs.funnel(made["two_tower"], made["dlrm"], candidates=12))
        for run_id in made.values():
            run = folder / "runs" / run_id
            for name in (RESULTS, CHECKPOINT):
                if (run / name).is_dir():
                    store.log_folder(run_id, run / name, name)
            for name in (SPEC, DONE):
                store.log_file(run_id, run / name)
    return Workspace(folder, films, "", made)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    kept = stores.once(tmp_path_factory, "colleague", lambda folder: workspace.keep(build(folder / "workspace"), folder))
    return workspace.kept(kept)


@pytest.fixture
def shared(made: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Our workspace: EASE and popularity are ours; the folders of the others are a colleague's, whose artifacts we reach."""
    own = workspace.copy(made, tmp_path / "workspace")
    for name in ("two_tower", "dlrm", "funnel"):
        shutil.rmtree(own.path(name))
        store_id = own.runs[name]
        with workspace.entered(own.folder):
            store.set_tag(store_id, "workspace_id", "0" * 32)
            store.set_tag(store_id, "user", "ann")
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(own.folder))
    monkeypatch.setattr(fetching, "_failed", {})
    return own


def artifacts(own: Workspace, name: str) -> Path:
    (folder,) = own.folder.glob(f"artifacts/*/{own.runs[name]}/artifacts")
    return folder


def crowns(ids: list[str], k: int = 10) -> tuple[engine.compare.Comparison, set[str]]:
    found = engine.compare.compare(ids, k=k)
    return found, set(found.table[found.table["best"]]["contender"])


def test_a_colleagues_run_has_intervals_tests_and_lists_at_any_k_as_ones_own(made: Workspace, shared: Workspace) -> None:
    ids = [shared.runs[name] for name in ("two_tower", "ease")]
    with workspace.entered(made.folder):
        wanted = {k: engine.compare.compare(ids, k=k) for k in (10, 7)}
    for k, expected in wanted.items():
        found = engine.compare.compare(ids, k=k)
        assert found.incomplete == {} and found.table.equals(expected.table)
        assert verdict_of(found).model_dump() == verdict_of(expected).model_dump()
    cached = shared.folder / "cache" / "runs" / shared.runs["two_tower"]
    assert (cached / RESULTS / "per_user.parquet").is_file() and not list(cached.parent.glob(".fetch-*"))


def test_a_colleagues_models_recommend_and_so_does_a_funnel_of_them(made: Workspace, shared: Workspace) -> None:
    user = str(pd.read_parquet(shared.folder / "datasets" / shared.films / "users.parquet")["user_id"].iloc[3])
    for name in ("two_tower", "funnel"):
        with workspace.entered(made.folder):
            wanted = open_model(made.runs[name]).recommend(user, k=5)
        assert open_model(shared.runs[name]).recommend(user, k=5).equals(wanted)


def test_a_run_that_cannot_be_fetched_wins_nothing_and_says_why(shared: Workspace, tmp_path: Path) -> None:
    artifacts(shared, "two_tower").rename(shared.folder / "away")
    ids = [shared.runs[name] for name in ("two_tower", "ease", "popularity")]
    for k in (10, 7):
        found, best = crowns(ids, k)
        assert set(found.incomplete) == {"A"} and "A" not in best
        assert all(verdict.run != "A" and verdict.leader != "A" for verdict in verdict_of(found).metrics.values())
    assert found.incomplete["A"].startswith(f"what run {ids[0]} wrote (done.json) is not in this workspace and cannot be fetched from ")
    assert "set RECBENCH_ARTIFACT_ROOT there to a place that both reach" in found.incomplete["A"]
    said = recbench("compare", *ids, "--export", str(tmp_path / "told.html"))
    assert said["incomplete"] == found.incomplete and "A can win nothing" in (tmp_path / "told.html").read_text()


def test_an_artifact_that_was_changed_is_refused_and_not_kept(shared: Workspace) -> None:
    path = artifacts(shared, "two_tower") / RESULTS / "per_user.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"0")
    with pytest.raises(ValueError, match="differs from what the run wrote"):
        engine.runs.per_user(shared.runs["two_tower"])
    assert not (shared.folder / "cache" / "runs" / shared.runs["two_tower"] / RESULTS / "per_user.parquet").exists()
    found, _ = crowns([shared.runs[name] for name in ("two_tower", "ease")])
    assert [title for title, why in found.apart if "cannot be trusted" in why], found.apart


def test_nothing_is_fetched_for_ones_own_runs_nor_for_what_a_run_never_wrote(shared: Workspace) -> None:
    engine.compare.compare([shared.runs[name] for name in ("ease", "popularity")])
    assert {path.name for path in (shared.folder / "cache" / "runs").glob("*/*")} <= {DONE}, "of what seeds do, in all runs of the dataset"
    wrote = json.loads((artifacts(shared, "two_tower") / DONE).read_text())["files"]
    engine.compare.compare([shared.runs["two_tower"], shared.runs["ease"]])
    cached = shared.folder / "cache" / "runs" / shared.runs["two_tower"]
    here = {path.relative_to(cached).as_posix() for path in cached.rglob("*") if path.is_file()}
    assert here <= {*wrote, DONE}
    assert all(hashlib.sha256((cached / name).read_bytes()).hexdigest() == wrote[name]["sha256"] for name in here - {DONE})
    assert identity.workspace_id() != "0" * 32


def test_a_run_of_an_earlier_version_which_lists_no_files_is_fetched_and_what_it_never_wrote_is_not_missed(shared: Workspace) -> None:
    done = artifacts(shared, "two_tower") / DONE
    record = {name: value for name, value in json.loads(done.read_text()).items() if name not in ("files", "digest")}
    done.write_text(json.dumps(record))
    assert engine.runs.gains(shared.runs["two_tower"]) == []
    assert engine.runs.why_incomplete(shared.runs["two_tower"]) is None
    assert len(engine.runs.per_user(shared.runs["two_tower"]))
