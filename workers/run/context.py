"""What the processes of a run share: how they begin, what they work on, and how they end."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from workers.artifacts import CHECKPOINT, SPEC, PreparedDataset, lacks_target, write_done
from workers.run import attempts
from workers.run.journal import Journal
from workers.run.process import log_and_report_errors
from workers.run.spec import RunSpec
from workers.specs import Spec

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class RunContext(Generic[S]):
    """One run as one of its processes sees it."""

    folder: Path
    dataset: PreparedDataset
    spec: S
    journal: Journal
    attempt: int = 1  # goes into done.json, so that a late writer of an older attempt is recognised
    trial: Path | None = None  # of a search: the folder of the settings that are tried, in the run's folder

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are written: of a trial, until it has won, in its own folder."""
        return (self.trial or self.folder) / CHECKPOINT

    def refuse_older(self) -> None:
        """Raise SupersededError where a later attempt of the run has begun: this one may not write any more."""
        attempts.refuse_older(self.folder, self.attempt)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write done.json, which says that the run is complete and which files it wrote: call it last."""
        self.refuse_older()
        self.journal.event("done")
        write_done(self.folder, {"attempt": self.attempt, **facts})


@contextmanager
def run_context(run_dir: str, dataset_dir: str, attempt: int, kind: type[S], who: str, *, leads: bool = True) -> Iterator[RunContext[S]]:
    """Around all that a process of a run does: its log, its error file, and what it works on.

    Args:
        run_dir: the run's folder, with spec.json in it.
        dataset_dir: the prepared dataset.
        kind: the spec that spec.json holds.
        who: what the process is, such as fit, or rank 0.
        leads: whether this process keeps the journal and logs its progress; of several ranks only one does.

    Raises:
        Whatever went wrong, after writing it to `<who>.error.json`.
    """
    folder = Path(run_dir)
    with log_and_report_errors(folder, who, logging.INFO if leads else logging.WARNING, attempt):
        dataset = PreparedDataset.open(Path(dataset_dir))
        yield RunContext(folder, dataset, kind.read(folder / SPEC), Journal(folder if leads else None, attempt), attempt)


def refuse_unfit(spec: RunSpec, dataset: PreparedDataset) -> None:
    """Raise ValueError with the reason where the model cannot be trained or measured on a dataset."""
    reason = spec.model.refusal(dataset.schema, dataset.label) or lacks_target(spec.protocol.target, dataset.folder)
    if reason:
        raise ValueError(reason)
