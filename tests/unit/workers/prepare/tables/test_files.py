"""Parts of a file: cut anywhere, the lines of all parts are the lines of the file; what swells or is torn is refused."""

import gzip
import io
import random
from pathlib import Path
from typing import Any

import pytest

from engine.sources.table import TableSource
from engine.tables import reader
from workers.prepare import tables
from workers.prepare.tables import files
from workers.prepare.tables.files import chunks

COLUMNS = [{"name": "u", "role": "user"}, {"name": "i", "role": "item"}]


def lines(content: bytes, start: int = 0, end: int | None = None) -> list[bytes]:
    return [line for chunk in chunks(io.BytesIO(content), start, end) for line in chunk.splitlines() if line]


@pytest.mark.parametrize("block", [1, 3, 7, 1 << 20])
def test_lines_belong_to_the_part_in_which_they_begin(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK", block)
    chance = random.Random(block)
    for _ in range(300):
        content = "".join(chance.choice(["a", "bc", "\n", "\r\n", "\r", "défg"]) for _ in range(chance.randrange(30))).encode()
        whole = [line for line in content.splitlines() if line]
        step = chance.randrange(1, 12)
        found = [line for at in range(0, max(len(content), 1), step) for line in lines(content, at, at + step)]
        assert found == whole == lines(content), (content, step)


@pytest.mark.fault("F57")
def test_a_large_file_is_read_in_parts_and_only_as_far_as_asked(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "t.csv"
    file.write_text("u,i\n" + "".join(f"u{k},i{k}\n" for k in range(50_000)))
    monkeypatch.setattr(reader, "SPLIT_BYTES", 10_000)
    source = TableSource(path=str(file), columns=COLUMNS)
    opened = reader.open_table(source)
    parts = reader._parts(opened.files[0], opened.layout)
    assert len(parts) > 50
    rows = [row for part in parts for t in tables.read(part, opened.layout, ["u"]) for row in t["u"].to_pylist()]
    assert rows == [f"u{k}" for k in range(50_000)]
    monkeypatch.setattr(files, "BLOCK", 1000)
    read: list[int] = []
    original = files.table_lines.parse

    def counting(found: Any, *more: Any) -> Any:
        read.append(len(found))
        return original(found, *more)

    monkeypatch.setattr(files.table_lines, "parse", counting)
    assert source.frame(limit=10)["user_id"].tolist() == [f"u{k}" for k in range(10)]
    assert sum(read) < 500
    assert 40_000 < source.size_hint() < 60_000


def test_what_swells_without_end_is_refused(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FREE_BYTES", 1 << 20)
    file = tmp_path / "t.csv.gz"
    file.write_bytes(gzip.compress(b"u,i\n" + b"a,b\n" * 2_000_000))
    with pytest.raises(ValueError, match=r"t\.csv\.gz grows more than 100 times"):
        TableSource(path=str(file), columns=COLUMNS).frame()


def test_a_torn_file_is_named(tmp_path: Path, workspace: Path) -> None:
    file = tmp_path / "t.csv.gz"
    content = gzip.compress("".join(f"u{k * 7919 % 10_007},i{k}\n" for k in range(100_000)).encode())
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"t\.csv\.gz (is damaged|cannot be unpacked)"):
        TableSource(path=str(file), header=False, columns=[{"name": "column_1", "role": "user"}]).frame()


def test_a_line_without_end_is_no_table(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 10_000)
    monkeypatch.setattr(files, "BLOCK", 1000)
    with pytest.raises(ValueError, match="has a line of more than"):
        list(chunks(io.BytesIO(b"x" * 100_000), name="t.csv"))
