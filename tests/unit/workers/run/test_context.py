"""All processes of a run begin and end alike: log, error file, journal, and done.json last."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny
from workers.artifacts import PreparedDataset, read_done
from workers.run import Journal, LogFormat, RunContext, RunSpec, read_journal, refuse_unfit

ROOT = Path(__file__).resolve().parents[4]
WORK = """
import sys
from workers.run import RunSpec, run_context
with run_context(sys.argv[1], sys.argv[2], 3, RunSpec, "rank 1", leads=sys.argv[3] == "leads") as context:
    assert context.spec.model.kind == "ease" and context.dataset.num_users == 60
    if sys.argv[4] == "fails":
        raise ValueError("It cannot be done.")
    context.finish({"users": 5})
"""


def run(tmp_path: Path, *words: str) -> Path:
    """A process of a run of its own, since it dies with its parent and configures logging; the run's folder."""
    tiny.write(tiny.groups(), tmp_path / "dataset")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps({"dataset": "tiny", "model": {"kind": "ease"}}))
    subprocess.run([sys.executable, "-c", WORK, str(folder), str(tmp_path / "dataset"), *words], cwd=ROOT, capture_output=True, timeout=60)
    return folder


def test_a_process_that_succeeds_writes_what_it_reached_last(tmp_path: Path) -> None:
    folder = run(tmp_path, "leads", "succeeds")
    done = read_done(folder)
    assert set(done.pop("files")) == {"spec.json"}
    assert done == {"attempt": 3, "users": 5}
    records, _ = read_journal(folder / "journal.jsonl")
    assert [record["event"] for record in records] == ["done"]
    assert not list(folder.glob("*.error.json"))


@pytest.mark.parametrize("leads", ["leads", "follows"])
def test_a_process_that_fails_says_why_and_is_not_done(tmp_path: Path, leads: str) -> None:
    folder = run(tmp_path, leads, "fails")
    error = json.loads((folder / "rank1.error.json").read_text())
    assert (error["type"], error["message"]) == ("ValueError", "It cannot be done.")
    assert "[rank 1] ERROR rank 1 failed" in (folder / "run.log").read_text()
    assert not (folder / "done.json").exists()
    assert (folder / "journal.jsonl").exists() == (leads == "leads")


def test_a_model_that_cannot_learn_from_a_dataset_is_refused(tmp_path: Path) -> None:
    tiny.write_clicks(tmp_path / "clicks", rows=1200)
    tiny.write(tiny.groups(), tmp_path / "groups")
    spec = RunSpec.model_validate({"dataset": "tiny", "model": {"kind": "ease"}})
    context = RunContext(tmp_path, PreparedDataset.open(tmp_path / "groups"), spec, Journal(None))
    refuse_unfit(context.spec, context.dataset)
    with pytest.raises(ValueError, match="no user and no item"):
        refuse_unfit(spec, PreparedDataset.open(tmp_path / "clicks"))


def test_a_line_of_a_library_has_its_name_and_ours_is_plain() -> None:
    def line(name: str) -> str:
        return LogFormat("rank 0").format(logging.LogRecord(name, logging.INFO, "", 1, "epoch %d", (1,), None)).split(" ", 2)[2]

    assert line("workers.training.loop") == "[rank 0] INFO epoch 1"
    assert line("torchrec.distributed") == "[rank 0] INFO (torchrec.distributed) epoch 1"
    assert line("root") == "[rank 0] INFO (root) epoch 1"
