"""A run whose ranks are killed goes on from its newest checkpoint: nothing is read twice, and it ends as if nothing had been."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import ranks, tiny
from workers.artifacts import checkpoint
from workers.run import read_curve
from workers.training.progress import Progress

pytestmark = pytest.mark.slow
MODEL = {"kind": "dlrm", "embedding_dim": 8, "dense_layers": [16], "over_layers": [16]}
EPOCHS = {"epochs": 3, "batch_size": 32, "table_learning_rate": 0.2, "dense_learning_rate": 0.01, "patience": None}
SPEC = {"model": MODEL, "train": EPOCHS | {"checkpoint_steps": 20, "schedule": "linear", "warmup_steps": 5}}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resuming") / "dataset"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "BLOCK", 32)  # many blocks, so that some are not read yet in the middle of an epoch
        tiny.write(tiny.groups(users=120, items=60), folder)
    return folder


@pytest.fixture(scope="module")
def unbroken(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Ranks -> the folder of a run that nobody disturbs."""
    runs = {}
    for processes in (1, 2):
        runs[processes] = tmp_path_factory.mktemp("unbroken") / "run"
        assert "metrics" in ranks.train(runs[processes], dataset, SPEC, processes)
    return runs


def train(run: str, dataset: str, number: int) -> None:
    """One rank, which notes each block that it reads: attempt, epoch, block."""
    from workers.batches import blocks

    blocks.import_streaming()
    from workers.batches.numbered import NumberedBlocks
    from workers.training.entry import train_rank

    stock = NumberedBlocks.__getitem__

    def noted(self: NumberedBlocks, at: int) -> Any:
        block = stock(self, at)
        if block is not None:
            with (Path(run) / "read.txt").open("a") as file:
                file.write(f"{number} {self.next_epoch} {at}\n")
        return block

    NumberedBlocks.__getitem__ = noted  # type: ignore[method-assign]
    train_rank(run, dataset, number)


def progress_of(folder: Path) -> Progress:
    return Progress.model_validate(checkpoint.facts(folder)["progress"])


def steps(run: Path) -> list[Path]:
    return sorted((run / "checkpoint").glob("step-*"))


def in_the_middle(epoch: int) -> Callable[[Path], bool]:
    """Whether the newest checkpoint is within that epoch, some steps before its end."""

    def reached(run: Path) -> bool:
        try:
            return bool(steps(run)) and (found := progress_of(steps(run)[-1])).epoch == epoch and not found.done
        except OSError:  # it was deleted meanwhile
            return False

    return reached


def killed(run: Path, dataset: Path, spec: dict[str, Any], processes: int, when: Callable[[Path], bool]) -> None:
    """Begin a run and kill -9 all of its ranks at a moment."""
    ranks.prepare(run, spec, processes)
    started, end = ranks.attempt(run, dataset, processes, train), time.monotonic() + 120
    while not when(run) and time.monotonic() < end and all(one.is_alive() for one in started):
        time.sleep(0.005)
    for one in started:
        one.kill()
    for one in started:
        one.join()
    assert not (run / "done.json").exists() and not list(run.glob("*.error.json"))


def resumed(run: Path, dataset: Path, processes: int) -> dict[str, Any]:
    """The next attempt to its end; done.json, or an error file."""
    for left in run.glob("rank*.error.json"):
        left.unlink()
    ranks.finish(ranks.attempt(run, dataset, processes, train), 180)
    errors = sorted(run.glob("rank*.error.json"))
    found: dict[str, Any] = json.loads((errors[0] if errors else run / "done.json").read_text())
    return found


def losses(run: Path) -> list[tuple[int, float]]:
    return [(one["step"], one["values"]["train_loss"]) for one in read_curve(run / "journal.jsonl") if "train_loss" in one["values"]]


@pytest.mark.fault("F39", "F34")
@pytest.mark.parametrize(
    ("before", "after"), [(2, 1), *(pytest.param(*ranks, marks=pytest.mark.thorough) for ranks in ((1, 1), (2, 2), (1, 2)))]
)
def test_a_run_that_is_killed_within_an_epoch_ends_as_an_unbroken_one(
    dataset: Path, unbroken: dict[int, Path], tmp_path: Path, before: int, after: int
) -> None:
    whole = json.loads((unbroken[before] / "done.json").read_text())
    run = tmp_path / "run"
    killed(run, dataset, SPEC, before, in_the_middle(2))
    newest = steps(run)[-1]
    at = progress_of(newest)
    assert (at.epoch, at.done) == (2, False)
    read = [int(block) for rank in range(before) for block in checkpoint.load_position(newest, rank)[0]["read"]]
    done = resumed(run, dataset, after)
    assert done.get("attempt") == 2, done
    number = len(list(blocks(dataset)))
    lines = [line.split() for line in (run / "read.txt").read_text().splitlines()]
    again = [int(block) for attempt, epoch, block in lines if (attempt, epoch) == ("2", "2")]
    assert read and again
    assert Counter(read + again) == Counter(range(number))  # no block twice, none left out
    records = losses(run)
    assert [step for step, _ in records] == sorted({step for step, _ in records})  # one value a step
    assert done["epochs"] == whole["epochs"]
    assert done["rows"] == pytest.approx(whole["rows"], rel=0.02)
    if before == after:
        assert dict(records) == pytest.approx(dict(losses(unbroken[before])), rel=1e-5)
        for name, value in whole["metrics"].items():
            assert done["metrics"][name] == pytest.approx(value, abs=1e-6), name
    else:
        assert done["metrics"]["auc"] == pytest.approx(whole["metrics"]["auc"], abs=0.03)
    assert not steps(run)


def test_a_run_that_reads_sequences_ends_as_an_unbroken_one(dataset: Path, tmp_path: Path) -> None:
    """Windows of sequences, and drawn items, are those that would have come."""
    model = {"kind": "sasrec", "embedding_dim": 8, "blocks": 1, "length": 5, "num_negatives": 8}
    spec = {"model": model, "train": EPOCHS | {"batch_size": 20, "checkpoint_steps": 2}}
    whole = ranks.train(tmp_path / "whole", dataset, spec)
    killed(tmp_path / "run", dataset, spec, 1, in_the_middle(2))
    done = resumed(tmp_path / "run", dataset, 1)
    assert done.get("attempt") == 2, done
    assert dict(losses(tmp_path / "run")) == pytest.approx(dict(losses(tmp_path / "whole")), rel=1e-5)
    assert done["metrics"]["ndcg_at_10"] == pytest.approx(whole["metrics"]["ndcg_at_10"], abs=1e-6)
    assert done["rows"] == whole["rows"]


def blocks(dataset: Path) -> Any:
    from workers.batches import blocks_of

    return blocks_of(dataset, "train")


def stopped_when(run: Path, dataset: Path, spec: dict[str, Any], processes: int, before: Callable[[Path], bool]) -> None:
    """Begin a run, and ask it to stop and keep at a moment."""
    ranks.prepare(run, spec, processes)
    started, end = ranks.attempt(run, dataset, processes, train), time.monotonic() + 120
    while not before(run) and time.monotonic() < end and all(one.is_alive() for one in started):
        time.sleep(0.005)
    (run / "cancel").write_text("keep")
    assert ranks.finish(started, 60) == [0] * processes


@pytest.mark.parametrize("processes", [1, 2])
def test_stop_and_keep_ends_all_ranks_with_a_checkpoint_that_the_run_goes_on_from(
    dataset: Path, unbroken: dict[int, Path], tmp_path: Path, processes: int
) -> None:
    run, spec = tmp_path / ("a" * 32), {"model": MODEL, "train": SPEC["train"] | {"checkpoint_steps": None}}
    stopped_when(
        run, dataset, spec, processes, lambda run: (run / "journal.jsonl").exists() and "train_loss" in (run / "journal.jsonl").read_text()
    )
    stopped = json.loads((run / "stopped.json").read_text())
    at = progress_of(steps(run)[-1])
    assert stopped == {"attempt": 1, "step": at.step, "epoch": at.epoch}
    assert not (run / "done.json").exists() and not list(run.glob("*.error.json"))
    (run / "cancel").unlink()
    done = resumed(run, dataset, processes)
    whole = json.loads((unbroken[processes] / "done.json").read_text())
    assert done["metrics"] == pytest.approx(whole["metrics"], abs=1e-6)
    assert (done["rows"], done["epochs"]) == (whole["rows"], whole["epochs"])


@pytest.mark.fault("F25", "F26")
def test_an_interrupted_run_can_be_opened_and_goes_on_from_the_step_before_a_damaged_one(dataset: Path, tmp_path: Path) -> None:
    from workers.artifacts import PreparedDataset
    from workers.serving import open_run

    run = tmp_path / ("a" * 32)
    killed(run, dataset, SPEC, 1, in_the_middle(2))
    opened = open_run(run, PreparedDataset.open(dataset))
    assert len(opened.items) == 60
    damaged = steps(run)[-1] / "rank0.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x55")
    older = progress_of(steps(run)[-2])
    done = resumed(run, dataset, 1)
    assert "metrics" in done, done
    assert f"checkpoint {damaged.parent.name} is not whole" in (run / "run.log").read_text()
    records = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert [one["step"] for one in records if one.get("event") == "resumed"] == [older.step]
    again = "b" * 32
    continued = ranks.train(tmp_path / again, dataset, SPEC | {"continues": run.name})
    assert continued["epochs"] == done["best_epoch"] + EPOCHS["epochs"]


@pytest.mark.fault("F16")
def test_ranks_of_an_older_attempt_that_wake_up_write_nothing(
    dataset: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    run = tmp_path / "run"
    ranks.prepare(run, SPEC)
    (old,) = ranks.attempt(run, dataset, 1, train)
    while not in_the_middle(2)(run):
        time.sleep(0.005)
    assert old.pid
    os.kill(old.pid, signal.SIGSTOP)
    done = resumed(run, dataset, 1)
    assert done["attempt"] == 2
    before = contents(run)
    woken = time.monotonic()
    os.kill(old.pid, signal.SIGCONT)
    assert ranks.finish([old], 60) != [0]
    record_property("truth_s", time.monotonic() - woken)
    assert contents(run) == before
    assert "attempt 2 has replaced it" in (run / "run.log").read_text()


def contents(run: Path) -> dict[str, bytes]:
    """All files of a run but its logs."""
    kept = {path for path in run.rglob("*") if path.is_file() and path.name not in ("run.log", "output.log", "read.txt")}
    return {str(path): path.read_bytes() for path in kept}


def leave(run: str, dataset: str, number: int) -> None:
    """One rank, of which rank 0 writes its results only after the other is gone."""
    from workers.training import train as training
    from workers.training import write_results

    me, stock = Path(run) / f"pid{os.environ['RANK']}", write_results.write_results
    me.write_text(str(os.getpid()))

    def when_alone(*given: Any) -> None:
        other, end = int((Path(run) / "pid1").read_text()), time.monotonic() + 30
        while Path(f"/proc/{other}/cmdline").exists() and Path(f"/proc/{other}/cmdline").read_bytes() and time.monotonic() < end:
            time.sleep(0.02)
        (Path(run) / "alone").write_text(str(time.monotonic() < end))
        stock(*given)

    write_results.write_results = when_alone
    training.train_rank(run, dataset, number)


def test_ranks_leave_before_rank_0_writes_results(dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ranks.prepare(run, {"model": MODEL, "train": EPOCHS | {"epochs": 1}}, 2)
    assert ranks.finish(ranks.attempt(run, dataset, 2, leave), 120) == [0, 0]
    assert (run / "alone").read_text() == "True"
    assert "metrics" in json.loads((run / "done.json").read_text())


def fills(run: str, dataset: str, number: int) -> None:
    """One rank, for which the disk is full from the second epoch on."""
    import errno

    from workers.artifacts import checkpoint

    stock = checkpoint.write_tensors

    def full(tensors: Any, path: Path) -> Any:
        if number == 1 and int(path.parent.name.split("-")[1].split(".")[0]) > 60 and os.environ["RANK"] == "1":
            raise OSError(errno.ENOSPC, "No space left on device")
        return stock(tensors, path)

    checkpoint.write_tensors = full
    train(run, dataset, number)


@pytest.mark.fault("F23")
def test_a_run_whose_disk_is_full_ends_with_a_sentence_and_goes_on_later(dataset: Path, unbroken: dict[int, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    ranks.prepare(run, SPEC, 2)
    codes = ranks.finish(ranks.attempt(run, dataset, 2, fills), 60)
    assert 0 not in codes
    for rank in range(2):
        error = json.loads((run / f"rank{rank}.error.json").read_text())
        assert error["type"] == "NoSpaceError"
        assert error["message"].startswith("No space left: the checkpoint of step ") and error["message"].endswith(", then resume.")
    done = resumed(run, dataset, 2)
    whole = json.loads((unbroken[2] / "done.json").read_text())
    assert done["metrics"] == pytest.approx(whole["metrics"], abs=1e-6)
