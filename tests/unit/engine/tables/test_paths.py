"""What a path may be and a file may hold: all that could do harm is refused before it is opened."""

import gzip
import io
import os
import pickle
import subprocess
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.settings import settings
from engine.sources.table import TableSource
from engine.tables import uploads
from engine.tables.inspect import inspect_table
from engine.tables.paths import check_uri, files, local
from engine.tables.uploads import keep_upload

COLUMNS = [{"name": "user", "role": "user"}, {"name": "item", "role": "item"}]
TABLE = b"user,item\na,b\n"


@pytest.fixture
def root(tmp_path: Path, untouched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that may be read."""
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.setenv("RECBENCH_DATA_ROOTS", f"{folder}{os.pathsep}{tmp_path / 'other'}")
    (tmp_path / "secret.csv").write_bytes(TABLE)
    (tmp_path / "root-but-not").mkdir()
    (tmp_path / "root-but-not" / "t.csv").write_bytes(TABLE)
    return folder


def put(folder: Path, name: str, content: bytes = TABLE) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def zipped(folder: Path, members: dict[str, bytes]) -> str:
    with zipfile.ZipFile(folder / "t.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(folder / "t.zip")


def test_only_the_allowed_folders_are_read(root: Path, tmp_path: Path) -> None:
    assert local(put(root, "t.csv")) == root / "t.csv"
    assert settings().readable == (root, tmp_path / "other", settings().workspace)
    for path in (
        tmp_path / "secret.csv",
        root / ".." / "secret.csv",
        tmp_path / "root-but-not" / "t.csv",
        Path("/etc/passwd"),
        Path("/proc/self/environ"),
    ):
        with pytest.raises(ValueError, match="outside the folders that may be read") as error:
            inspect_table(str(path))
        assert str(root) in str(error.value)
    with pytest.raises(ValueError, match="outside"):
        inspect_table(f"file://{tmp_path}/secret.csv")
    with pytest.raises(ValueError, match="NUL byte"):
        inspect_table(f"{root}/t.csv\0.png")
    with pytest.raises(FileNotFoundError, match="There is no file or folder"):
        inspect_table(str(root / "nowhere.csv"))
    assert inspect_table((root / "t.csv").as_uri()).columns[0].name == "user"


@pytest.mark.fault("F58")
def test_links_that_lead_out_are_refused_also_inside_a_folder(root: Path, tmp_path: Path) -> None:
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    for path in (root / "link.csv", root):
        with pytest.raises(ValueError, match="outside the folders"):
            inspect_table(str(path))
    (root / "link.csv").unlink()
    (root / "inner").mkdir()
    (root / "inner" / "link.csv").symlink_to(root / "t.csv")
    put(root, "t.csv")
    assert len(files(str(root / "inner"))) == 1


def test_a_pipe_is_no_file(root: Path) -> None:
    os.mkfifo(root / "pipe.csv")
    with pytest.raises(ValueError, match="not a regular file"):
        inspect_table(str(root / "pipe.csv"))


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://example.org/t.csv", "download the file and give its path"),
        ("https://example.org/t.csv", "download the file and give its path"),
        ("ftp://example.org/t.csv", "download the file"),
        ("jdbc://x", "cannot be read; give a path"),
        ("table:a b; drop table c", "is not the name of a table"),
        ("table:", "is not the name of a table"),
        ("delta:/etc", "outside the folders"),
        ("s3://bucket/\0", "NUL byte"),
    ],
)
def test_uris_of_other_kinds_are_refused(root: Path, uri: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_uri(uri)
    with pytest.raises(ValueError, match=said):
        inspect_table(uri)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.fault("F58", "F62")
def test_a_pickle_is_known_by_its_content_and_by_its_name(root: Path, protocol: int) -> None:
    with pytest.raises(ValueError, match=r"pickle by its content: it can run code"):
        inspect_table(put(root, "t.csv", pickle.dumps({"a": [1]}, protocol)))


@pytest.mark.parametrize("name", ["t.pkl", "t.pickle", "t.pt", "t.pth", "t.joblib", "t.pkl.gz", "T.PKL", "t.npz"])
def test_files_that_may_hold_code_are_refused_by_name(root: Path, name: str) -> None:
    with pytest.raises(ValueError, match="can run code when it is opened"):
        inspect_table(put(root, name))
    with pytest.raises(ValueError, match="can run code when it is opened"):
        keep_upload(name, TABLE)


@pytest.mark.fault("F46")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"), (b"\x89HDF\r\n\x1a\n", "HDF5"), (b"SQLite format 3\0", "SQLite"), (b"%PDF-1.7", "PDF"), (b"ARROW1\0\0", "Arrow"),
        (b"\xef\xbb\xbf", "is empty"), (b"\n\n \n", "is empty"), (bytes(range(1, 32)) * 200, "neither text nor Parquet"),
        (b'[{"user": 1}]', "one JSON array"), (b"PAR1 but not really", "not a Parquet file"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_named(root: Path, content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        inspect_table(put(root, "t.csv", content))
    with pytest.raises(ValueError, match="|".join([said, "not Parquet", "Parquet by its content", "has a NUL", "no column"])):
        TableSource(path=str(root / "t.csv"), columns=COLUMNS).check()


@pytest.mark.fault("F46")
def test_a_header_without_rows_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="a header and no row"):
        TableSource(path=put(root, "t.csv", b"user,item\n\n"), columns=COLUMNS).check()


@pytest.mark.fault("F58")
def test_parquet_with_extension_types_is_refused(root: Path) -> None:
    class Code(pa.ExtensionType):
        def __init__(self) -> None:
            super().__init__(pa.binary(), "test.pickled")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

    column = pa.ExtensionArray.from_storage(Code(), pa.array([b"x"]))
    pq.write_table(pa.table({"user": ["a"], "item": ["b"], "code": column}), root / "t.parquet")
    for attempt in (
        lambda: inspect_table(str(root / "t.parquet")),
        TableSource(path=str(root / "t.parquet"), format="parquet", columns=COLUMNS).check,
    ):
        with pytest.raises(ValueError, match="'code' is of an extension type"):
            attempt()


def test_objects_in_parquet_are_refused_when_mapped_only(root: Path) -> None:
    pq.write_table(pa.table({"user": ["a"], "item": ["b"], "deep": [{"a": 1}]}), root / "t.parquet")
    source = TableSource(path=str(root / "t.parquet"), format="parquet", columns=COLUMNS)
    source.check()
    assert source.frame()["user_id"].tolist() == ["a"]
    with pytest.raises(ValueError, match=r"'deep' of t\.parquet is an object"):
        TableSource(path=str(root / "t.parquet"), format="parquet", columns=[*COLUMNS, {"name": "deep", "role": "category"}]).check()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"../t.csv": TABLE}, "leads outside"),
        ({"/t.csv": TABLE}, "leads outside"),
        ({"..\\t.csv": TABLE}, "leads outside"),
        ({"t.csv": b"0" * 30_000_000}, "would grow"),
        ({"a.csv": TABLE, "b.csv": TABLE}, "pack one table"),
        ({"inner.zip": b"PK\x03\x04" + b"x" * 50}, "itself compressed"),
        ({"t.csv.gz": b"\x1f\x8b\x08" + b"x" * 50}, "itself compressed"),
        ({"t.csv": pickle.dumps([1])}, "pickle by its content"),
        ({"archive/data.pkl": b"x", "archive/version": b"3"}, "a pickle or a model"),
        ({"xl/workbook.xml": b"<x/>"}, "Excel workbook"),
        ({f"{k}.txt": b"x" for k in range(1001)}, "holds 1,001 files"),
        ({"t.parquet": b"PAR1" + b"x" * 20}, "itself compressed"),
    ],
)
@pytest.mark.fault("F58")
def test_a_zip_that_is_not_one_plain_table_is_refused(root: Path, members: dict[str, bytes], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        inspect_table(zipped(root, members))
    assert not [path for path in settings().workspace.rglob("*") if path.is_file()]


@pytest.mark.fault("F58")
def test_a_link_in_a_zip_and_a_torn_zip_are_refused(root: Path) -> None:
    link = zipfile.ZipInfo("t.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(root / "t.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="is a link"):
        inspect_table(str(root / "t.zip"))
    content = Path(zipped(root, {"t.csv": os.urandom(5000)})).read_bytes()
    with pytest.raises(ValueError, match="not a zip file that can be read"):
        inspect_table(put(root, "torn.zip", content[:2000]))


def test_a_folder_of_unlike_files_is_refused(root: Path) -> None:
    put(root, "a.csv")
    put(root, "b.csv", b"user,product\na,b\n")
    put(root, "notes.md", b"# how this was made")
    with pytest.raises(ValueError, match=r"b\.csv has the columns user, product, unlike a\.csv"):
        TableSource(path=str(root), columns=COLUMNS).check()
    (root / "b.csv").unlink()
    TableSource(path=str(root), columns=COLUMNS).check()
    put(root, "c.csv", b"PAR1aaaa")
    with pytest.raises(ValueError, match=r"c\.csv is Parquet by its content"):
        TableSource(path=str(root), columns=COLUMNS).check()


def test_uploads_are_kept_by_content_under_a_name_of_ours(root: Path) -> None:
    kept = keep_upload("../../etc/Übel <x>.tar.CSV.gz", io.BytesIO(gzip.compress(TABLE)))
    assert kept.parent == settings().uploads
    assert kept.name.startswith("bel-x-")
    assert kept.name.endswith(".csv.gz")
    assert inspect_table(str(kept)).compression == "gzip"
    again = keep_upload("t.csv", TABLE)
    assert again == keep_upload("t.csv", memoryview(TABLE))
    assert keep_upload("t.sh", TABLE).suffix == ""
    assert keep_upload("\0", TABLE).name.startswith("upload-")
    with pytest.raises(ValueError, match=r"nothing\.csv is empty"):
        keep_upload("nothing.csv", b"")
    assert not list(settings().uploads.glob(".*")), "no half-written file stays"


@pytest.mark.fault("F57")
def test_an_upload_that_is_too_large_is_refused_with_the_way_by_path(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOAD", 3 << 20)
    with pytest.raises(
        ValueError, match="larger than 3 MB, too much for an upload; put it on the machine of the workbench and give its path"
    ):
        keep_upload("t.csv", io.BytesIO(b"a,b\n" * (1 << 20)))
    assert not list(settings().uploads.iterdir())


def test_nothing_of_a_name_reaches_a_shell(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("a process was started"))
    name = "$(touch x); t.csv"
    assert inspect_table(put(root, name)).columns[0].role == "user"


@pytest.mark.fault("F48")
def test_pandas_does_not_turn_text_into_missing_values(root: Path) -> None:
    source = TableSource(path=put(root, "t.csv", b"user,item\nNA,null\nnan,007\n"), columns=COLUMNS)
    assert source.frame()[["user_id", "item_id"]].to_numpy().tolist() == [["NA", "null"], ["nan", "007"]]
    assert not pd.isna(source.frame()["user_id"]).any()


def test_a_dataset_of_an_upload_is_named_as_the_file_was(workspace: Path) -> None:
    from engine.tables.paths import named
    from engine.tables.uploads import keep_upload

    kept = keep_upload("Orders 2026.csv", b"user,item\n1,2\n")
    assert named(str(kept)) == "orders-2026"
    assert named("/data/orders-0123456789ab.csv") == "orders-0123456789ab"
