"""List exports: the top k of a finished run for many users, as Parquet and CSV. Each is a run of a kind of its own, as a download is.

An export trains and measures nothing, so comparisons and the Recommend page leave it out.
"""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from engine import datasets
from engine.runs import launch, read
from engine.runs.read import Run, RunState
from engine.settings import settings
from workers.artifacts import MANIFEST, USERS
from workers.exports import CHOSEN, TOP_CSV, TOP_PARQUET, ListExportSpec
from workers.specs import explain

HEADINGS = ("user_id", "user", "userid", "user id")  # of a column of ids; a user may have one of these as id
NAMED = 3  # unknown ids that an error names


class ListExport(NamedTuple):
    """The run of an export, and its manifest and files, which exist once it has finished."""

    run: Run
    source: str  # id of the run that made the lists
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
    """Start an export of the top k of a finished run for many users; returns the export's run id at once.

    Args:
        users: "all" of the dataset, "test" (those ranked for on test), or ids.
        to: a folder, new or empty; None: a new one next to the run's results.
        exclude_seen: leave out the items seen before; None: as in the evaluation of the run.
        key: idempotency key, as in `submit`.

    Raises:
        LookupError: no such run, or users that the dataset does not have, of which it names the first.
        ValueError: the run makes no recommendations, k is out of bounds, no user is named, or the folder cannot be written to.
    """
    run = read.get_run(run_id)
    if run.kind != "train" or run.state != RunState.FINISHED or run.dataset is None:
        raise ValueError(f"Run {run.title} is {run.state.value}; only finished training runs make recommendations.")
    if why := datasets.why_no_ranking(datasets.get_dataset(run.dataset)):
        raise ValueError(why)
    ids = None if isinstance(users, str) else _known(run.dataset, users)
    folder = None if to is None else str(_free(Path(to).expanduser().absolute()))
    given = {
        "run": run_id,
        "title": run.title[:120],
        "dataset": run.dataset,
        "k": k,
        "users": users if ids is None else "chosen",
        "exclude_seen": run.training.protocol.exclude_seen if exclude_seen is None else exclude_seen,
        "folder": folder,
    }
    try:
        spec = ListExportSpec.model_validate(given)
    except ValidationError as error:
        raise ValueError(explain(error)) from error
    return launch.submit(spec, key=key, files={} if ids is None else {CHOSEN: "\n".join(ids)})


def read_ids(text: str) -> list[str]:
    """Ids from text with one id per line, or from the first column of a CSV; empty lines are skipped. ValueError: it cannot be parsed."""
    try:
        rows = csv.reader(text.removeprefix("\ufeff").splitlines())
        return [row[0].strip() for row in rows if row and row[0].strip()]
    except csv.Error as error:
        raise ValueError(
            f"The list of users cannot be read ({error}); give one id per line, or a CSV with ids in the first column."
        ) from error


def _known(dataset: str, ids: Iterable[str]) -> list[str]:
    """The distinct ids, without a heading; LookupError names the first that the dataset does not have."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    ids_ = list(dict.fromkeys(ids))
    wanted, there = pa.array(ids_, pa.string()), set[str]()
    for batch in pq.ParquetFile(datasets.get_dataset(dataset).path / USERS).iter_batches(columns=["user_id"]):
        column = batch.column("user_id").cast(pa.string())
        there.update(column.filter(pc.is_in(column, value_set=wanted)).to_pylist())
    if ids_ and ids_[0] not in there and ids_[0].lower() in HEADINGS:
        ids_ = ids_[1:]
    if not ids_:
        raise ValueError("No user is named; give one id per line, as in the source.")
    unknown = [one for one in ids_ if one not in there]
    if unknown:
        named = ", ".join(repr(one[:40]) for one in unknown[:NAMED]) + (" …" if len(unknown) > NAMED else "")
        raise LookupError(
            f"{len(unknown):,} of {len(ids_):,} users are not in {dataset}: {named}. Nothing was written; give ids as in the source, "
            "one per line, or take all users."
        )
    return ids_


def _free(folder: Path) -> Path:
    """A folder that does not exist or is empty, so that one rename can put the export there; ValueError says why it is not."""
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
    """List exports of some runs, newest first, with live and failed ones."""
    sources = set(run_ids)
    exports = ((run, run.spec) for run in read.list_runs("export", limit=limit))
    return [get_list_export(run) for run, spec in exports if isinstance(spec, ListExportSpec) and spec.run in sources]


def get_list_export(run: Run) -> ListExport:
    """The list export of a run. ValueError: the run is of another kind."""
    spec = run.spec
    if not isinstance(spec, ListExportSpec):
        raise ValueError(run.unreadable or f"{run.title} is not a list export.")
    folder = spec.target(settings().runs, run.run_id)
    facts: dict[str, Any] = {}
    try:
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8")) if run.state == RunState.FINISHED else {}
    except (OSError, ValueError):
        facts = {}  # the files were moved since
    whole = facts.get("export") == run.run_id
    files = tuple(path for path in (folder / TOP_PARQUET, folder / TOP_CSV) if path.is_file()) if whole else ()
    return ListExport(run, spec.run, spec.title, folder, facts if whole else {}, files)
