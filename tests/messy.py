"""Tables written to hurt, each with the rows that a reader must give: shared by the tests with and without Spark."""

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

LONG = "x" * 10_000
NASTY: list[tuple[str, ...]] = [
    ("007", "NA", "5", "plain"),
    ("null", "1e5", "4", "=cmd()"),
    ("9223372036854775807", "0000123", "-1", "<script>alert(1)</script>"),
    (" padded ", "", "3", "emoji 🎬 and RTL שלום"),
    ("", "None", "nan", LONG),
    ("-5", "1.0", "inf", "it's"),
]
HEADER = ("user_id", "item_id", "rating", "title")
ROLES = ("user", "item", "label", "title")
OUT = ["user_id", "item_id", "title", "rating"]


class Messy(NamedTuple):
    """fields: of a TableSource. rows: user, item, title, rating as text, or what is wrong with the row."""

    fields: dict[str, Any]
    rows: list[tuple[str | None, ...] | str]


def mapping(names: tuple[str, ...] = HEADER, roles: tuple[str, ...] = ROLES) -> list[dict[str, str]]:
    return [{"name": name, "role": role} for name, role in zip(names, roles, strict=True)]


def expected(rows: Sequence[tuple[str, ...]] = NASTY) -> list[tuple[str | None, ...] | str]:
    return [(user, item, title, rating) for user, item, rating, title in rows]


def delimited(rows: Sequence[tuple[str, ...]], mark: str = ",", end: str = "\n", header: tuple[str, ...] | None = HEADER) -> str:
    return "".join(mark.join(row) + end for row in [*([header] if header else []), *rows])


def put(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def cases(folder: Path) -> dict[str, Messy]:
    text, good = delimited(NASTY), expected()
    utf8 = text.encode()

    def plain(name: str, content: bytes, rows: Any = good, **fields: Any) -> Messy:
        return Messy({"path": put(folder / name, content), "columns": mapping(), **fields}, rows)

    return {
        "utf-8": plain("plain.csv", utf8),
        "a byte order mark": plain("bom.csv", b"\xef\xbb\xbf" + utf8, encoding="utf-8-sig"),
        "no line end at the end": plain("torn.csv", utf8.rstrip(b"\n")),
        "utf-16": plain("utf16.csv", text.encode("utf-16"), encoding="utf-16"),
        "utf-16 without a mark": plain("utf16le.csv", text.encode("utf-16-le"), encoding="utf-16-le"),
        "tabs": plain("table.tsv", delimited(NASTY, "\t").encode(), delimiter="\t"),
        "two colons": plain("table.dat", delimited(NASTY, "::").encode(), delimiter="::"),
        "windows line ends": plain("crlf.csv", delimited(NASTY, end="\r\n").encode()),
        "old mac line ends": plain("cr.csv", delimited(NASTY, end="\r").encode()),
        "gzip": plain("table.csv.gz", gzip.compress(utf8)),
        "gzip called csv": plain("packed.csv", gzip.compress(utf8)),
        "bz2": plain("table.csv.bz2", bz2.compress(utf8)),
        "xz": plain("table.csv.xz", lzma.compress(utf8)),
        "zstd": plain("table.csv.zst", _zstd(utf8)),
        "zip": Messy({"path": _zip(folder / "table.zip", {"table.csv": utf8, "README.md": b"hello"}), "columns": mapping()}, good),
        "no header": plain(
            "bare.csv",
            delimited(NASTY, header=None).encode(),
            header=False,
            columns=mapping(("column_1", "column_2", "column_3", "column_4")),
        ),
        **_broken(folder, plain),
        **_headers(folder),
        **_typed(folder),
    }


def _zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def _zip(path: Path, members: dict[str, bytes]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)


def _broken(folder: Path, plain: Any) -> dict[str, Messy]:
    """Rows that cannot be read stand between rows that can."""
    latin = "user_id,item_id,rating,title\nJosé,i1,5,Café\n".encode("latin-1")
    start = "user_id,item_id,rating,title\n"
    good = ("u1", "i1", "a", "5")
    line = "u1,i1,5,a\n"
    quotes = '"u,1","say ""hi""",5,"a, b"\nu1,i1,5,The "5" movie\n' + line + '"u2,i1,5,a\n"u2"x,i1,5,a\n' + line
    breaks = 'u1,i1,5,"two\nlines"\nu1,i1,5,"three\r\n\r\nlines"\n"stray,i1,5,a\n' + line + "u1,i1\n" + line
    return {
        "latin-1": plain("latin.csv", latin, [("José", "i1", "Café", "5")], encoding="latin-1"),
        "latin-1 taken as utf-8": plain(
            "wrong.csv", latin + line.encode(), ["bytes that are not UTF-8 text", good]
        ),
        "mixed line ends and blank lines": plain(
            "mixed.csv", (start + "u1,i1,5,a\r\n\r\n  \nu1,i1,5,a\ru1,i1,5,a\n\n\n").encode(), [good, good, good]
        ),
        "a NUL byte": plain("nul.csv", (start + "u1,i1,5,a\x00\n" + line).encode(), ["a NUL byte", good]),
        "short and long rows": plain(
            "uneven.csv", (start + "u1,i1,5\n" + line + "u1,i1,5,a,b\nu1\n" + line).encode(),
            ["3 fields instead of 4", good, "5 fields instead of 4", "1 field instead of 4", good],
        ),
        "quotes": plain(
            "quotes.csv", (start + quotes).encode(),
            [
                ("u,1", 'say "hi"', "a, b", "5"), ("u1", "i1", 'The "5" movie', "5"), good,
                "a quote that is opened and not closed", "text after a closing quote", good,
            ],
        ),
        "quotes as characters": plain(
            "inches.csv", (start + 'u1,i1,5,"half open\n' + line).encode(), [("u1", "i1", '"half open', "5"), good], quoting="none"
        ),
        "line breaks in quotes": plain(
            "breaks.csv", (start + breaks).encode(),
            [
                ("u1", "i1", "two\nlines", "5"), ("u1", "i1", "three\r\n\r\nlines", "5"),
                "a quote that is opened and not closed", good, "2 fields instead of 4", good,
            ],
            quoting="lines",
        ),
        "line breaks in quotes, utf-16": plain(
            "breaks16.csv", (start + breaks).encode("utf-16"),
            [
                ("u1", "i1", "two\nlines", "5"), ("u1", "i1", "three\r\n\r\nlines", "5"),
                "a quote that is opened and not closed", good, "2 fields instead of 4", good,
            ],
            quoting="lines", encoding="utf-16",
        ),
        "runs of blanks": plain(
            "blanks.txt", b'user_id item_id  rating title\n  u1 i1   5 "a  b"\nu1\ti1 \t5 a  \n\t\nu2 i2 4\nu1 i1 5 a\n',
            [("u1", "i1", "a  b", "5"), good, "3 fields instead of 4", good], delimiter=" ",
        ),
        "backslashes": plain(
            "escaped.csv", (start + 'u1,i1,5,"say \\"hi\\", a"\n' + line + "u\\,2,\\N,4,C:\\\\x\n" + 'u1,i1,5,"\\"\n' + line).encode(),
            [("u1", "i1", 'say "hi", a', "5"), good, ("u,2", None, "C:\\x", "4"), "a quote that is opened and not closed", good],
            escape="backslash",
        ),
        "backslashes and line breaks": plain(
            "escaped-breaks.csv", (start + 'u1,i1,5,"two\n\\"lines\\""\n' + line).encode(),
            [("u1", "i1", 'two\n"lines"', "5"), good], quoting="lines", escape="backslash",
        ),
        "commas in numbers and values that mean missing": plain(
            "comma.csv", start.replace(",", ";").encode() + b"u1;i1;1.234,5;a\n-;i1;3,5;b\nu1;0;4;-\nu1;i2;0,125; ? \n",
            [("u1", "i1", "a", "1234.5"), (None, "i1", "b", "3.5"), ("u1", None, None, "4"), ("u1", "i2", None, "0.125")],
            delimiter=";", columns=[
                {"name": "user_id", "role": "user", "missing": ["-"]}, {"name": "item_id", "role": "item", "missing": ["0"]},
                {"name": "rating", "role": "label", "numbers": "decimal_comma"}, {"name": "title", "role": "title", "missing": ["-", "?"]},
            ],
        ),
        "lists in cells": plain(
            "lists.csv", (start + 'u1,i1-5 i2-4,x,a\nu2,,x,b\nbad\nu3,[i1-3  i7-2],x,c\n').encode(),
            [("u1", "i1", "a", "5"), ("u1", "i2", "a", "4"), ("u2", None, "b", None), "1 field instead of 4",
             ("u3", "i1", "c", "3"), ("u3", "i7", "c", "2")],
            columns=[
                {"name": "user_id", "role": "user"}, {"name": "item_id", "role": "item", "listed": "pairs", "separator": " "},
                {"name": "title", "role": "title"},
            ],
        ),
        "a header that repeats": plain("again.csv", (start + line + start + line).encode(), [good, good]),
    }  # fmt: skip


def _headers(folder: Path) -> dict[str, Messy]:
    spaced = b" User ID , Rating,Rating,,Item\nu1,1,5,x,i1\nu2,2,4,y,i2\n"
    roles = mapping(("User ID", "Rating_2", "column_4", "Item"), ("user", "label", "title", "item"))
    rows: list[tuple[str | None, ...] | str] = [("u1", "i1", "x", "5"), ("u2", "i2", "y", "4")]
    parts = folder / "parts"
    for k, (user, item, rating, title) in enumerate(NASTY):
        put(parts / f"part-{k}.csv", delimited([(user, item, rating, title)], end="\r\n" if k % 2 else "\n").encode())
    put(parts / "_SUCCESS", b"")
    return {
        "headers with spaces, doubles and blanks": Messy({"path": put(folder / "spaced.csv", spaced), "columns": roles}, rows),
        "a folder": Messy({"path": str(parts), "columns": mapping()}, expected()),
    }


def _typed(folder: Path) -> dict[str, Messy]:
    objects = [dict(zip(HEADER, row, strict=True)) for row in NASTY]
    lines = "\n".join(json.dumps(row, ensure_ascii=k % 2 == 0) for k, row in enumerate(objects))
    odd = (
        '{"user_id": 12345678901234567890, "item_id": 1.50, "rating": true, "title": ["a", "b"]}\n'
        '[1]\n{"user_id": {"a": 1}}\n\n{"item_id": null}\nx'
    )
    table = pa.table(
        {
            "user_id": pa.array([2**62, 7, None, 1], pa.int64()),
            "item_id": pa.array([1.0, 2.5, None, 1e18], pa.float64()),
            "rating": pa.array([0.1, 5, float("nan"), float("inf")], pa.float32()),
            "title": pa.array([["a", "b"], [], None, ["c"]], pa.list_(pa.string())),
        }
    )
    pq.write_table(table, folder / "typed.parquet", row_group_size=2)
    parquet = [
        ("4611686018427387904", "1", "a|b", "0.1"), ("7", "2.5", None, "5"), (None, None, None, None), ("1", "1e+18", "c", "inf"),
    ]  # fmt: skip
    strange: list[tuple[str | None, ...] | str] = [
        ("12345678901234567890", "1.50", "a|b", "true"), "no JSON object", "an object inside the object where a plain value belongs",
        (None, None, None, None), "no JSON object",
    ]  # fmt: skip
    return {
        "json lines": Messy({"path": put(folder / "t.jsonl", lines.encode()), "columns": mapping(), "format": "jsonl"}, expected()),
        "strange json": Messy({"path": put(folder / "odd.jsonl", odd.encode()), "columns": mapping(), "format": "jsonl"}, strange),
        "parquet": Messy({"path": str(folder / "typed.parquet"), "columns": mapping(), "format": "parquet"}, list(parquet)),
    }
