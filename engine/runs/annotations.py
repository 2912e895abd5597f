"""What people write on runs: names, notes, tags, the pinned baseline, and the trash. All are stored as tags; measurements never change."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from engine.runs import read, records, store
from engine.runs.owners import why_not_yours
from engine.runs.read import Run, RunState

LONGEST_NAME, LONGEST_NOTE, LONGEST_TAG, MOST_TAGS = 120, 4000, 40, 10
TRASH_DAYS = 30


class TrashRefusal(NamedTuple):
    """A run that was not moved to the trash, and why."""

    run_id: str
    title: str
    reason: str


def rename(run_id: str, name: str) -> None:
    """Give a run another name.

    Raises:
        LookupError: no such run. ValueError: the name is empty or longer than LONGEST_NAME characters.
    """
    read.get_run(run_id)
    store.rename(run_id, _line(name, "The name", LONGEST_NAME))
    records.mirror(run_id)


def annotate(run_id: str, note: str) -> None:
    """Replace a run's note, of several lines; an empty one removes it.

    Raises:
        LookupError: no such run. ValueError: it is longer than LONGEST_NOTE characters.
    """
    read.get_run(run_id)
    text = "".join(c for c in note.replace("\r\n", "\n") if c.isprintable() or c in "\n\t").strip()
    if len(text) > LONGEST_NOTE:
        raise ValueError(f"The note has {len(text):,} characters; shorten it to {LONGEST_NOTE:,}.")
    store.annotate(run_id, text)
    records.mirror(run_id)


def tag(run_id: str, tags: Sequence[str]) -> None:
    """Replace a run's tags; the same tag twice counts once.

    Raises:
        LookupError: no such run. ValueError: one is empty or longer than LONGEST_TAG characters, or they are more than MOST_TAGS.
    """
    read.get_run(run_id)
    given = list(dict.fromkeys(_line(one, "A tag", LONGEST_TAG) for one in tags))
    if len(given) > MOST_TAGS:
        raise ValueError(f"A run has at most {MOST_TAGS} tags, not {len(given)}; remove some.")
    store.set_tag(run_id, "tags", json.dumps(given))
    records.mirror(run_id)


def pin(run_id: str) -> None:
    """Make a run the default baseline of its dataset, in place of the one pinned before.

    Raises:
        LookupError: no such run. ValueError: it is not a finished training run, or it is in the trash.
    """
    run = read.get_run(run_id)
    if run.kind != "train" or run.state != RunState.FINISHED:
        raise ValueError(f"{run.title} is {'a preparation' if run.kind == 'prepare' else run.state.value}; pin a finished training run.")
    if run.trashed_at:
        raise ValueError(f"{run.title} is in the trash; restore it before you pin it.")
    before = pinned(run.dataset or "")
    store.set_tag(run_id, "pinned", "yes")
    records.mirror(run_id)
    if before is not None and before.run_id != run_id:
        unpin(before.run_id)


def unpin(run_id: str) -> None:
    """Make popularity the default baseline again. LookupError: no such run."""
    store.drop_tag(run_id, "pinned")
    records.mirror(run_id)


def pinned(dataset: str) -> Run | None:
    """The pinned baseline of a dataset; None without one."""
    name = "".join(c for c in dataset if c.isalnum() or c in "-_")
    of_dataset = f"tags.`{store.TAG}pinned` IS NOT NULL AND tags.`{store.TAG}dataset` = '{name}'"
    runs = store.search(("train",), 1, of_dataset)
    return read.get_run(runs[0].info.run_id) if runs else None


def trash(run_ids: Sequence[str], force: bool = False) -> list[TrashRefusal]:
    """Move runs to the trash: lists leave them out until they are restored. Files and metrics stay.

    Args:
        force: those of somebody else too.

    Returns:
        The runs that were not moved, each with the reason: it is live, pinned as a baseline, or somebody else's.

    Raises:
        LookupError: no such run; no run is moved then.
    """
    refusals = []
    for run in [read.get_run(run_id) for run_id in dict.fromkeys(run_ids)]:
        why = why_kept(run) or (None if force else why_not_yours(run.owner))
        if why:
            refusals.append(TrashRefusal(run.run_id, run.title, why))
        else:
            store.set_tag(run.run_id, "trashed", datetime.now(UTC).isoformat(timespec="seconds"))
            records.mirror(run.run_id)
    return refusals


def why_kept(run: Run) -> str | None:
    """Why a run cannot be moved to the trash, and what to do; None when it can."""
    if run.live:
        return f"it is {run.state.value}: cancel it first"
    return "it is the pinned baseline of its dataset: unpin it first" if run.pinned else None


def restore(run_ids: Sequence[str]) -> None:
    """Restore runs from the trash.

    Raises:
        LookupError: no such run. ValueError: one was moved there more than TRASH_DAYS days ago.
    """
    for run in [read.get_run(run_id) for run_id in run_ids]:
        if run.trashed_at and run.trashed_at < _oldest():
            raise ValueError(f"{run.title} was moved to the trash more than {TRASH_DAYS} days ago and cannot be restored.")
        store.drop_tag(run.run_id, "trashed")
        records.mirror(run.run_id)


def list_trash() -> list[Run]:
    """The runs that can be restored, the one moved last first."""
    runs = [run for run in read.list_runs(trashed=True) if run.trashed_at and run.trashed_at >= _oldest()]
    return sorted(runs, key=lambda run: run.trashed_at or run.submitted_at, reverse=True)


def dependents(run_id: str, among: Sequence[Run] | None = None) -> list[Run]:
    """Training runs that need a run: they continue it, or are funnels made of it, by the ids in their specs. Exported lists and
    tests of features do not.

    Args:
        among: the runs to search; None: all that are not in the trash.
    """
    every = read.list_runs("train") if among is None else among
    return [
        other
        for other in every
        if other.run_id != run_id and other.kind not in ("export", "features") and f'"{run_id}"' in json.dumps(other.settings)
    ]


def _oldest() -> datetime:
    return datetime.now(UTC) - timedelta(days=TRASH_DAYS)


def _line(text: str, what: str, longest: int) -> str:
    """Text as one line without control characters; ValueError where it is empty or too long."""
    line = " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in text).split())
    if not line:
        raise ValueError(f"{what} is empty; give 1 to {longest} characters.")
    if len(line) > longest:
        raise ValueError(f"{what} has {len(line):,} characters; shorten it to {longest}.")
    return line
