"""One look for every run state on every page."""

from typing import Any, Literal, NamedTuple

import streamlit as st

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


def look(state: Any) -> Look:
    """How a state is shown; a state this page does not know is shown by its name."""
    name = str(getattr(state, "name", state)).upper()
    return LOOKS.get(name, Look(name.capitalize(), ":material/help:", "gray"))


def is_in(run: Any, *names: str) -> bool:
    """Whether a run is in one of some states."""
    return str(getattr(run.state, "name", run.state)).upper() in names


def badge(run: Any, width: Literal["content"] | int = "content") -> None:
    """The state of a run; the cause of a failure is in the tooltip."""
    shown = look(run.state)
    st.badge(shown.label, icon=shown.icon, color=shown.color, help=words.md(run.message, 400) if run.message else None, width=width)


def _came(progress: Any) -> str:
    """12.3 of 78.0 MB (16 %); where the server does not say how much there is, only what has come."""
    came = words.size(progress.step)
    if progress.total <= progress.step:  # an unknown size is told as what has come
        return came
    return f"{came} of {words.size(progress.total)} ({100 * progress.share:.0f} %)"


def sentence(run: Any) -> str:
    """Running 42 % · training · epoch 3 of 10 · 12,000 rows/s · 1 min left; of a download: Running · downloading · 12 MB of 78 MB …"""
    shown = look(run.state).label
    progress = run.progress
    if not run.live or progress is None:
        return shown
    counted = run.kind == "download"
    parts = [shown if counted else f"{shown} {100 * progress.share:.0f} %", words.plain(progress.phase)]
    if counted and progress.step:
        parts.append(_came(progress))
    if progress.epoch is not None and progress.epochs:
        parts.append(f"epoch {progress.epoch} of {progress.epochs}")
    if progress.rows_per_s:
        parts.append(f"{words.count(progress.rows_per_s)} rows/s")
    if progress.bytes_per_s:
        parts.append(f"{words.size(progress.bytes_per_s)}/s")
    parts.append(words.left(progress.eta_s))
    return " · ".join(part for part in parts if part)
