"""Tables that only Spark can read, from a process without a session as well: another process answers then."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from engine.tables.paths import check_uri
from engine.tables.specs import TableFile
from workers.prepare.tables import Output

if TYPE_CHECKING:
    import pandas as pd
from engine.tables.stored import CHECK_ROWS, active, facts, load

PEEK_ROWS = 20000


def check(table: TableFile, outputs: Sequence[Output]) -> None:
    """ValueError when the table does not exist or its first rows cannot be read as mapped."""
    check_uri(table.path)
    rows = frame(table, outputs, CHECK_ROWS)
    if rows.empty:
        raise ValueError(f"{table.path} holds no row.")
    if rows["problem"].notna().all():
        raise ValueError(f"No row in the head of {table.path} can be read; the first has {rows['problem'].iloc[0]}.")


def frame(table: TableFile, outputs: Sequence[Output], limit: int) -> "pd.DataFrame":
    """The first rows, 20,000 at most where another process has to fetch them."""
    if spark := active():
        return load(spark, table, outputs).limit(limit).toPandas()
    from engine.tables import peek

    return peek.rows(table, outputs, PEEK_ROWS).head(limit)


def digest(table: TableFile, outputs: Sequence[Output]) -> str:
    """Digest of the names, sizes and times of change of the files; for a table without files, of the hashes of its rows."""
    if spark := active():
        return facts(spark, table, outputs)["digest"]
    from engine.tables import peek

    return cast(str, peek.facts(table, outputs)["digest"])


def size_hint(table: TableFile) -> int:
    if spark := active():
        return int(facts(spark, table, ())["rows"])
    from engine.tables import peek

    return int(peek.facts(table, ())["rows"])
