"""Runs kept in a real PostgreSQL: the whole record, and sentences where the server is away or its driver is missing."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
from engine.runs import RunState, StoreError, addresses, records, store
from engine.settings import settings
from engine.specs import MODELS, RunSpec
from tests import postgres
from tests.commands import asked, recbench, until
from tests.pages.reading import opened, plainly
from tests.postgres import Postgres

SECRET, MASK = "hunter2", "…"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres.running() as found:
        yield found


@pytest.fixture
def uri(server: Postgres, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The store of the workspace is a database of its own."""
    address = server.database()
    monkeypatch.setenv("RECBENCH_TRACKING_URI", address)
    yield address
    store.opened.forget()


def shown(page: str) -> str:
    at = opened(page)
    assert not at.exception, at.exception
    return plainly(" ".join(error.value for error in at.error))


def test_a_database_keeps_runs_as_the_file_does_and_takes_them_in_from_their_folders(
    uri: str, server: Postgres, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RunSpec(dataset="films-0123456789ab", model=MODELS["ease"]())
    run_id = store.create("train", spec.title, spec, {"dataset": spec.dataset, "model": "ease"})
    folder = workspace / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec.model_dump_json())
    (folder / "verdict.json").write_text('{"status": "FINISHED", "message": null, "time": 1.0}')
    store.log_final(run_id, {"test_ndcg_at_10": 0.25})
    store.set_status(run_id, "FINISHED")
    engine.runs.annotate(run_id, "Größe: 50 % – naïve")
    records.mirror(run_id)
    (listed,) = recbench("runs")["runs"]  # another process
    assert (listed["run_id"], listed["metrics"]) == (run_id, {"ndcg_at_10": 0.25})
    assert engine.runs.get_run(run_id).note == "Größe: 50 % – naïve"
    monkeypatch.setenv("RECBENCH_TRACKING_URI", server.database())  # the database was lost
    assert recbench("adopt")["new"] == [run_id]
    run = engine.runs.get_run(run_id)
    assert (run.state, run.note) == (RunState.FINISHED, "Größe: 50 % – naïve")


def test_a_database_that_hangs_or_ends_under_an_open_workbench_is_told_and_comes_back(
    uri: str, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.runs.list_runs() == []
    monkeypatch.setattr(addresses, "ASK_AGAIN_S", 0.0)
    with server.frozen():
        with pytest.raises(StoreError, match=re.escape("does not answer (no answer in time)")):
            engine.runs.list_runs()
        assert "does not answer (no answer in time)" in shown("home")
    until(lambda: not shown("home"), 30)
    assert engine.runs.list_runs() == []


@pytest.mark.parametrize(
    "address, why",
    [
        (f"postgresql://me:{SECRET}@127.0.0.1:1/runs", "does not answer (connection refused)"),
        (f"postgresql://me:{SECRET}@nowhere.invalid/runs", "does not answer (its name is not known)"),
        (f"postgres://me:{SECRET}@127.0.0.1/runs", f"write postgresql://me:{MASK}@127.0.0.1/runs in RECBENCH_TRACKING_URI"),
        ("s3://bucket/runs", "RECBENCH_TRACKING_URI is s3://bucket/runs, which is no store of runs: give http://"),
        ("./mlruns", "RECBENCH_TRACKING_URI is ./mlruns, which is no store of runs: give http://"),
    ],
)
def test_an_address_without_a_store_is_a_sentence_without_its_password(
    workspace: Path, address: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECBENCH_TRACKING_URI", address)
    for said in (asked("runs", fails=True)["error"], shown("runs")):
        assert why in said and SECRET not in said


def test_a_database_and_a_role_that_are_not_there_are_named(uri: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECBENCH_TRACKING_URI", re.sub(r"/runs_\w+", "/none", uri))
    assert 'does not answer (the database "none" does not exist)' in asked("runs", fails=True)["error"]


@pytest.mark.parametrize(
    "scheme, module, how",
    [
        ("postgresql", "psycopg", "needs the Python package psycopg[binary], which is not installed: start with `uv run --extra postgres"),
        ("postgresql+psycopg2", "psycopg2", "`uv pip install psycopg2-binary` in the environment of the workbench"),
        ("mysql+pymysql", "pymysql", "`uv pip install pymysql` in the environment of the workbench"),
    ],
)
def test_a_driver_that_is_missing_is_named_with_the_command_that_brings_it(
    workspace: Path, scheme: str, module: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as where it is not installed
    monkeypatch.setenv("RECBENCH_TRACKING_URI", f"{scheme}://me:{SECRET}@127.0.0.1:1/runs")
    with pytest.raises(StoreError) as refused:
        engine.runs.list_runs()
    for said in (str(refused.value), shown("home")):
        assert how in said and f"{scheme}://me:{MASK}@127.0.0.1" in said and SECRET not in said


def test_only_new_connections_to_databases_on_servers_get_a_timeout(workspace: Path) -> None:
    assert addresses.with_timeout("postgresql://h/db") == "postgresql://h/db?connect_timeout=4"
    assert addresses.with_timeout("postgresql://h/db?sslmode=require") == "postgresql://h/db?sslmode=require&connect_timeout=4"
    for as_it_is in ("postgresql://h/db?connect_timeout=9", "http://h", settings().store, "mssql+pymssql://h/db"):
        assert addresses.with_timeout(as_it_is) == as_it_is
