"""Write the tables of a preparation as Parquet files under the names by which they are read."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COMPRESSION = {"compression": "zstd", "parquet.block.size": str(8 << 20)}  # small row groups, so that reading one user is quick


def write_folder(table: "DataFrame", folder: Path) -> None:
    """A folder of files, one per partition, in the table's order."""
    table.write.options(**COMPRESSION).parquet(str(folder))
    _tidy(folder)


def write_one(table: "DataFrame", target: Path, scratch: Path) -> None:
    """One file where the table has one partition, else a folder of that name."""
    folder = scratch / f"{target.parent.name}-{target.name}"
    write_folder(table, folder)
    _place(folder, target)


def write_parts(table: "DataFrame", column: str, target: Path, scratch: Path) -> None:
    """One file <value>.parquet in the folder `target` for each value of a column, in the table's order."""
    folder = scratch / target.name
    table.write.options(**COMPRESSION).partitionBy(column).parquet(str(folder))
    _tidy(folder)
    target.mkdir(exist_ok=True)
    for part in folder.glob(f"{column}=*"):
        _place(part, target / f"{part.name.removeprefix(column + '=')}.parquet")


def _place(folder: Path, target: Path) -> None:
    files = sorted(folder.glob("*.parquet"))
    target.parent.mkdir(parents=True, exist_ok=True)
    (files[0] if len(files) == 1 else folder).rename(target)


def _tidy(folder: Path) -> None:
    """Remove Spark's marker and checksum files."""
    for path in folder.rglob("*"):
        if path.is_file() and (path.name == "_SUCCESS" or path.suffix == ".crc"):
            path.unlink()
