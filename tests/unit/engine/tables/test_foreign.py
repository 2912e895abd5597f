"""What is no table is named, with the line that converts it."""

import gzip
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from engine.tables.inspect import inspect_table


@pytest.fixture(autouse=True)
def _own_workspace(workspace: Path) -> None:
    """Tables in the temporary folder may be read."""


@pytest.mark.parametrize(
    ("name", "content", "what", "convert"),
    [
        ("r.xlsx", b"PK\x03\x04", "spreadsheet", "read_excel('r.xlsx')"),
        ("r.h5", b"\x89HDF\r\n\x1a\n", "HDF5", "read_hdf"),
        ("r.csv", b"\x89HDF\r\n\x1a\n", "HDF5", "read_hdf"),
        ("r.mat", b"MATLAB 5.0 MAT-file", "MATLAB", "loadmat"),
        ("r.rds", gzip.compress(b"X\n\0\0", mtime=0), "file of R", "readRDS('r.rds'), 'r.csv'"),
        ("r.csv.gz", gzip.compress(b"RDX3\nX\n", mtime=0), "file of R", "readRDS"),
        ("r.sas7bdat", b"\0" * 16, "SAS", "read_sas"),
        ("r.dta", b"<stata_dta>", "Stata", "read_stata"),
        ("r.sav", b"$FL2", "SPSS", "read_spss"),
        ("r.db", b"SQLite format 3\0", "SQLite", "sqlite3 -header -csv 'r.db'"),
        ("r.duckdb", b"\0" * 8 + b"DUCK", "DuckDB", "COPY"),
        ("r.feather", b"ARROW1\0\0", "Arrow", "read_feather"),
        ("r.orc", b"ORC", "ORC", "read_orc"),
        ("r.avro", b"Obj\x01", "Avro", "fastavro"),
        ("r.tar.gz", gzip.compress(b"x", mtime=0), "archive", "tar -xf"),
        ("r.tfrecord", b"\x01", "TFRecord", "as_dataframe"),
        ("r.sql", b"CREATE TABLE x", "dump in SQL", "sqlite3"),
        ("r.txt", b"-- MySQL dump\n\nDROP TABLE IF EXISTS `x`;\n", "dump in SQL", "sqlite3"),
        ("r.mtx", b"%%MatrixMarket matrix coordinate real general\n3 3 1\n1 1 5\n", "Matrix Market", "mmread"),
        ("r.txt", b"% x\n@RELATION ratings\n@ATTRIBUTE user NUMERIC\n", "ARFF", "loadarff"),
        ("r.csv", b"<!DOCTYPE html><html>", "web page", "read_html"),
        ("r.csv", b"<?xml version='1.0'?><rows/>", "XML", "read_xml"),
        ("r.txt", b"1 3:0.5 7:1\n0 2:1 9:0.25\n", "LIBSVM", "load_svmlight_file"),
        ("r.txt", b"1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n885013,4,2005-10-19\n", "Netflix", "awk"),
        ("r.pkl", b"x", "can run code", "read_pickle('r.pkl')"),
        ("r.npz", b"x", "can run code", "load_npz"),
        ("r.npy", b"x", "can run code", "np.load"),
    ],
)
def test_what_is_no_table_is_named_with_its_conversion(tmp_path: Path, name: str, content: bytes, what: str, convert: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as said:
        inspect_table(str(tmp_path / name))
    assert what in str(said.value)
    assert convert in str(said.value)


def test_the_conversions_of_a_pickle_and_of_blocks_work(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": [1, 2], "item": [3, 4]})
    frame.to_pickle(tmp_path / "r.pkl")
    with pytest.raises(ValueError) as said:
        inspect_table(str(tmp_path / "r.pkl"))
    subprocess.run([sys.executable, "-c", str(said.value).partition("in Python: ")[2].removesuffix(".")], cwd=tmp_path, check=True)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "r.csv"), frame)
    (tmp_path / "b.txt").write_text("1:\n7,3,2005-09-06\n12:\n8,4,2005-10-19\n")
    with pytest.raises(ValueError) as said:
        inspect_table(str(tmp_path / "b.txt"))
    subprocess.run(["sh", "-c", str(said.value).partition("needed: ")[2].removesuffix(".")], cwd=tmp_path, check=True)
    assert (tmp_path / "b.csv").read_text() == "1,7,3,2005-09-06\n12,8,4,2005-10-19\n"


@pytest.mark.parametrize("text", ["set,item\n1,2\n", "user,item\n1,3:0.5 7:1\n", "1,2\n3,4\n", "a:\nb:\n"])
def test_tables_that_look_a_little_like_others_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert inspect_table(str(tmp_path / "t.csv")).columns
