"""Names, notes, tags, pins and the trash, in a real store: what is written is read back, and what is thrown away is gone until restored."""

import fcntl
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import engine
from engine.cli import main
from engine.runs import processes, store
from engine.runs.read import RunState
from tests import stores
from tests.records import DATASET, HOSTILE


@pytest.fixture(scope="module", autouse=True)
def workspace(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(stores.copy(empty_store, tmp_path_factory.mktemp("kept"))))
        yield


def made(status: store.Status = "FINISHED", dataset: str = DATASET, continues: str | None = None) -> str:
    spec = engine.specs.RunSpec(dataset=dataset, model=engine.specs.MODELS["dlrm"](), continues=continues)
    run_id = store.create("train", spec.title, spec, {"dataset": dataset, "model": "dlrm"})
    store.set_status(run_id, status)
    return run_id


def listed() -> set[str]:
    return {run.run_id for run in engine.runs.list_runs()}


def test_names_notes_and_tags_are_read_back_as_they_were_written() -> None:
    run_id = made()
    fresh = engine.runs.get_run(run_id)
    assert (fresh.note, fresh.tags, fresh.pinned, fresh.trashed_at) == (None, (), False, None)
    engine.runs.rename(run_id, f"  {HOSTILE}\n映画 ")
    engine.runs.annotate(run_id, f"{HOSTILE}\r\nsecond line\x00")
    engine.runs.tag(run_id, ["keep", HOSTILE[:40], "keep", "a, b"])
    run = engine.runs.get_run(run_id)
    assert run.title == f"{HOSTILE} 映画"
    assert run.note == f"{HOSTILE}\nsecond line"
    assert run.tags == ("keep", HOSTILE[:40].strip(), "a, b")
    assert store.get(run_id).data.tags["mlflow.note.content"] == run.note  # where a stock mlflow ui shows it
    engine.runs.annotate(run_id, "  ")
    engine.runs.tag(run_id, [])
    assert (engine.runs.get_run(run_id).note, engine.runs.get_run(run_id).tags) == (None, ())


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda run_id: engine.runs.rename(run_id, " \n "), r"The name is empty; give 1 to 120 characters\."),
        (lambda run_id: engine.runs.rename(run_id, "x" * 121), r"The name has 121 characters; shorten it to 120\."),
        (lambda run_id: engine.runs.annotate(run_id, "x" * 4001), r"The note has 4,001 characters; shorten it to 4,000\."),
        (lambda run_id: engine.runs.tag(run_id, ["x" * 41]), r"A tag has 41 characters; shorten it to 40\."),
        (lambda run_id: engine.runs.tag(run_id, ["\x07"]), r"A tag is empty; give 1 to 40 characters\."),
        (lambda run_id: engine.runs.tag(run_id, list("abcdefghijk")), r"A run has at most 10 tags, not 11; remove some\."),
    ],
)
def test_what_is_too_long_or_empty_is_refused_and_changes_nothing(call: object, said: str) -> None:
    run_id = made()
    before = engine.runs.get_run(run_id)
    with pytest.raises(ValueError, match=said):
        call(run_id)  # type: ignore[operator]
    assert engine.runs.get_run(run_id) == before


def test_the_longest_that_is_allowed_is_kept_whole() -> None:
    run_id = made()
    engine.runs.rename(run_id, "n" * 120)
    engine.runs.annotate(run_id, "ü" * 4000)
    engine.runs.tag(run_id, [f"{at}" + "ü" * 39 for at in range(10)])
    run = engine.runs.get_run(run_id)
    assert (len(run.title), len(run.note or ""), len(run.tags)) == (120, 4000, 10)


def test_what_is_trashed_is_in_no_list_until_it_is_restored() -> None:
    gone, stays = made(), made()
    assert engine.runs.trash([gone, gone]) == []
    assert gone not in listed()
    assert stays in listed()
    assert gone in {run.run_id for run in engine.runs.list_trash()}
    assert engine.runs.get_run(gone).trashed_at is not None  # who asks for it by its id is told where it is
    engine.runs.restore([gone])
    assert gone in listed()
    assert gone not in {run.run_id for run in engine.runs.list_trash()}
    engine.runs.restore([gone])  # nothing to do


def test_a_limit_counts_what_is_shown() -> None:
    ids = [made() for _ in range(3)]
    engine.runs.trash(ids[1:])
    assert engine.runs.list_runs(limit=1)[0].run_id == ids[0]


def test_pinned_and_live_runs_are_kept_with_the_reason() -> None:
    pinned, plain, live = made(), made(), made("RUNNING")
    folder = engine.settings.settings().runs / live
    folder.mkdir(parents=True)
    lock = (folder / processes.LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    engine.runs.pin(pinned)
    kept = {one.run_id: one.reason for one in engine.runs.trash([pinned, plain, live])}
    assert kept == {pinned: "it is the pinned baseline of its dataset: unpin it first", live: "it is running: cancel it first"}
    assert plain not in listed()
    assert {pinned, live} <= listed()
    engine.runs.unpin(pinned)
    assert engine.runs.trash([pinned]) == []
    store.set_status(live, "KILLED")
    lock.close()


def test_an_unknown_run_among_them_moves_none() -> None:
    run_id = made()
    with pytest.raises(LookupError):
        engine.runs.trash([run_id, "0" * 32])
    assert run_id in listed()
    for call in (engine.runs.pin, lambda unknown: engine.runs.rename(unknown, "x"), lambda unknown: engine.runs.restore([unknown])):
        with pytest.raises(LookupError):
            call("0" * 32)


def test_one_baseline_a_dataset_is_pinned() -> None:
    first, second, elsewhere = made(), made(), made(dataset="other-0123456789ab")
    for run_id in (first, elsewhere, second, second):
        engine.runs.pin(run_id)
    assert [engine.runs.get_run(run_id).pinned for run_id in (first, second, elsewhere)] == [False, True, True]
    failed, thrown = made("FAILED"), made()
    engine.runs.trash([thrown])
    with pytest.raises(ValueError, match="is failed; pin a finished training"):
        engine.runs.pin(failed)
    with pytest.raises(ValueError, match="is in the trash; restore it"):
        engine.runs.pin(thrown)
    assert engine.runs.pinned(DATASET) == engine.runs.get_run(second)
    assert engine.runs.pinned("nowhere' OR 1=1") is None
    engine.runs.unpin(second)
    assert engine.runs.pinned(DATASET) is None
    engine.runs.unpin(second)
    assert not engine.runs.get_run(second).pinned


def test_the_trash_forgets_after_thirty_days() -> None:
    old, young = made(), made()
    for run_id, days in ((old, 30.01), (young, 29.99)):
        store.set_tag(run_id, "trashed", (datetime.now(UTC) - timedelta(days=days)).isoformat())
    found = {run.run_id for run in engine.runs.list_trash()}
    assert (old in found, young in found) == (False, True)
    with pytest.raises(ValueError, match="more than 30 days ago"):
        engine.runs.restore([old])
    assert old not in listed()


@pytest.mark.parametrize(
    "name, value", [("tags", "no json"), ("tags", '{"a": 1}'), ("tags", "[1, null]"), ("trashed", "soon"), ("trashed", "")]
)
def test_tags_that_were_spoiled_elsewhere_spoil_no_list(name: str, value: str) -> None:
    run_id = made()
    store.set_tag(run_id, name, value)
    run = engine.runs.get_run(run_id)
    assert all(isinstance(one, str) for one in run.tags)
    assert (run.trashed_at is None) == (name == "tags") == (run_id in listed())
    assert run_id not in {one.run_id for one in engine.runs.list_trash()}


def test_a_moment_without_a_zone_is_in_utc() -> None:
    run_id = made()
    store.set_tag(run_id, "trashed", datetime.now(UTC).replace(tzinfo=None).isoformat())
    assert run_id in {one.run_id for one in engine.runs.list_trash()}
    engine.runs.restore([run_id])


def test_runs_that_need_a_run_are_named() -> None:
    first = made()
    assert engine.runs.dependents(first) == []
    second = made(continues=first)
    assert [run.run_id for run in engine.runs.dependents(first)] == [second]
    engine.runs.trash([second])
    assert engine.runs.dependents(first) == []


def test_all_of_it_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    first = made()
    second = made(continues=first)
    main(["rename", first, "My best"])
    main(["note", first, "why"])
    main(["tag", first, "x", "y"])
    main(["pin", first])
    run = engine.runs.get_run(first)
    assert (run.title, run.note, run.tags, run.pinned, run.state) == ("My best", "why", ("x", "y"), True, RunState.FINISHED)
    with pytest.raises(SystemExit):
        main(["trash", first, "--json"])
    said = capsys.readouterr().out
    assert f"({second}) needs {first}" in said
    assert json.loads(said.splitlines()[-1])["kept"][0]["reason"].startswith("it is the pinned baseline")
    main(["unpin", first])
    main(["trash", first])
    main(["restore"])
    assert first in capsys.readouterr().out
    main(["restore", first])
    assert first in listed()
