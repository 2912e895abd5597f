"""python -m workers.exports.export RUN_DIR DATASET_DIR ATTEMPT: writes the top k of a finished run for many users, in one process.

Users are read some at a time, scored together, and their lists are written before the next ones are read. The folder appears by one rename,
with its manifest written last, so that a folder that is there is complete. Letters: U users, N items, K list length.
"""

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from workers.artifacts import MANIFEST, write_json
from workers.evaluation import CHUNK, best_places, tie_order
from workers.exports import people as list_people
from workers.exports.files import COLUMNS, CSV_SAYS, SCHEMA, Writer
from workers.exports.people import People
from workers.exports.spec import CHOSEN, TOP_CSV, TOP_PARQUET, ListExportSpec, staging
from workers.run import RunContext, peak_memory, run_context
from workers.serving import OpenedModel, UserItems, open_run
from workers.specs import TIE_SEED

log = logging.getLogger("workers.exports.export")
CELLS = 8_000_000  # most scores of one grid of users and items: bounds memory on large catalogues
Write = Callable[[Path], dict[str, int]]


class Catalogue(NamedTuple):
    """What lists say of N items."""

    ids: pa.Array
    titles: pa.Array
    ties: np.ndarray  # [N] places of the one order of equal scores

    @classmethod
    def of(cls, items: pd.DataFrame) -> Self:
        ids, titles = (pa.array(items[name].astype(object), pa.string(), from_pandas=True) for name in ("item_id", "title"))
        return cls(ids, titles, tie_order(len(items), TIE_SEED))


def main(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Export lists; writes their folder, and last of all done.json. Arguments and errors as in `run_context`.

    The export's folder lies beside that of the run whose lists it writes.
    """
    with run_context(run_dir, dataset_dir, attempt, ListExportSpec, "lists") as context:
        context.finish(export(context))


def export(context: RunContext[ListExportSpec], write: Write | None = None) -> dict[str, Any]:
    """Write the folder of lists, whole or not at all; returns folder, users, rows, without_items, seconds, peak_memory_bytes.

    Args:
        write: writes both files to a folder, and returns what `write_lists` does; None: this process, some users after others.

    Raises:
        ValueError: no such checkpoint, or the folder cannot be written to.
    """
    write = write or _in_this_process(context)
    spec, runs, own_id = context.spec, context.folder.parent, context.folder.name
    target = spec.target(runs, own_id)
    staged = staging(target, own_id)
    started = time.monotonic()
    try:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        counts = write(staged)
        write_json(staged / MANIFEST, _manifest(spec, own_id, counts, staged))
        staged.rename(target)
    except OSError as error:
        raise ValueError(
            f"Lists cannot be written to {target}: {error.strerror or error}. Free some space or choose another folder."
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    seconds = time.monotonic() - started
    log.info("%d users, %d rows in %.1f s", counts["users"], counts["rows"], seconds)
    return {"folder": str(target), **counts, "seconds": seconds, "peak_memory_bytes": peak_memory()}


def _in_this_process(context: RunContext[ListExportSpec]) -> Write:
    context.journal.progress("opening the model", 0, 1, force=True)
    return partial(write_lists, context, open_run(context.folder.parent / context.spec.run, context.dataset))


def write_lists(context: RunContext[ListExportSpec], opened_model: OpenedModel, folder: Path) -> dict[str, int]:
    """Write both files to `folder`.

    Returns:
        users; rows; without_items: users who have no row since they met everything; unknown_to_train: users whom train does not have.
    """
    context.journal.progress("reading what users met", 0, 1, force=True)
    spec, dataset, items = context.spec, context.dataset, opened_model.items
    wanted = list_people.chosen(dataset.folder, spec.users, context.folder / CHOSEN)
    total, places = list_people.count(dataset, wanted)
    scratch, done, without, unknown = context.folder / "tmp" / "met", 0, 0, 0
    catalogue = Catalogue.of(items)
    started: float | None = None
    with Writer(folder) as writer:
        for some in list_people.people(dataset, wanted, places, scratch, spec.exclude_seen, opened_model.reads_order):
            started = started or time.monotonic()
            for table, users, empty in lists_of(opened_model, some, catalogue, spec.k):
                writer.write(table)
                done, without = done + users, without + empty
                left = (total - done) * (time.monotonic() - started) / done
                context.journal.progress("writing lists", done, total, eta_s=left)
            unknown += int((some.frame["row"] == 0).sum())
        shutil.rmtree(scratch, ignore_errors=True)
    return {"users": total, "rows": writer.rows, "without_items": without, "unknown_to_train": unknown}


def lists_of(opened_model: OpenedModel, some: People, catalogue: Catalogue, k: int) -> Iterator[tuple[pa.Table, int, int]]:
    """Rows of SCHEMA for a few users after another, how many users these are, and how many of them have none."""
    for part in _parts(some, len(catalogue.ties)):
        table, empty = _lists(opened_model, part, catalogue, k)
        yield table, len(part.frame), empty


def _parts(some: People, items: int) -> Iterator[People]:
    step = max(1, min(CHUNK, CELLS // max(items, 1)))
    for start in range(0, len(some.frame), step):
        yield People(some.frame.iloc[start : start + step], some.items[start : start + step])


def _lists(opened_model: OpenedModel, people: People, catalogue: Catalogue, k: int) -> tuple[pa.Table, int]:
    """Rows of SCHEMA for some users, and the number of users without any."""
    tops = top_lists(opened_model, people.frame, people.items, catalogue.ties, k)
    sizes = np.array([len(places) for places, _ in tops], np.int64)
    places = np.concatenate([np.zeros(0, np.int64), *(one for one, _ in tops)])
    scores = np.concatenate([np.zeros(0, np.float32), *(one for _, one in tops)])
    ranks = np.concatenate([np.zeros(0, np.int32), *(np.arange(1, size + 1, dtype=np.int32) for size in sizes)])
    users = pa.array(people.frame["user_id"].astype(object), pa.string()).take(pa.array(np.repeat(np.arange(len(sizes)), sizes)))
    at = pa.array(places)
    columns = [users, pa.array(ranks), catalogue.ids.take(at), catalogue.titles.take(at), pa.array(scores)]
    return pa.Table.from_arrays(columns, schema=SCHEMA), int((sizes == 0).sum())


def top_lists(
    opened_model: OpenedModel, frame: pd.DataFrame, user_items: list[UserItems], ties: np.ndarray, k: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The k best items of each user that are not in `seen`, best first, equal scores by `ties`: places int64 [K], scores float32 [K].

    Fewer where there are no more.

    Raises:
        ValueError: a score is NaN.
    """
    grid = np.array(opened_model.grid(frame, user_items), np.float32)
    for row, one in zip(grid, user_items, strict=True):
        row[one.seen] = -np.inf
    k = min(k, grid.shape[1])
    last = np.partition(grid, -k, axis=1)[:, -k]  # NaN sorts last, and `best_places` refuses it
    lists = []
    for row, least in zip(grid, last, strict=True):
        # only candidates for the list are sorted, with all of a tie at its end: keys of whole rows take three times the memory
        places = np.flatnonzero(~(row < least) & (row != -np.inf))
        best = places[best_places(row[places], ties[places], k)]
        lists.append((best, row[best]))
    return lists


def _manifest(spec: ListExportSpec, export: str, counts: dict[str, int], folder: Path) -> dict[str, Any]:
    sizes = {name: (folder / name).stat().st_size for name in (TOP_PARQUET, TOP_CSV)}
    return {
        "export": export,
        "run": spec.run,
        "title": spec.title,
        "dataset": spec.dataset,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "k": spec.k,
        "users_asked": spec.users,
        **counts,
        "exclude_seen": spec.exclude_seen,
        "protocol": f"every item that train met competes, {'without' if spec.exclude_seen else 'with'} those that the user met before; "
        "equal scores stand in the protocol's one random order",
        "columns": COLUMNS,
        "files": {TOP_PARQUET: {"bytes": sizes[TOP_PARQUET]}, TOP_CSV: {"bytes": sizes[TOP_CSV], "content": CSV_SAYS}},
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
