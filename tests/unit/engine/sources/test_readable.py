"""Every source with a path obeys the folders that may be read, and says nothing of what a refused file holds."""

from pathlib import Path

import pytest

from engine.datasets import DatasetSpec
from engine.sources import SOURCES

HIDDEN = "root:x:0:0:hidden"
FILES = (
    "train.txt",
    "u.data",
    "u.user",
    "users.dat",
    "ratings.csv",
    "ratings.dat",
    "movies.csv",
    "movies.dat",
    "u.item",
    "item_ratings.csv",
    "set_ratings.csv",
)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may not be read, beside one that may be."""
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("RECBENCH_DATA_ROOTS", str(tmp_path / "root"))
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path / "root" / "workspace"))
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(f"{HIDDEN}\n" * 3)
    return folder


def said(kind: str, **fields: str) -> str:
    """What a source says that is refused, however it is asked."""
    source = SOURCES[kind].model_validate({"kind": kind, **fields})
    texts = []
    for ask in (source.check, source.fingerprint, source.size_hint, source.frame):
        with pytest.raises(ValueError) as refused:
            ask()
        texts.append(str(refused.value))
    return "\n".join(texts)


@pytest.mark.fault("F69")
@pytest.mark.parametrize("kind", ["criteo", "movielens", "sets"])
@pytest.mark.parametrize("way", ["folder", "file", "..", "link", "file link"])
def test_no_source_reads_outside_the_readable_folders(outside: Path, kind: str, way: str) -> None:
    root = outside.parent / "root"
    path = {"folder": outside, "file": outside / "train.txt", "..": root / ".." / "outside"}.get(way)
    if way == "link":
        (path := root / "link").symlink_to(outside)
    if way == "file link":
        (path := root / "inner").mkdir()
        for name in FILES if kind != "criteo" else FILES[:1]:
            (path / name).symlink_to(outside / name)
    text = said(kind, path=str(path))
    assert text.count("outside the folders that may be read") == 4
    assert "RECBENCH_DATA_ROOTS" in text
    assert HIDDEN not in text
    DatasetSpec.model_validate({"name": "a", "source": {"kind": kind, "path": str(path)}})  # a spec of another machine is read


@pytest.mark.fault("F69")
def test_titles_are_not_read_from_outside_either(outside: Path) -> None:
    inside = outside.parent / "root" / "sets"
    inside.mkdir()
    (inside / "item_ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,5,2019-01-01 00:00:00\n")
    text = said("sets", path=str(inside), movies=str(outside / "movies.csv"))
    assert "outside the folders that may be read" in text and HIDDEN not in text
