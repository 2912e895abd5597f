"""A table in the folder that a command is started in, where that folder is none of those that may always be read."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
USUAL = (Path.home(), Path("/data"), Path("/mnt"), Path("/media"), Path("/Volumes"), Path("/tmp"), Path(tempfile.gettempdir()))
COLUMNS = {"user": "user", "item": "item", "rating": "label", "time": "timestamp"}
pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that may be read for no other reason than that a command is started in it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        if any(Path(folder).resolve().is_relative_to(root.resolve()) for root in USUAL):
            pytest.skip("/var/tmp is in a folder that may always be read")
        yield Path(folder)


def test_the_driver_of_a_command_reads_the_folder_that_the_command_was_started_in(elsewhere: Path, tmp_path: Path) -> None:
    rows = [f"u{u},i{(7 * u + n) % 30},{1 + (u * n) % 5},{1_600_000_000 + 1000 * n + u}" for u in range(30) for n in range(12)]
    (elsewhere / "ratings.csv").write_text("\n".join(["user,item,rating,time", *rows]) + "\n")
    source = {
        "kind": "table", "path": str(elsewhere / "ratings.csv"), "time_unit": "s",
        "columns": [{"name": name, "role": role} for name, role in COLUMNS.items()],
    }  # fmt: skip
    (elsewhere / "data.json").write_text(json.dumps({"name": "mine", "source": source}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RECBENCH_WORKSPACE": str(tmp_path), "RECBENCH_SPARK_MASTER": "local[2]"}
    environment.pop("RECBENCH_DATA_ROOTS", None)
    words = [sys.executable, "-c", "from engine.cli import main; main()", "prepare", "data.json", "--json"]
    ended = subprocess.run(words, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=400)
    answer = json.loads(ended.stdout.splitlines()[-1])
    assert answer["state"] == "finished", answer
    assert sum(answer["counts"]["interactions"].values()) == len(rows)
