"""Blind votes: which of two lists a person prefers, without knowing which models made them. One JSON line per vote."""

import errno
import json
import logging
import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import uuid4

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from engine import locks
from engine.settings import settings
from workers.specs import Spec

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
RUN_ID = r"^[0-9a-z]{1,64}$"
DATASET = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$"
LEVEL = 0.95
RunId = Annotated[str, Field(pattern=RUN_ID)]
Prefers = Literal["run", "other", "both", "neither"]


class Vote(Spec):
    """A choice between the lists of two runs for one user."""

    vote_id: str = Field(default_factory=lambda: uuid4().hex, pattern=RUN_ID)
    dataset: str = Field(pattern=DATASET)
    runs: tuple[RunId, RunId] = Field(description="The two runs, in the order of their ids")
    whom: str = Field(max_length=2000, description="The user, or the likes of a new user")
    k: int = Field(ge=1, le=1000, description="Length of the lists")
    choice: Literal["first", "second", "both", "neither"] = Field(description="first and second are of `runs`")
    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))

    @model_validator(mode="after")
    def _two_runs(self) -> "Vote":
        if list(self.runs) != sorted(set(self.runs)):
            raise ValueError("runs are two different ones, in the order of their ids.")
        return self


def cast(dataset: str, run_id: str, other: str, whom: str, k: int, prefers: Prefers) -> Vote:
    """Store a vote on the lists of two runs; it is on disk when this returns.

    Raises:
        ValueError: the same run twice, or another choice than these four.
        OSError: the workspace cannot be written to, or its lock is held for a minute; the vote is not stored then.
    """
    turned = other < run_id
    choice = {"run": "second" if turned else "first", "other": "first" if turned else "second"}.get(prefers, prefers)
    vote = Vote.model_validate({"dataset": dataset, "runs": tuple(sorted((run_id, other))), "whom": whom[:2000], "k": k, "choice": choice})
    path = _path(dataset)
    with _held(path), path.open("ab", buffering=0) as file:
        size = file.tell()
        torn = size > 0 and not _ends_a_line(path)  # the writer of the last line was killed
        line = (b"\n" if torn else b"") + vote.model_dump_json().encode() + b"\n"
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)  # otherwise a repeated vote after a full disk would count twice
            raise
    return vote


def withdraw(vote: Vote) -> None:
    """Undo a vote; no effect where it does not exist."""
    path = _path(vote.dataset)
    if not path.is_file():
        return
    with _held(path):
        lines = path.read_bytes().splitlines(keepends=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(b"".join(line for line in lines if vote.vote_id.encode() not in line))
        os.replace(partial, path)


def list_votes(dataset: str) -> list[Vote]:
    """The votes on a dataset's runs, oldest first; invalid lines are left out and logged."""
    path, votes = _path(dataset), []
    for number, line in enumerate(path.read_bytes().splitlines() if path.is_file() else [], 1):
        try:
            votes.append(Vote.model_validate(json.loads(line)))
        except (ValueError, ValidationError):
            log.warning("%s, line %d is not a vote and is left out", path, number)
    return votes


def tally(dataset: str, run_ids: Sequence[str]) -> "pd.DataFrame":
    """The votes on each pair of runs, in the given order.

    Returns:
        columns run, other (ids), run_wins, other_wins, both, neither (numbers of votes), share (that run won, of the votes that one of
        the two won; NaN without any), low, high (its 95 % interval, Wilson, JASA 1927) and leader: the run that won significantly
        more than half, or None. Pairs without a vote are left out.
    """
    import pandas as pd

    counts: dict[tuple[str, str], dict[str, int]] = {}
    for vote in list_votes(dataset):
        pair = counts.setdefault(vote.runs, {})
        pair[vote.choice] = pair.get(vote.choice, 0) + 1
    rows = []
    for at, run in enumerate(run_ids):
        for other in run_ids[at + 1 :]:
            if pair_votes := counts.get((min(run, other), max(run, other))):
                rows.append(_row(run, other, pair_votes))
    names = ["run", "other", "run_wins", "other_wins", "both", "neither", "share", "low", "high", "leader"]
    return pd.DataFrame(rows, columns=names)


def _row(run: str, other: str, votes: dict[str, int]) -> tuple[object, ...]:
    own, others = ("first", "second") if run < other else ("second", "first")
    won, lost = votes.get(own, 0), votes.get(others, 0)
    low, high = interval(won, won + lost)
    leader = run if low > 0.5 else other if high < 0.5 else None
    share = won / (won + lost) if won + lost else float("nan")
    return run, other, won, lost, votes.get("both", 0), votes.get("neither", 0), share, low, high, leader


def interval(won: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    0 to 1 without a decided vote.
    """
    if of == 0:
        return 0.0, 1.0
    from scipy.stats import binomtest

    bounds = binomtest(won, of).proportion_ci(LEVEL, method="wilson")
    return float(bounds.low), float(bounds.high)


def _path(dataset: str) -> Path:
    if not re.fullmatch(DATASET, dataset):
        raise ValueError(f"{dataset!r} is not the id of a dataset.")
    return settings().workspace / "votes" / f"{dataset}.jsonl"


def _held(path: Path) -> AbstractContextManager[None]:
    return locks.held(f"{path.parent.name}/{path.stem}.lock", 60, "Another vote")


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
