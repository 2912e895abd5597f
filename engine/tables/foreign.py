"""Files that are no tables of text or Parquet: each is named, with the line that converts it. Nothing of them is opened."""

import re
from pathlib import PurePosixPath
from typing import NamedTuple, NoReturn

UNSAFE = {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill", ".npy", ".npz"}
NEVER = "it can run code when it is opened, so it is never read; save the table as CSV or Parquet"
PACKED = {".gz", ".bz2", ".zst", ".xz", ".zip"}


class Foreign(NamedTuple):
    """A kind of file: what it is called, and how to convert it; {file} is its name, {out} the name without its endings."""

    what: str
    convert: str


def _pandas(read: str, more: str = "") -> str:
    return f"in Python: import pandas as pd; pd.{read}{more}.to_csv('{{out}}.csv', index=False)"


SHEET = Foreign("a spreadsheet or an Excel workbook", "save the sheet as CSV (UTF-8), or " + _pandas("read_excel('{file}')"))
HDF = Foreign("an HDF5 file", _pandas("read_hdf('{file}')") + " (read_hdf is for tables of pandas; use h5py for others)")
MATLAB = Foreign(
    "a MATLAB file",
    "in Python: from scipy.io import loadmat; import pandas as pd; m = loadmat('{file}'); print(m.keys()); "
    "pd.DataFrame(m['NAME']).to_csv('{out}.csv', index=False)",
)
SQLITE = Foreign("an SQLite database", "sqlite3 -header -csv '{file}' 'SELECT * FROM TABLE' > '{out}.csv' (.tables lists its tables)")
DUCKDB = Foreign("a DuckDB database", "duckdb '{file}' -c \"COPY TABLE TO '{out}.parquet'\"")
ARROW = Foreign("an Arrow or Feather file", _pandas("read_feather('{file}')"))
ORC = Foreign("an ORC file", _pandas("read_orc('{file}')"))
AVRO = Foreign("an Avro file", "in Python: import fastavro, pandas as pd; "
               "pd.DataFrame(fastavro.reader(open('{file}', 'rb'))).to_csv('{out}.csv', index=False)")  # fmt: skip
R = Foreign("a file of R", "in R: write.csv(readRDS('{file}'), '{out}.csv', row.names = FALSE) (load('{file}') for .RData)")
SAS, STATA = Foreign("a SAS file", _pandas("read_sas('{file}')")), Foreign("a Stata file", _pandas("read_stata('{file}')"))
SPSS = Foreign("an SPSS file", _pandas("read_spss('{file}')"))
ARCHIVE = Foreign("an archive", "unpack it (tar -xf '{file}', 7z x '{file}' or unrar x '{file}') and give the path of the table")
RECORDS = Foreign(
    "a TFRecord file", "read it with TensorFlow Datasets and save it: tfds.as_dataframe(dataset).to_csv('{out}.csv', index=False)"
)
BSON = Foreign("a BSON or MessagePack file", "bsondump '{file}' > '{out}.jsonl' (MessagePack: msgpack in Python)")
ACCESS = Foreign("a database of Access or dBASE", "mdb-export '{file}' TABLE > '{out}.csv'")
XML = Foreign("XML", _pandas("read_xml('{file}')"))
PAGE = Foreign("a web page", _pandas("read_html('{file}')", "[0]") + "; was a login page saved instead of the file?")
SQL = Foreign("a dump in SQL", "load it into a database (sqlite3 new.db < '{file}') and export the table as CSV")
MATRIX = Foreign(
    "a Matrix Market file",
    "in Python: from scipy.io import mmread; import pandas as pd; m = mmread('{file}').tocoo(); "
    "pd.DataFrame({{'user': m.row, 'item': m.col, 'rating': m.data}}).to_csv('{out}.csv', index=False)",
)
ARFF = Foreign("an ARFF file of Weka", _pandas("DataFrame(__import__('scipy.io.arff').io.arff.loadarff('{file}')[0])"))
SVM = Foreign("text in the LIBSVM form (label index:value …)", "in Python: from sklearn.datasets import load_svmlight_file; "
              "import pandas as pd; x, y = load_svmlight_file('{file}'); "
              "pd.DataFrame(x.toarray()).assign(label=y).to_csv('{out}.csv', index=False)")  # fmt: skip
BLOCKS = Foreign(
    "text in blocks, as of the Netflix Prize: a line with an item, such as 1:, above the lines of its users",
    "one row each is needed: awk '/:$/ {{item = substr($0, 1, length($0) - 1); next}} {{print item \",\" $0}}' '{file}' > '{out}.csv'",
)
PDF, PICTURE, PROGRAM = (
    Foreign(what, "give the table itself, as CSV, JSON lines or Parquet") for what in ("a PDF", "a picture", "a program")
)
OFFICE = Foreign("an old Excel or Word file", SHEET.convert)
EMPTY_ZIP = Foreign("an empty zip file", "pack the table again")

BY_NAME: dict[Foreign, str] = {
    SHEET: ".xlsx .xls .xlsm .xlsb .ods .numbers", HDF: ".h5 .hdf5 .hdf .he5", MATLAB: ".mat",
    SQLITE: ".sqlite .sqlite3", DUCKDB: ".duckdb",
    ARROW: ".feather .arrow .ipc", ORC: ".orc", AVRO: ".avro", R: ".rds .rda .rdata", SAS: ".sas7bdat .xpt", STATA: ".dta",
    SPSS: ".sav .zsav .por", ARCHIVE: ".tar .tgz .tbz2 .txz .7z .rar", RECORDS: ".tfrecord .tfrecords", BSON: ".bson .msgpack",
    ACCESS: ".mdb .accdb .dbf", SQL: ".sql", MATRIX: ".mtx", ARFF: ".arff", PDF: ".pdf",
}  # fmt: skip
ENDINGS = {ending: kind for kind, endings in BY_NAME.items() for ending in endings.split()}
BY_CONTENT: tuple[tuple[bytes, Foreign], ...] = (
    (b"\x89HDF", HDF), (b"SQLite format 3", SQLITE), (b"Obj\x01", AVRO), (b"ORC", ORC), (b"ARROW1", ARROW), (b"FEA1", ARROW),
    (b"MATLAB 5.0", MATLAB), (b"<stata_dta>", STATA), (b"$FL2", SPSS), (b"$FL3", SPSS), (b"RDX2\n", R), (b"RDX3\n", R), (b"X\n\0\0", R),
    (b"%PDF", PDF), (b"\x89PNG", PICTURE), (b"\xff\xd8\xff", PICTURE), (b"\x7fELF", PROGRAM), (b"\xd0\xcf\x11\xe0", OFFICE),
    (b"PK\x05\x06", EMPTY_ZIP), (b"7z\xbc\xaf", ARCHIVE), (b"Rar!", ARCHIVE), (b"%%MatrixMarket", MATRIX), (b"<?xml", XML),
)  # fmt: skip
BY_TEXT: tuple[tuple[re.Pattern[str], Foreign], ...] = (
    (re.compile(r"\s*<(!doctype html|html)\b", re.I), PAGE),
    (re.compile(r"\s*(%[^\n]*\n\s*)*@relation\b", re.I), ARFF),
    (re.compile(r"((--|/\*)[^\n]*\n|\s)*(create table|drop table|insert into|begin transaction|lock tables|set \w+)\b", re.I), SQL),
    (re.compile(r"(?:[+-]?\d+(?:\.\d+)?(?: +(?:qid:)?\d+:[+-]?[\d.eE+-]+)+ *\r?\n){2}"), SVM),
    (re.compile(r"\d+:\r?\n(?:[^:\n]+,[^:\n]+\n)+"), BLOCKS),
)


def refuse_name(name: str) -> None:
    """ValueError for a name of a file that is never opened, or that is no table; says how to convert it."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    if bad := [suffix for suffix in suffixes if suffix in UNSAFE]:
        raise ValueError(f"{name} is a {bad[0]} file: {NEVER}. {_trusted(name, bad[0])}")
    last = [suffix for suffix in suffixes if suffix not in PACKED][-1:]
    if last and last[0] in ENDINGS:
        refuse(name, ENDINGS[last[0]])


def refuse_content(name: str, start: bytes) -> None:
    """ValueError for a file that its first bytes say is no table; says how to convert it."""
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and len(start) > 1:
        raise ValueError(f"{name} is a Python pickle by its content: {NEVER}. {_trusted(name, '.pkl')}")
    kind = next((kind for magic, kind in BY_CONTENT if start.startswith(magic)), DUCKDB if start[8:12] == b"DUCK" else None)
    if start.startswith(b"\x93NUMPY"):
        raise ValueError(f"{name} is a NumPy file: {NEVER}. {_trusted(name, '.npy')}")
    if kind:
        refuse(name, kind)


def refuse_text(name: str, text: str) -> None:
    """ValueError for text that is no table of lines; says how to convert it."""
    kind = next((kind for pattern, kind in BY_TEXT if pattern.match(text[:20_000])), None)
    if kind or text[257:262] == "ustar":
        refuse(name, kind or ARCHIVE)


def refuse(name: str, kind: Foreign) -> NoReturn:
    """ValueError that names the kind of a file and the line that converts it."""
    raise ValueError(f"{name} is {kind.what}, which is not read here. To convert it: {_filled(kind.convert, name)}.")


def _trusted(name: str, ending: str) -> str:
    """How to convert a file that may run code, for those who trust it."""
    load = {
        ".npz": "from scipy.sparse import load_npz; m = load_npz('{file}').tocoo(); "
        "t = pd.DataFrame({{'user': m.row, 'item': m.col, 'rating': m.data}})",
        ".npy": "import numpy as np; t = pd.DataFrame(np.load('{file}'))",
    }.get(ending, "t = pd.DataFrame(pd.read_pickle('{file}'))")
    return _filled("If you trust who made it, in Python: import pandas as pd; " + load + "; t.to_csv('{out}.csv', index=False).", name)


def _filled(convert: str, name: str) -> str:
    file = PurePosixPath(name).name.replace("'", "_")
    out = PurePosixPath(file)
    while out.suffix.lower() in PACKED | {".tar"}:
        out = out.with_suffix("")
    return convert.format(file=file, out=out.stem)
