"""An export in parts: one process deals out who met what, others make the lists of a part each, and one joins them in order.

What is joined are the tables that a single process would have written, so that the files are the same.
"""

import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from workers.artifacts import SPEC, PreparedDataset
from workers.exports import people
from workers.exports.export import Catalogue, lists_of
from workers.exports.files import SCHEMA, Writer
from workers.exports.spec import CHOSEN, ListExportSpec
from workers.run import RunContext
from workers.serving import OpenedModel, open_run

LISTS = "*.lists"


class Part(NamedTuple):
    """What became of the users of one part."""

    users: int
    without_items: int
    unknown_to_train: int


def scratch(run: Path) -> Path:
    """Where the parts of an export are."""
    return run / "tmp" / "met"


def deal(context: RunContext[ListExportSpec]) -> int:
    """Write the users of each part, and what is known of them, to `scratch`; returns the number of parts."""
    context.journal.progress("reading what users met", 0, 1, force=True)
    folder, dataset = scratch(context.folder), context.dataset
    wanted = people.chosen(dataset.folder, context.spec.users, context.folder / CHOSEN)
    _, places = people.count(dataset, wanted)
    people.distribute(dataset, places, folder, in_order=bool(dataset.schema.sequence))
    number = -1
    for number, table in enumerate(people.tables(dataset, wanted)):
        pq.write_table(table, folder / f"{number}.users")
    return number + 1


def make_part(run_dir: str, dataset_dir: str, number: int) -> Part:
    """Write the lists of a part beside its users; the model is opened once in a process."""
    run = Path(run_dir)
    spec, folder = ListExportSpec.read(run / SPEC), scratch(run)
    dataset, opened_model, catalogue = _opened(str(run.parent / spec.run), dataset_dir)
    some = people.read(dataset, pq.read_table(folder / f"{number}.users"), number, folder, spec.exclude_seen)
    without, partial = 0, folder / f"{number}.{os.getpid()}.partial"
    with pq.ParquetWriter(partial, SCHEMA) as writer:
        for table, _, empty in lists_of(opened_model, some, catalogue, spec.k):
            writer.write_table(table, row_group_size=max(1, len(table)))
            without += empty
    partial.rename(folder / f"{number}.lists")
    return Part(len(some.frame), without, int((some.frame["row"] == 0).sum()))


@lru_cache(maxsize=1)
def _opened(run: str, dataset_dir: str) -> tuple[PreparedDataset, OpenedModel, Catalogue]:
    dataset = PreparedDataset.open(Path(dataset_dir))
    opened_model = open_run(Path(run), dataset)
    return dataset, opened_model, Catalogue.of(opened_model.items)


def join(context: RunContext[ListExportSpec], parts: list[Part], folder: Path) -> dict[str, int]:
    """Write both files to a folder from the lists of all parts, in their order; returns what `write_lists` does."""
    made = scratch(context.folder)
    with Writer(folder) as writer:
        for number in range(len(parts)):
            with pq.ParquetFile(made / f"{number}.lists") as file:
                for group in range(file.num_row_groups):  # as many rows at once as a single process writes
                    writer.write(file.read_row_group(group))
            context.journal.progress("joining lists", number + 1, len(parts))
    shutil.rmtree(made, ignore_errors=True)
    users, without, unknown = (sum(column) for column in zip(*parts, strict=True)) if parts else (0, 0, 0)
    return {"users": users, "rows": writer.rows, "without_items": without, "unknown_to_train": unknown}
