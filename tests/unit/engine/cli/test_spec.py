"""`recbench spec dataset --path`: the guess of the page as a spec, with every doubt on standard error; and lines of progress."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.cli.progress import line
from engine.datasets import DatasetSpec
from engine.runs import Progress
from engine.tables import inspect_table

Said = Any


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], workspace: Path) -> Said:
    def ask(*words: str) -> tuple[dict[str, Any], str]:
        main(list(words))
        answer = capsys.readouterr()
        return json.loads(answer.out), answer.err

    return ask


def log(path: Path, times: str = "s") -> Path:
    """A table of views and purchases, the weights of which look like counts."""
    chance = random.Random(1)
    rows = [
        (chance.randint(1, 30), chance.randint(1, 40), chance.choice(["pv", "buy"]), 1_512_000_000 + 60 * n, chance.randint(1, 9))
        for n in range(400)
    ]
    lines = [f"u{u},i{i},{kind},{at if times == 's' else 10_000 + n},{weight}" for n, (u, i, kind, at, weight) in enumerate(rows)]
    lines[0] = lines[0].rpartition(",")[0] + ",40000"
    path.write_text("\n".join(["user_id,item_id,behavior,timestamp,weight", *lines]))
    return path


def test_the_guess_is_printed_as_a_spec_that_can_be_prepared(said: Said, tmp_path: Path) -> None:
    path = log(tmp_path / "My Log (1).csv")
    answer, doubts = said("spec", "dataset", "--source", "table", "--path", str(path))
    spec = DatasetSpec.model_validate(answer)
    assert spec.name == "my-log--1" or spec.name == "my-log-1"
    guess = inspect_table(str(path))
    assert [(column.name, column.role) for column in spec.source.columns] == [(one.name, one.role) for one in guess.columns]  # type: ignore[attr-defined]
    assert (spec.label.kind, spec.split.kind) == ("actions", "time")
    assert "'weight' is read as weight" in doubts and "plays" in doubts
    assert "(1) Not used: every row counts as liked; (2) The label" in doubts, "what can be answered"
    assert "The largest weight, 40,000" in doubts
    assert all(one.startswith("# check: ") for one in doubts.splitlines())


def test_a_question_that_is_open_is_said_with_the_spec(said: Said, tmp_path: Path) -> None:
    answer, doubts = said("spec", "dataset", "--source", "table", "--path", str(log(tmp_path / "log.csv", "numbers")))
    assert answer["source"]["path"].endswith("log.csv") and answer["source"]["time_unit"] is None
    assert "time_unit" in doubts and "this spec is not complete" in doubts


def test_the_threshold_is_one_that_ratings_reach(said: Said, tmp_path: Path) -> None:
    chance = random.Random(1)
    for name, highest, liked in (("five", 5, 4), ("three", 3, 2)):
        path = tmp_path / f"{name}.csv"
        rows = [f"u{chance.randint(1, 30)},i{n % 40},{1 + n % highest},{1_512_000_000 + 60 * n}" for n in range(300)]
        path.write_text("\n".join(["user_id,item_id,rating,timestamp", *rows]))
        answer, _ = said("spec", "dataset", "--source", "table", "--path", str(path))
        assert answer["label"] == {"kind": "threshold", "threshold": liked}


def test_a_click_log_without_users_is_said_and_its_label_is_given(said: Said, tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(["click,site_id,position", *(f"{n % 3 // 2},s{n % 7},{n % 5}" for n in range(300))]))
    answer, doubts = said("spec", "dataset", "--source", "table", "--path", str(path))
    assert answer["label"] == {"kind": "given"}
    assert "nobody's recommendations can be shown" in doubts


def test_a_path_is_put_into_the_spec_of_any_source(said: Said) -> None:
    answer, _ = said("spec", "dataset", "--source", "movielens", "--path", "/data/ml-100k")
    assert answer["source"]["path"] == "/data/ml-100k"


def test_json_may_stand_before_and_behind_the_command(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for words in (["--json", "runs"], ["runs", "--json"], ["--json", "runs", "--json"], ["runs"]):
        main(words)
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] == said[2] != said[3]
    assert json.loads(said[0].splitlines()[-1]) == {"runs": []}


def test_a_line_of_progress_says_what_is_done_and_since_when() -> None:
    assert line("Prepare films", None, 4) == "recbench: Prepare films: waiting for its turn, after 0:04"
    at = Progress(phase="training", step=30, total=120, epoch=1, epochs=3, rows_per_s=12_345, eta_s=61)
    assert line("A", at, 75.3) == "recbench: A: 25%, training, epoch 1/3, 12,345 rows/s, 61 s left at most, after 1:15"
