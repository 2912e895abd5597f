"""The label, icon and colour of each run state, the same on every page."""

from typing import Literal, NamedTuple

import streamlit as st

from engine.runs import Progress, Run, RunState
from ui.shared import words

Color = Literal["gray", "blue", "orange", "green", "red", "violet"]


class Look(NamedTuple):
    label: str
    icon: str
    color: Color


LOOKS = {
    "QUEUED": Look("Queued", ":material/schedule:", "gray"),
    "PREPARING": Look("Preparing", ":material/hourglass_top:", "blue"),
    "RUNNING": Look("Running", ":material/play_circle:", "blue"),
    "CANCELLING": Look("Cancelling", ":material/hourglass_bottom:", "orange"),
    "CANCELLED": Look("Cancelled", ":material/cancel:", "gray"),
    "FINISHED": Look("Finished", ":material/check_circle:", "green"),
    "FAILED": Look("Failed", ":material/error:", "red"),
    "INTERRUPTED": Look("Interrupted", ":material/power_off:", "orange"),
}


def look(state: RunState) -> Look:
    """Label, icon and colour of a state; an unknown state shows its name."""
    return LOOKS.get(state.name, Look(state.name.capitalize(), ":material/help:", "gray"))


def is_in(run: Run, *names: str) -> bool:
    """Whether a run is in one of some states."""
    return run.state.name in names


def badge(run: Run, width: Literal["content"] | int = "content") -> None:
    """The state of a run; the cause of a failure is in the tooltip."""
    style = look(run.state)
    cause = words.md(run.message.partition("\n")[0], 400) if run.message else None
    st.badge(style.label, icon=style.icon, color=style.color, help=cause, width=width)


def _downloaded(progress: Progress) -> str:
    """12.3 of 78.0 MB (16 %); where the server does not state the size, the bytes received."""
    received = words.size(progress.step)
    if progress.total <= progress.step:  # the engine reports an unknown size as the bytes received
        return received
    return f"{received} of {words.size(progress.total)} ({100 * progress.share:.0f} %)"


def phase(run: Run) -> str:
    """What a live run does: training · epoch 3 of 10; empty once it has ended."""
    progress = run.progress
    if not run.live or progress is None:
        return ""
    return " · ".join(filter(None, [words.plain(progress.phase, 60), progress.part]))


def sentence(run: Run) -> str:
    """Running 42 % · training · epoch 3 of 10 · 12,000 rows/s · 1 min left; of a download: Running · downloading · 12 MB of 78 MB …"""
    label = look(run.state).label
    progress = run.progress
    if not run.live or progress is None:
        return label
    counted = run.kind == "download"
    parts = [label if counted else f"{label} {100 * progress.share:.0f} %", words.plain(progress.phase)]
    if counted and progress.step:
        parts.append(_downloaded(progress))
    parts.append(progress.part)
    if progress.rows_per_s:
        parts.append(f"{words.count(progress.rows_per_s)} rows/s")
    if progress.bytes_per_s:
        parts.append(f"{words.size(progress.bytes_per_s)}/s")
    parts.append(words.left(progress.eta_s))
    return " · ".join(part for part in parts if part)
