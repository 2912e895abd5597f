"""The one door by which a driver writes to the store: a file first, then the store, as soon and as often as it takes.

Training never waits for the store, and a store that is locked, down or away loses nothing: what it did not get stays in the run folder,
for `deliver`.
"""

import copy
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.runs import opened, store
from engine.runs.writes import DatasetWrite, FileWrite, FinalWrite, OnePerStep, StatusWrite, TagWrite, TrialsWrite, Write, parse
from engine.settings import settings
from workers.artifacts import JOURNAL, write_json
from workers.run import read_journal
from workers.specs import Spec

log = logging.getLogger("engine.driver")

OUTBOX, DELIVERED, OUTBOX_LOCK = "outbox.jsonl", "outbox.delivered.json", "outbox.lock"  # in the run folder
TICK_S, LONGEST_WAIT_S = 1.0, 15.0


class Delivered(Spec):
    """How far the files of a run were delivered, in bytes, and to which store."""

    store: str = ""
    outbox: int = 0
    journal: int = 0


class Courier:
    """Delivers the outbox and the journal of a run, in order. One at a time: its caller holds the outbox's lock."""

    def __init__(self, run_id: str, folder: Path) -> None:
        self._run_id, self._folder = run_id, folder
        self._fresh, self._read = OnePerStep(), 0  # how far `_fresh` has seen the journal

    def deliver(self) -> None:
        """Deliver what is there. Raises what the store raises; what was delivered by then stays so."""
        done = self._delivered()
        made = opened.current().made
        if done.store != made:  # another store at the same address: whatever it has of this run, once more is harmless
            done = Delivered(store=made)
        try:
            done = self._journal(done)
            for write, end in self._pending(done.outbox):
                if isinstance(write, StatusWrite):
                    done = self._journal(done)  # a run that has ended in the store is whole there
                if write is not None:
                    self._take(partial(write.carry_out, self._run_id, self._folder))
                done = done.model_copy(update={"outbox": end})
                self._note(done)
        except LookupError:
            self._note(Delivered(store=made))  # not in this store: from the start, should it be adopted
            raise

    def _take(self, call: Callable[[], None]) -> None:
        """Carry out one write. LookupError: the store has no such run. A write that no store would ever take is left out."""
        from mlflow.exceptions import MlflowException

        try:
            call()
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise LookupError(f"The store has no run {self._run_id}; `recbench adopt` takes it in.") from error
            log.error("the store refuses a record, which is left out: %s", error)

    def is_empty(self) -> bool:
        """Whether all was delivered that is in the files now."""
        done = self._delivered()
        return not _has_more(self._folder / OUTBOX, done.outbox) and not _has_more(self._folder / JOURNAL, done.journal)

    def _delivered(self) -> Delivered:
        try:
            return Delivered.model_validate_json((self._folder / DELIVERED).read_text())
        except (OSError, ValidationError):
            return Delivered()

    def _note(self, done: Delivered) -> None:
        write_json(self._folder / DELIVERED, done.model_dump())

    def _pending(self, offset: int) -> Iterator[tuple[Write | None, int]]:
        """The records from a byte on, each with the byte after it; None for a line that a crash tore."""
        if not (path := self._folder / OUTBOX).exists():
            return
        with path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # half written: later
                offset += len(line)
                try:
                    yield parse(line), offset
                except ValidationError:
                    log.warning("a torn record of the outbox is left out: %r", line[:80])
                    yield None, offset

    def _journal(self, done: Delivered) -> Delivered:
        """Deliver the points of the journal from `done` on."""
        path = self._folder / JOURNAL
        if not _has_more(path, done.journal):
            return done
        if self._read != done.journal:  # a new process, or a new store: what was delivered decides what is new
            self._fresh, self._read = OnePerStep(), done.journal
            list(self._fresh(_records(path, done.journal)))
        records, end = read_journal(path, self._read)
        fresh = copy.deepcopy(self._fresh)  # as it is, should the store not take them
        points = list(fresh(records))
        self._take(lambda: store.log_records(self._run_id, points))
        self._fresh, self._read = fresh, end
        done = done.model_copy(update={"journal": end})
        self._note(done)
        return done


class Outbox:
    """What a driver writes: to a file at once, and from a thread to the store."""

    def __init__(self, run_id: str, folder: Path) -> None:
        self._run_id, self._folder = run_id, folder
        self._unwritten: list[bytes] = []  # a full disk: kept here, and tried again
        self._writing, self._new, self._closing = threading.Lock(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        # whole before the thread imports mlflow, and with it parts of pyspark, which are circular: it or the run would fail
        import pyspark.sql  # noqa: F401

        self._thread.start()

    def status(self, status: store.Status, message: str | None = None) -> None:
        self._put(StatusWrite(status=status, message=message, time=_now()))

    def tag(self, name: str, value: str) -> None:
        self._put(TagWrite(name=name, value=value))

    def final(self, values: Mapping[str, Any]) -> None:
        self._put(FinalWrite(values=store.numbers(values), time=_now()))

    def dataset(self, name: str, fingerprint: str, path: str, counts: str) -> None:
        self._put(DatasetWrite(name=name, fingerprint=fingerprint, path=path, counts=counts))

    def file(self, name: str) -> None:
        """A file or a folder of the run folder."""
        self._put(FileWrite(name=name))

    def trials(self) -> None:
        """The trials of a search that have ended by the time when the store takes this."""
        self._put(TrialsWrite())

    def close(self, timeout_s: float) -> bool:
        """Wait until all is delivered or the time is up; whether it is. What is left stays in the file. May be called again."""
        self._closing.set()
        deadline = time.monotonic() + timeout_s
        courier = Courier(self._run_id, self._folder)
        while self._thread.is_alive():
            if not self._unwritten and courier.is_empty():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return courier.is_empty()

    def _put(self, write: Write) -> None:
        with self._writing:
            self._unwritten.append(write.model_dump_json().encode() + b"\n")
        self._save()
        self._new.set()

    def _save(self) -> None:
        with self._writing:
            if not self._unwritten:
                return
            try:
                append(self._folder / OUTBOX, b"".join(self._unwritten))
                self._unwritten.clear()
            except OSError as error:
                log.warning("the outbox cannot be written (%s); what it holds is kept in memory and tried again", error)

    def _work(self) -> None:
        lock = os.open(self._folder / OUTBOX_LOCK, os.O_RDWR | os.O_CREAT, settings().file_mode)
        fcntl.flock(lock, fcntl.LOCK_EX)  # an earlier attempt may still be delivering
        courier, wait, last = Courier(self._run_id, self._folder), TICK_S, ""
        while True:
            self._new.wait(timeout=TICK_S)
            self._new.clear()
            self._save()
            if courier.is_empty():
                continue
            try:
                courier.deliver()
                wait = TICK_S
            except Exception as error:
                said = str(error)
                log.log(logging.WARNING if said != last else logging.DEBUG, "the store does not take it; trying again: %s", said)
                last = said
                if self._closing.wait(wait):
                    time.sleep(TICK_S)
                wait = min(LONGEST_WAIT_S, 2 * wait)


def append(path: Path, lines: bytes) -> None:
    """Append whole lines in one write; a line that a crash tore before is ended first."""
    with path.open("ab+", buffering=0) as file:
        if end := file.seek(0, os.SEEK_END):
            file.seek(end - 1)
            if file.read(1) != b"\n":
                lines = b"\n" + lines
        if file.write(lines) != len(lines):
            file.truncate(end)
            raise OSError(28, "No space left on device")


def deliver(run_id: str) -> bool:
    """Deliver what a driver that has ended left; whether all is delivered. False too while another process delivers it.

    Raises:
        StoreError: the store cannot be used.
    """
    with sole(settings().runs / run_id) as alone:
        if alone:
            deliver_alone(run_id)
    return alone


def deliver_alone(run_id: str) -> None:
    """As `deliver`, for a caller that holds the outbox's lock."""
    courier = Courier(run_id, settings().runs / run_id)
    if (settings().runs / run_id / OUTBOX).exists() and not courier.is_empty():
        courier.deliver()


@contextmanager
def sole(folder: Path) -> Iterator[bool]:
    """Whether this process alone delivers a run, while the block lasts; true where there is no folder to deliver."""
    if not folder.is_dir():
        yield True
        return
    lock = os.open(folder / OUTBOX_LOCK, os.O_RDWR | os.O_CREAT, settings().file_mode)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _records(path: Path, end: int) -> list[dict[str, Any]]:
    """The records of a journal up to a byte."""
    with path.open("rb") as file:
        lines = file.read(end).splitlines()
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue  # torn by a crash
    return records


def _has_more(path: Path, offset: int) -> bool:
    """Whether a file has whole lines after a byte."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return b"\n" in file.read()
    except FileNotFoundError:
        return False


def _now() -> int:
    return int(time.time() * 1000)
