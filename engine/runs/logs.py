"""Logs of runs, as plain text: what their processes logged, and what Spark and libraries printed beside it. Reading writes nothing."""

import re
from pathlib import Path
from typing import NamedTuple

from engine.runs import read
from engine.settings import settings
from workers.artifacts import LOG, OUTPUT
from workers.specs import mask

LINE = 1000  # characters of a line that are shown
MOST_BYTES = 2_000_000  # of the end of a log that `log_lines` reads
PRINTED = "printed"  # who wrote what went past the log, in place of a process's name
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")  # ECMA-48: sequences, titles, single moves
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# as `workers.run.LogFormat` writes it: the name of a library's logger is in parentheses, the workbench's own have none
_RECORD = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ \[(?P<who>[^\]]{1,40})\] (?P<level>[A-Z]+) (?P<library>\([\w.-]+\) )?")
_STACKS = ("Fatal Python error", "Current thread 0x", "Thread 0x")  # of faulthandler, which knows no log


class LogLine(NamedTuple):
    """A line of a log. `who`: the process that wrote it, such as driver, rank 0, fit. `ours`: no library's mere remark."""

    text: str
    who: str
    ours: bool


def log_lines(run_id: str) -> list[LogLine]:
    """The lines of a run's log, of its last MOST_BYTES; then what its processes printed past it, whose `who` is PRINTED.

    A library speaks for us where it reports an error. Lines that continue a record, such as a traceback, are whose the record is.
    """
    folder = settings().runs / read.get_run(run_id).run_id
    lines, who, ours = [], "driver", True
    for text in _end(folder / LOG, MOST_BYTES):
        if found := _RECORD.match(text):
            who, ours = found["who"], not found["library"] or found["level"] in ("ERROR", "CRITICAL")
        elif text.startswith(_STACKS):
            ours = True
        lines.append(LogLine(text, who, ours))
    return lines + [LogLine(mask(text), PRINTED, False) for text in _end(folder / OUTPUT, MOST_BYTES)]


def log_text(run_id: str) -> str:
    """The whole log of a run and what was printed past it, without passwords and keys; for a file."""
    folder = settings().runs / read.get_run(run_id).run_id
    parts = [(LOG, folder / LOG), (OUTPUT, folder / OUTPUT)]
    return "\n".join(f"== {name}\n{mask(path.read_text('utf-8', 'backslashreplace'))}" for name, path in parts if path.is_file())


def log_tail(run_id: str, lines: int = 200) -> str:
    """The last lines of a run's log as plain text: bytes that are not UTF-8 and control characters are escaped, long lines are cut.

    Of a line that was written over, as progress bars are, the last state is shown; colours of a terminal are left out.
    """
    return "\n".join(_end(settings().runs / read.get_run(run_id).run_id / LOG, 400 * lines)[-lines:])


def _end(path: Path, most: int) -> list[str]:
    """The lines in the last bytes of a file, as a terminal would leave them; none where there is no file, or nothing in it."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - most))
            text = file.read().decode("utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return []
    return [_plain(line) for line in text.removesuffix("\n").split("\n")] if text else []


def _plain(line: str) -> str:
    """A line of a log as a terminal would leave it, without colours, of at most LINE characters."""
    shown = _TERMINAL.sub("", line.rstrip("\r").rsplit("\r", 1)[-1])
    cut = shown if len(shown) <= LINE else f"{shown[:LINE]} …"
    return _CONTROL.sub(lambda one: f"\\x{ord(one[0]):02x}", cut)
