"""What a run wrote is told apart from what was edited or cut since."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.artifacts import (
    DONE,
    SPEC,
    DamagedError,
    PreparedDataset,
    checked,
    read_done,
    read_sealed,
    sealed,
    write_done,
    write_json,
)

PARQUET = "results/per_user.parquet"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with two results, one of them in a folder of its own."""
    folder = tmp_path / ("a" * 32)
    (folder / "results" / "more").mkdir(parents=True)
    (folder / SPEC).write_text("{}")
    (folder / PARQUET).write_bytes(b"0123456789" * 100)
    (folder / "results" / "more" / "b").write_bytes(b"")
    (folder / "results" / ".c.1.partial").write_bytes(b"left by a crash")
    write_done(folder, {"attempt": 1, "metrics": {"ndcg_at_10": 0.1}, "where": Path("/a")})
    return folder


def test_done_lists_the_spec_and_every_result(run: Path) -> None:
    done = read_done(run)
    assert set(done["files"]) == {PARQUET, "results/more/b", SPEC}
    assert done["files"][PARQUET]["bytes"] == 1000
    assert (done["attempt"], done["where"], "digest" in done) == (1, "/a", False)
    assert checked(run, PARQUET) == run / PARQUET


@pytest.mark.fault("F38")
@pytest.mark.parametrize("change", ["flip", "cut", "grow", "flip, with the old times"])
def test_a_result_that_was_changed_is_refused_and_named(run: Path, change: str) -> None:
    path = run / PARQUET
    checked(run, PARQUET)
    before, content = path.stat(), bytearray(path.read_bytes())
    content = content[:-1] if change == "cut" else content + b"0" if change == "grow" else bytearray([content[0] ^ 1]) + content[1:]
    path.write_bytes(content)
    if "times" in change:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DamagedError) as refused:
        checked(run, PARQUET)
    said = str(refused.value)
    assert said.startswith(f"{PARQUET} of run {run.name} differs from what the run wrote (1,000 bytes with SHA-256 ")
    assert f"{len(content):,} bytes" in said.split("expected")[1]
    assert said.endswith("train it again, or restore it from a backup.")


def test_a_file_that_the_run_did_not_write_is_refused_and_a_missing_one_is_left_to_the_reader(run: Path) -> None:
    (run / "results" / "scored.parquet").write_bytes(b"1")
    with pytest.raises(DamagedError, match="no such file expected"):
        checked(run, "results/scored.parquet")
    (run / PARQUET).unlink()
    assert checked(run, PARQUET) == run / PARQUET


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_cut_done_names_the_file_and_the_run(run: Path, cut: int) -> None:
    text = (run / DONE).read_text()
    (run / DONE).write_text(text[:cut])
    with pytest.raises(
        DamagedError, match=rf"done.json is cut or no JSON .* of run {run.name}; train it again, or restore it from a backup\."
    ):
        read_done(run)
    with pytest.raises(DamagedError, match=r"done\.json"):
        checked(run, PARQUET)


def test_an_edited_done_is_refused(run: Path) -> None:
    record = json.loads((run / DONE).read_text())
    record["metrics"]["ndcg_at_10"] = 0.9
    write_json(run / DONE, record)
    with pytest.raises(DamagedError, match=f"done.json was changed after it was written .* of run {run.name}"):
        read_done(run)


def test_runs_from_before_are_read_as_they_are(run: Path) -> None:
    write_json(run / DONE, {"attempt": 1})
    (run / PARQUET).write_bytes(b"another")
    assert checked(run, PARQUET) == run / PARQUET
    assert read_done(run) == {"attempt": 1}
    (run / DONE).unlink()
    assert checked(run, PARQUET) == run / PARQUET, "a run under way"


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()))
def test_any_record_is_read_as_it_was_sealed(tmp_path_factory: pytest.TempPathFactory, record: dict) -> None:
    path = tmp_path_factory.getbasetemp() / "sealed.json"
    write_json(path, sealed(record))
    assert read_sealed(path) == {name: value for name, value in record.items() if name != "digest"}


def test_a_manifest_that_was_edited_is_no_dataset(tmp_path: Path) -> None:
    manifest = {"schema": {"categorical": []}, "counts": {"interactions": {}, "positives": {}}, "block_rows": 4}
    write_json(tmp_path / "manifest.json", manifest)
    assert PreparedDataset.open(tmp_path).block_rows == 4, "written before there were digests"
    write_json(tmp_path / "manifest.json", sealed(manifest) | {"block_rows": 5})
    with pytest.raises(ValueError, match=r"manifest.json was changed after it was written"):
        PreparedDataset.open(tmp_path)
