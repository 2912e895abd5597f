"""Tables that only Spark can read: of its catalogue, Delta, and files of Hadoop. It reads objects of other stores by connectors.

Without a session in this process, `engine.tables.peek` starts one in another process.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.tables.foreign import refuse_content, refuse_name
from engine.tables.guess import TableGuess, Which, assemble, guess_text
from engine.tables.open import header_of, text_of
from engine.tables.paths import DELTA, HEAD_BYTES, TABLE, check_uri
from engine.tables.specs import TableFile, spark_schema, unique_names
from workers.prepare.tables import WIDE, ColumnsReader, Layout, LinesReader, Output, as_text, refused_type

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CHECK_ROWS = 1000
_AWS, _AZURE = "org.apache.hadoop:hadoop-aws:{hadoop}", "org.apache.hadoop:hadoop-azure:{hadoop}"
_GOOGLE = "Google's gcs-connector for Hadoop 3"
CONNECTORS = {"s3": _AWS, "s3a": _AWS, "abfs": _AZURE, "abfss": _AZURE, "gs": _GOOGLE}  # scheme -> what Spark needs to read it
LACKING = re.compile("No FileSystem for scheme|ClassNotFoundException")
BYTES_A_ROW = 40


class StoreFile(NamedTuple):
    """A file in a store, as its file system lists it."""

    uri: str
    size: int
    changed: int


def active() -> "SparkSession | None":
    """The session of this process, or None; does not import Spark."""
    import sys

    if "pyspark.sql" not in sys.modules:
        return None
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()


def facts(spark: "SparkSession", table: TableFile, outputs: Sequence[Output]) -> dict[str, Any]:
    """A cheap `digest` of the content, and the approximate number of `rows`."""
    if table.format in ("csv", "jsonl"):
        files = stored(spark, table.path)
    else:
        uris = typed(spark, table.path, table.format).inputFiles()
        files = [file for uri in uris for file in stored(spark, uri)]
    if files:
        text = "\n".join(f"{file.uri} {file.size} {file.changed}" for file in sorted(files))
        return {"digest": hashlib.sha256(text.encode()).hexdigest(), "rows": sum(file.size for file in files) // BYTES_A_ROW}
    return _sum_of_hashes(spark, table, outputs)


def _sum_of_hashes(spark: "SparkSession", table: TableFile, outputs: Sequence[Output]) -> dict[str, Any]:
    from pyspark.sql import functions as F

    rows = load(spark, table, outputs) if outputs else typed(spark, table.path, table.format)
    each = F.xxhash64(*(F.col(f"`{name}`") for name in rows.columns)).cast("decimal(20,0)")
    count, total = rows.select(each.alias("hash")).agg(F.count("*"), F.sum("hash")).first() or (0, 0)
    return {"digest": hashlib.sha256(f"{count} {total}".encode()).hexdigest(), "rows": int(count)}


def load(spark: "SparkSession", table: TableFile, outputs: Sequence[Output]) -> "DataFrame":
    """All rows, shaped by the executors."""
    if table.format in ("csv", "jsonl"):
        lines, layout = _lines(spark, table, outputs)
        return lines.mapInArrow(LinesReader(layout, tuple(outputs)), spark_schema(outputs))
    rows = typed(spark, table.path, table.format)
    wanted = list(dict.fromkeys(output.column for output in outputs))
    missing = [name for name in wanted if name not in rows.columns]
    if missing:
        raise ValueError(f"There is no column {missing[0]!r} in {table.path}; it has {', '.join(rows.columns)[:400]}.")
    chosen = rows.select(*(_quoted(name) for name in wanted))
    _refuse_types(chosen, table.path)
    return chosen.mapInArrow(ColumnsReader(tuple(outputs)), spark_schema(outputs))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _refuse_types(rows: "DataFrame", path: str) -> None:
    for name, why in unreadable(rows).items():
        raise ValueError(f"{name!r} of {path} is {why}, which cannot be read as plain values; set it to ignore.")


def unreadable(rows: "DataFrame") -> dict[str, str]:
    """Columns that cannot be mapped, and why."""
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import to_arrow_type

    reasons = {}
    for field in rows.schema.fields:
        try:
            why = refused_type(to_arrow_type(field.dataType, timezone="UTC"))
        except PySparkException:  # Spark has types that Arrow does not have
            why = f"of the type {field.dataType.simpleString()}"
        if why:
            reasons[field.name] = why
    return reasons


def typed(spark: "SparkSession", path: str, format: str) -> "DataFrame":
    """A typed table, as a lazy DataFrame.

    Raises:
        ValueError: it does not exist, or the session cannot read such tables; says what to do.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    check_uri(path)
    try:
        if format == "catalogue":
            return spark.read.table(".".join(_quoted(part) for part in path.removeprefix(TABLE).split(".")))
        if format == "delta":
            return spark.read.format("delta").load(path.removeprefix(DELTA))
        spark.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")  # pandas writes nanoseconds, which Spark refuses otherwise
        return spark.read.parquet(path)
    except (PySparkException, Py4JJavaError) as error:
        problem = str(getattr(error, "java_exception", error)).split("\n")[0][:300]
        if "delta" in format and "DATA_SOURCE_NOT_FOUND" in str(error):
            problem = "this Spark has no Delta: set spark.jars.packages to io.delta:delta-spark and its extensions in spark-defaults.conf"
        elif LACKING.search(problem):
            raise ValueError(unread(path, problem, _hadoop(spark))) from error
        raise ValueError(f"{path} cannot be read: {problem.rstrip('.')}.") from error


def stored(spark: "SparkSession", uri: str) -> list[StoreFile]:
    """The files below a URI by name; those that begin with "." or "_" are skipped.

    Raises:
        ValueError: there is no file, or the store cannot be reached.
    """
    from py4j.protocol import Py4JJavaError

    jvm, context = spark._jvm, spark.sparkContext._jsc  # type: ignore[union-attr]
    try:
        path = jvm.org.apache.hadoop.fs.Path(uri)  # type: ignore[union-attr]
        listing = path.getFileSystem(context.hadoopConfiguration()).listFiles(path, True)
        listed = []
        while listing.hasNext():
            status = listing.next()
            name = status.getPath().getName()
            if not name.startswith((".", "_")):
                listed.append(StoreFile(status.getPath().toString(), int(status.getLen()), int(status.getModificationTime())))
    except Py4JJavaError as error:
        problem = str(error.java_exception).split("\n")[0][:300]
        raise ValueError(unread(uri, problem, _hadoop(spark))) from error
    if not listed:
        raise ValueError(f"{uri} holds no file; check the address.")
    return sorted(listed)


def _hadoop(spark: "SparkSession") -> str:
    return str(spark._jvm.org.apache.hadoop.util.VersionInfo.getVersion())  # type: ignore[union-attr]


def unread(uri: str, problem: str, hadoop: str) -> str:
    """Why Spark cannot read a table in a store, in a sentence; a stock Spark has the connector of none.

    Args:
        problem: what Hadoop said. hadoop: its version in this Spark.
    """
    scheme, colon, _ = uri.removeprefix(DELTA).partition("://")
    if not colon and (named := re.search(r'scheme "?(\w+)', problem)):  # of a table of the catalogue
        scheme = named[1]
    if scheme not in CONNECTORS or not LACKING.search(problem):
        return f"{uri} cannot be read by Spark ({problem}); check the address, the credentials and the connector in Spark."
    package = CONNECTORS[scheme].format(hadoop=hadoop)
    write = f" and give {uri.replace('s3://', 's3a://')}" if "s3://" in uri else ""
    return (
        f"{uri} cannot be read: this Spark has no connector for {scheme}://. Set spark.jars.packages to {package} in its "
        f"spark-defaults.conf{write}; or give the files as CSV, JSON lines or Parquet, which need no connector."
    )


def _start(spark: "SparkSession", file: StoreFile, size: int = HEAD_BYTES) -> bytes:
    """The first bytes of a file in a store, as they are. ValueError: it is empty, compressed or not allowed."""
    refuse_name(file.uri.rpartition("/")[2])
    path = spark._jvm.org.apache.hadoop.fs.Path(file.uri)  # type: ignore[union-attr]
    stream = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).open(path)  # type: ignore[union-attr]
    try:
        start = bytes(stream.readNBytes(size))
    finally:
        stream.close()
    refuse_content(file.uri, start[:16])
    if not start:
        raise ValueError(f"{file.uri} is empty; save it again.")
    if start.startswith((b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"PK\x03\x04")):
        raise ValueError(f"{file.uri} is compressed; download it and give its path, or store it as Parquet.")
    return start


def _lines(spark: "SparkSession", table: TableFile, outputs: Sequence[Output]) -> "tuple[DataFrame, Layout]":
    """The lines of text files in a store, as binary `value`s, and the layout of their rows."""
    if table.encoding in WIDE or table.quoting == "lines":
        raise ValueError(f"{table.path} is UTF-16 or has line breaks in its values; download it and give its path, or store it as Parquet.")
    files, names, headers = stored(spark, table.path), tuple(output.column for output in outputs), []
    layout = table.layout
    if table.format == "jsonl":
        layout = Layout("jsonl", tuple(dict.fromkeys(names)), table.encoding)
    else:
        for file in files if table.header else files[:1]:
            fields, line = header_of(file.uri, text_of(_start(spark, file), table.encoding), layout)
            columns = unique_names(fields) if table.header else tuple(f"column_{k}" for k in range(1, len(fields) + 1))
            if layout.names and columns != layout.names:
                raise ValueError(
                    f"{file.uri} has the columns {', '.join(columns)[:200]}, unlike the first file; give files with the same columns."
                )
            layout = layout._replace(names=columns)
            headers.append(line)
        missing = [name for name in names if name not in layout.names]
        if missing:
            raise ValueError(f"There is no column {missing[0]!r} in {table.path}; it has {', '.join(layout.names)[:400]}.")
    lines = spark.read.text([file.uri for file in files]).selectExpr("CAST(value AS BINARY) AS value")
    return lines, layout._replace(headers=tuple(dict.fromkeys(headers)) if table.header else ())


def guess(spark: "SparkSession", path: str, table: Which, given: Mapping[str, Any]) -> TableGuess:
    """`inspect_table` for a table that only Spark can read."""
    check_uri(path)
    format = "catalogue" if path.startswith(TABLE) else "delta" if path.startswith(DELTA) else None
    if format is None:
        files = stored(spark, path)
        start = _start(spark, files[0])
        known = {"path": path, "files": len(files), "bytes": sum(file.size for file in files)}
        if not start.startswith(b"PAR1"):
            return guess_text(known, table, files[0].uri.rpartition("/")[2], start, given)
        format = "parquet"
    rows = typed(spark, path, format)
    refused = unreadable(rows)
    readable = [name for name in rows.columns if name not in refused]
    head = rows.select(*(_quoted(name) for name in readable)).limit(CHECK_ROWS).toArrow()
    columns = {name: as_text(head[name].combine_chunks()).to_pylist() for name in readable}
    cells = [list(row) for row in zip(*(columns.get(name, [None] * head.num_rows) for name in rows.columns), strict=True)]
    notes = [f"{name!r} is {why} and cannot be read as plain values." for name, why in refused.items()]
    return assemble({"path": path, "format": format}, table, rows.columns, rows.columns, cells, notes=notes)
