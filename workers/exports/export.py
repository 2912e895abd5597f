"""python -m workers.exports.export RUN_DIR DATASET_DIR ATTEMPT: writes the top k of a finished run for many users, in one process.

Users come some at a time, are scored together, and their lists are written before the next ones come. The folder appears by one rename,
its manifest last in it, so that what is there is whole. Letters: U users, N items, K list length.
"""

import json
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from workers.artifacts import DONE, MANIFEST, SPEC, write_json
from workers.evaluation import CHUNK, best_places, tie_order
from workers.exports import people as list_people
from workers.exports.files import COLUMNS, CSV_SAYS, SCHEMA, Writer
from workers.exports.people import People
from workers.exports.spec import ASKED, TOP_CSV, TOP_PARQUET, ListExportSpec, staging
from workers.run import Journal, log_and_report_errors, peak_memory
from workers.serving import Met, OpenedModel, open_run
from workers.specs import TIE_SEED, FeatureSchema, Task

log = logging.getLogger("workers.exports.export")
CELLS = 8_000_000  # scores of one grid at most, of CHUNK users: bounds memory on large catalogues


def main(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Export lists; leaves their folder, and last of all done.json.

    Args:
        run_dir: the export's folder, with spec.json in it, beside the folder of the run whose lists are asked for.
        dataset_dir: the prepared dataset.
        attempt: goes into done.json.

    Raises:
        Whatever went wrong, after leaving it in `lists.error.json`.
    """
    run = Path(run_dir)
    with log_and_report_errors(run, "lists"):
        found = export(run, Path(dataset_dir), ListExportSpec.read(run / SPEC), Journal(run))
        write_json(run / DONE, {"attempt": attempt} | found)


def export(run: Path, dataset: Path, spec: ListExportSpec, journal: Journal) -> dict[str, Any]:
    """Write the folder of lists, whole or not at all; returns folder, users, rows, without_items, seconds, peak_memory_bytes.

    Raises:
        ValueError: no such checkpoint, or the folder cannot be written to.
    """
    journal.progress("opening the model", 0, 1, force=True)
    manifest = json.loads((dataset / MANIFEST).read_text())
    schema = FeatureSchema.model_validate(manifest["schema"])
    opened = open_run(run.parent / spec.run, dataset, schema, Task.of(manifest.get("label", {})))
    target = spec.target(run.parent, run.name)
    partial = staging(target, run.name)
    started = time.monotonic()
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        told = write_lists(opened, dataset, schema, spec, run, partial, journal)
        write_json(partial / MANIFEST, _manifest(spec, run.name, told, partial))
        partial.rename(target)
    except OSError as error:
        raise ValueError(
            f"Lists cannot be written to {target}: {error.strerror or error}. Free some space or choose another folder."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    seconds = time.monotonic() - started
    log.info("%d users, %d rows in %.1f s", told["users"], told["rows"], seconds)
    return {"folder": str(target), **told, "seconds": seconds, "peak_memory_bytes": peak_memory()}


def write_lists(
    opened: OpenedModel, dataset: Path, schema: FeatureSchema, spec: ListExportSpec, run: Path, folder: Path, journal: Journal
) -> dict[str, int]:
    """Both files; returns users, rows, and how many users have no row since they met everything."""
    journal.progress("reading what users met", 0, 1, force=True)
    wanted = list_people.chosen(dataset, spec.users, run / ASKED)
    total, places = list_people.count(dataset, wanted, schema)
    scratch, done, without, unknown = run / "tmp" / "met", 0, 0, 0
    ties = tie_order(len(opened.items), TIE_SEED)
    ids, titles = (pa.array(opened.items[name].astype(object), pa.string(), from_pandas=True) for name in ("item_id", "title"))
    started: float | None = None
    with Writer(folder) as writer:
        for some in list_people.people(dataset, wanted, places, scratch, spec.exclude_seen):
            started = started or time.monotonic()
            for part in _parts(some, len(opened.items)):
                table, empty = _lists(opened, part, ties, spec.k, ids, titles)
                writer.write(table)
                done, without = done + len(part.frame), without + empty
                left = (total - done) * (time.monotonic() - started) / done
                journal.progress("writing lists", done, total, eta_s=left)
            unknown += int((some.frame["row"] == 0).sum())
        shutil.rmtree(scratch, ignore_errors=True)
    return {"users": total, "rows": writer.rows, "without_items": without, "unknown_to_train": unknown}


def _parts(some: People, items: int) -> Iterator[People]:
    step = max(1, min(CHUNK, CELLS // max(items, 1)))
    for start in range(0, len(some.frame), step):
        yield People(some.frame.iloc[start : start + step], some.met[start : start + step])


def _lists(opened: OpenedModel, people: People, ties: np.ndarray, k: int, ids: pa.Array, titles: pa.Array) -> tuple[pa.Table, int]:
    """Rows of SCHEMA of some users, and how many of them have none."""
    tops = top_lists(opened, people.frame, people.met, ties, k)
    sizes = np.array([len(places) for places, _ in tops], np.int64)
    places = np.concatenate([np.zeros(0, np.int64), *(one for one, _ in tops)])
    scores = np.concatenate([np.zeros(0, np.float32), *(one for _, one in tops)])
    ranks = np.concatenate([np.zeros(0, np.int32), *(np.arange(1, size + 1, dtype=np.int32) for size in sizes)])
    users = pa.array(people.frame["user_id"].astype(object), pa.string()).take(pa.array(np.repeat(np.arange(len(sizes)), sizes)))
    at = pa.array(places)
    columns = [users, pa.array(ranks), ids.take(at), titles.take(at), pa.array(scores)]
    return pa.Table.from_arrays(columns, schema=SCHEMA), int((sizes == 0).sum())


def top_lists(opened: OpenedModel, frame: pd.DataFrame, met: list[Met], ties: np.ndarray, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The k best items of each user that are not among `seen`, best first, equal scores by `ties`: places int64 [K], scores float32 [K].

    Fewer where there are no more.

    Raises:
        ValueError: a score is NaN.
    """
    grid = np.array(opened.grid(frame, met), np.float32)
    for row, one in zip(grid, met, strict=True):
        row[one.seen] = -np.inf
    k = min(k, grid.shape[1])
    last = np.partition(grid, -k, axis=1)[:, -k]  # NaN sorts last, and `best_places` refuses it
    found = []
    for row, least in zip(grid, last, strict=True):
        # only what may stand in the list is sorted, all of a tie at its end included: keys of whole rows take thrice the memory
        kept = np.flatnonzero(~(row < least) & (row != -np.inf))
        best = kept[best_places(row[kept], ties[kept], k)]
        found.append((best, row[best]))
    return found


def _manifest(spec: ListExportSpec, export: str, told: dict[str, int], folder: Path) -> dict[str, Any]:
    sizes = {name: (folder / name).stat().st_size for name in (TOP_PARQUET, TOP_CSV)}
    return {
        "export": export,
        "run": spec.run,
        "title": spec.title,
        "dataset": spec.dataset,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "k": spec.k,
        "users_asked": spec.users,
        **told,
        "exclude_seen": spec.exclude_seen,
        "protocol": f"every item that train met competes, {'without' if spec.exclude_seen else 'with'} those that the user met in train; "
        "equal scores stand in the protocol's one random order",
        "columns": COLUMNS,
        "files": {TOP_PARQUET: {"bytes": sizes[TOP_PARQUET]}, TOP_CSV: {"bytes": sizes[TOP_CSV], "content": CSV_SAYS}},
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
