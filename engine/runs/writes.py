"""What a driver writes to the store, as records: each can be carried out again without changing anything more."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from engine.runs import store
from workers.specs import Spec

Values = dict[str, float | int]


class StatusWrite(Spec):
    """The run's status, since a time in milliseconds; a terminal one ends it."""

    op: Literal["status"] = "status"
    status: store.Status
    message: str | None = None
    time: int

    def carry_out(self, run_id: str, folder: Path) -> None:
        if self.status == "RUNNING":  # of a run that is resumed: how its attempt before ended no longer holds
            for name in ("interrupted", "message"):
                store.drop_tag(run_id, name)
        store.set_status(run_id, self.status, self.message, self.time)


class TagWrite(Spec):
    """A tag of ours, without its prefix."""

    op: Literal["tag"] = "tag"
    name: str
    value: str

    def carry_out(self, run_id: str, folder: Path) -> None:
        store.set_tag(run_id, self.name, self.value)


class FinalWrite(Spec):
    """Final numbers, measured at a time in milliseconds."""

    op: Literal["final"] = "final"
    values: Values
    time: int

    def carry_out(self, run_id: str, folder: Path) -> None:
        store.log_final(run_id, self.values, self.time)


class DatasetWrite(Spec):
    """The prepared dataset as an input."""

    op: Literal["dataset"] = "dataset"
    name: str
    fingerprint: str
    path: str
    counts: str

    def carry_out(self, run_id: str, folder: Path) -> None:
        store.log_dataset(run_id, self.name, self.fingerprint, self.path, self.counts)


class FileWrite(Spec):
    """A file or a folder of the run folder as an artifact; nothing where it is no longer there."""

    op: Literal["file"] = "file"
    name: str = Field(pattern=r"^[\w-][\w.-]*$")  # in the run folder, and in no other

    def carry_out(self, run_id: str, folder: Path) -> None:
        path = folder / self.name
        if path.is_dir():
            store.log_folder(run_id, path, self.name)
        elif path.is_file():
            store.log_file(run_id, path)


class TrialsWrite(Spec):
    """The trials of a search that have ended."""

    op: Literal["trials"] = "trials"

    def carry_out(self, run_id: str, folder: Path) -> None:
        store.log_trials(run_id, folder)


Write = StatusWrite | TagWrite | FinalWrite | DatasetWrite | FileWrite | TrialsWrite
_WRITES: TypeAdapter[Write] = TypeAdapter(Annotated[Write, Field(discriminator="op")])


def parse(line: bytes) -> Write:
    """A record out of its line; ValueError for a line that a crash tore."""
    return _WRITES.validate_json(line)


class OnePerStep:
    """Lets through what is new of a journal: a resumed run measures again what its attempt before had measured after its checkpoint.

    A value passes where no earlier attempt has one of that metric at its step or later. Records come in the order of the journal.
    """

    def __init__(self) -> None:
        self._attempt = 0
        self._older: dict[str, int] = {}  # metric -> the last step of the attempts before this one
        self._last: dict[str, int] = {}

    def __call__(self, records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The records with the values that are new; the epoch of a step is given once."""
        for record in records:
            if "values" not in record:
                continue
            step, attempt = int(record["step"]), int(record.get("attempt", 1))
            if attempt != self._attempt:
                self._attempt, self._older = attempt, dict(self._last)
            values = {name: value for name, value in record["values"].items() if step > self._older.get(name, -1)}
            epoch = record.get("epoch") if step > self._last.get("epoch", -1) else None
            self._last |= {name: max(step, self._last.get(name, -1)) for name in (*values, "epoch")}
            if values:
                yield {**record, "values": values, "epoch": epoch}
