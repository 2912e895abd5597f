"""Exports of lists: the top k of a finished run for many users, as Parquet and CSV. Each is a run of its own kind, as a download is.

It trains nothing and measures nothing, so it is no contender: comparisons and the Recommend page know runs of the kind "train" alone.
"""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine import datasets
from engine.runs import launch, read
from engine.runs.read import Run, RunState
from engine.settings import settings
from workers.artifacts import MANIFEST, USERS
from workers.exports import CHOSEN, TOP_CSV, TOP_PARQUET, ListExportSpec
from workers.run import RunSpec

HEADINGS = ("user_id", "user", "userid", "user id")  # of a column of ids; any of them may be an id as well
NAMED = 3  # unknown ids that an error names


class ListExport(NamedTuple):
    """An export as a run, and what it wrote: its manifest and its files, which are not there before it has finished."""

    run: Run
    source: str  # the run whose lists they are
    title: str
    folder: Path
    facts: dict[str, Any]
    files: tuple[Path, ...]


def export_lists(
    run_id: str,
    k: int = 10,
    users: str | Sequence[str] = "all",
    to: str | Path | None = None,
    exclude_seen: bool | None = None,
    key: str | None = None,
) -> str:
    """Ask for the top k of a finished run for many users; returns the export's run id at once.

    Args:
        users: "all" of the dataset, "test" (those that are ranked for), or ids.
        to: a folder, new or empty; None: one of its own beside the run's results.
        exclude_seen: leave out what a user met in train; None: as the run was measured.
        key: idempotency key, as in `submit`.

    Raises:
        LookupError: no such run, or users that the dataset does not have; the first of them are named.
        ValueError: the run recommends nothing, k is out of bounds, nobody is named, or the folder cannot be written to.
    """
    run = read.get_run(run_id)
    if run.kind != "train" or run.state != RunState.FINISHED or run.dataset is None:
        raise ValueError(f"Run {run.title} is {run.state.value}; only finished training runs recommend.")
    if why := datasets.why_no_ranking(datasets.get_dataset(run.dataset)):
        raise ValueError(why)
    ids = None if isinstance(users, str) else _known(run.dataset, users)
    folder = None if to is None else str(_free(Path(to).expanduser().absolute()))
    spec = _checked(
        run=run_id,
        title=run.title[:120],
        dataset=run.dataset,
        k=k,
        users=users if ids is None else "chosen",
        exclude_seen=RunSpec.model_validate(run.spec).protocol.exclude_seen if exclude_seen is None else exclude_seen,
        folder=folder,
    )
    return launch.submit(spec, key=key, files={} if ids is None else {CHOSEN: "\n".join(ids)})


def _checked(**given: Any) -> ListExportSpec:
    from pydantic import ValidationError

    from workers.specs import explain

    try:
        return ListExportSpec(**given)
    except ValidationError as error:
        raise ValueError(explain(error)) from error


def read_ids(text: str) -> list[str]:
    """The ids of a list, one a line, or of the first column of a CSV; empty lines are none. ValueError where it is no text of lines."""
    try:
        rows = csv.reader(text.removeprefix("\ufeff").splitlines())
        return [row[0].strip() for row in rows if row and row[0].strip()]
    except csv.Error as error:
        raise ValueError(f"The list of users cannot be read ({error}); give one id a line, or a CSV with the ids first.") from error


def _known(dataset: str, ids: Iterable[str]) -> list[str]:
    """The different ids, a heading left out; LookupError names the first that the dataset does not have."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    asked = list(dict.fromkeys(ids))
    wanted, there = pa.array(asked, pa.string()), set[str]()
    for batch in pq.ParquetFile(datasets.get_dataset(dataset).path / USERS).iter_batches(columns=["user_id"]):
        column = batch.column("user_id").cast(pa.string())
        there.update(column.filter(pc.is_in(column, value_set=wanted)).to_pylist())
    if asked and asked[0] not in there and asked[0].lower() in HEADINGS:
        asked = asked[1:]
    if not asked:
        raise ValueError("No user is named; give one id a line, as in the source.")
    unknown = [one for one in asked if one not in there]
    if unknown:
        named = ", ".join(repr(one[:40]) for one in unknown[:NAMED]) + (" …" if len(unknown) > NAMED else "")
        raise LookupError(
            f"{len(unknown):,} of {len(asked):,} users are not in {dataset}: {named}. Nothing was written; give ids as in the source, "
            "one a line, or take all users."
        )
    return asked


def _free(folder: Path) -> Path:
    """A folder that can be made whole by one rename; ValueError says why another is not."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValueError(f"{folder} is {'not empty' if folder.is_dir() else 'a file'}; choose a new or an empty folder.")
    except OSError as error:
        raise ValueError(f"{folder} cannot be read: {error.strerror}; choose another folder.") from error
    above = next(one for one in folder.parents if one.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ValueError(f"{above} cannot be written to; choose another folder.")
    return folder


def list_exports(run_ids: Iterable[str], limit: int = 200) -> list[ListExport]:
    """Exports of some runs' lists, newest first, live ones and those that came to nothing among them."""
    sources = set(run_ids)
    return [get_list_export(run) for run in read.list_runs("export", limit=limit) if run.spec.get("run") in sources]


def get_list_export(run: Run) -> ListExport:
    """What an export of lists wrote. ValueError where the run is none."""
    spec = ListExportSpec.model_validate(run.spec)
    folder = spec.target(settings().runs, run.run_id)
    facts: dict[str, Any] = {}
    try:
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8")) if run.state == RunState.FINISHED else {}
    except (OSError, ValueError):
        facts = {}  # moved away since
    whole = facts.get("export") == run.run_id
    files = tuple(path for path in (folder / TOP_PARQUET, folder / TOP_CSV) if path.is_file()) if whole else ()
    return ListExport(run, spec.run, spec.title, folder, facts if whole else {}, files)
