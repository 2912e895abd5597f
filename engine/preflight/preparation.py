"""The pre-flight of a preparation: rows and disk, as far as the source tells without Spark."""

from engine.datasets import DatasetSpec
from engine.preflight.judgement import Item, Preflight, size
from engine.preflight.machine import Machine, machine

# Measured: MovieLens 100K with histories of 200 gives 39 to 43 MB, 4M synthetic rows of 39 features with histories of 20 give 1.4 GB
BYTES_A_ROW = 430
SCRATCH = 2  # shuffles and intermediate results take about as much again
SPARE_BYTES = 500_000_000  # that stays free
LEAST_ROWS = 10  # fewer leave nothing to hold out
FEW = 1000  # rows from which on a source is not counted


def preparation(spec: DatasetSpec, on: Machine | None = None) -> Preflight:
    """Judge a preparation. Errors of the source's check are raised as they are."""
    rows = spec.source.size_hint()
    counted = _count(spec) if rows < FEW else None
    return Preflight(title=f"Prepare {spec.name}", items=(_rows(counted, rows), _disk(rows, on or machine())))


def refuse_small(spec: DatasetSpec) -> None:
    """Raise ValueError where what is to be prepared is too small to learn from, or too large for the disk."""
    if why := preparation(spec).why_blocked:
        raise ValueError(why)


def _count(spec: DatasetSpec) -> int | None:
    """Rows of a small source; None where only Spark can read it."""
    try:
        return len(spec.source.frame(LEAST_ROWS))
    except (ImportError, NotImplementedError, ValueError, OSError):
        return None


def _rows(counted: int | None, hint: int) -> Item:
    if counted is None or counted >= LEAST_ROWS:
        return Item(name="Rows", value=f"about {max(hint, counted or 0):,}")
    return Item(
        name="Rows",
        value=f"{counted:,} {'row' if counted == 1 else 'rows'}",
        level="blocked",
        advice=f"There is nothing to learn and nothing to hold out; give a source of {LEAST_ROWS} rows or more.",
    )


def _disk(rows: int, on: Machine) -> Item:
    need = rows * BYTES_A_ROW * SCRATCH
    value = f"about {size(need)} to write, {size(on.free_disk_bytes)} free"
    if need > on.free_disk_bytes:
        advice = f"Free {size(need - on.free_disk_bytes)}, or put RECBENCH_WORKSPACE on another disk."
        return Item(name="Disk", value=value, level="blocked", advice=advice)
    if need + SPARE_BYTES > on.free_disk_bytes:
        return Item(name="Disk", value=value, level="warning", advice=f"It may just fit; {size(SPARE_BYTES)} should stay free.")
    return Item(name="Disk", value=value)
