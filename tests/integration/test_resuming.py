"""A run whose ranks are killed goes on from its newest checkpoint: nothing is read twice, and it ends as if nothing had been."""

import json
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
@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 2), (2, 1), (1, 2)])
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


def blocks(dataset: Path) -> Any:
    from workers.batches import blocks_of

    return blocks_of(dataset, "train")
