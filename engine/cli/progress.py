"""Progress of runs on standard error."""

import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm

    from engine.runs import Progress, Run

EVERY_S = 10  # between two lines


def wait(run_ids: list[str]) -> list["Run"]:
    """Show progress until every run has ended. Ctrl-C ends the waiting alone: says that the runs go on and how to stop them."""
    ended: list[Run] = []
    try:
        for run_id in run_ids:
            ended.append(_wait(run_id))
    except KeyboardInterrupt:
        for run_id in run_ids[len(ended) :]:
            print(
                f"\nrecbench: {run_id} goes on; `recbench cancel {run_id}` stops it, `recbench runs` shows it.", file=sys.stderr, flush=True
            )
        raise
    return ended


def _wait(run_id: str) -> "Run":
    import engine

    run = engine.runs.get_run(run_id)
    lines = None if sys.stderr.isatty() else _Lines(run.title)
    with _bar(run.title) as bar:
        while run.live:
            if lines:
                lines.write(run.progress)
            if run.progress:
                bar.n = int(run.progress.share * 1000)
                bar.set_postfix_str(_progress_text(run.progress))
            time.sleep(0.5)
            run = engine.runs.get_run(run_id)
        bar.n = 1000 if run.state == engine.runs.RunState.FINISHED else bar.n
        bar.set_postfix_str(run.state.value)
    if run.message and run.state != engine.runs.RunState.FINISHED:
        print(f"recbench: {run.title} {run.state.value}: {run.message}", file=sys.stderr)
    return run


class _Lines:
    """Progress as lines, where standard error is a file or a pipe: one at once, then one every ten seconds."""

    def __init__(self, title: str) -> None:
        self.title, self.started, self.due = title, time.monotonic(), 0.0

    def write(self, progress: "Progress | None") -> None:
        elapsed = time.monotonic() - self.started
        if elapsed >= self.due:
            self.due = elapsed + EVERY_S
            print(line(self.title, progress, elapsed), file=sys.stderr, flush=True)


def line(title: str, progress: "Progress | None", elapsed: float) -> str:
    """What a run does, and since how many seconds it has been waited for."""
    at = f"{progress.share:.0%}, {_progress_text(progress)}" if progress else "waiting for its turn"
    return f"recbench: {title}: {at}, after {int(elapsed) // 60}:{int(elapsed) % 60:02d}"


def _bar(title: str) -> "tqdm[NoReturn]":
    from tqdm import tqdm

    # no bar where standard error is not a terminal
    layout = "{desc:32} {percentage:3.0f}% |{bar}| {elapsed} {postfix}"
    return tqdm(total=1000, desc=title[:32], bar_format=layout, file=sys.stderr, disable=not sys.stderr.isatty())


def _progress_text(progress: "Progress") -> str:
    parts = [progress.phase]
    if progress.part:
        parts.append(progress.part)
    if progress.rows_per_s:
        parts.append(f"{progress.rows_per_s:,.0f} rows/s")
    if progress.eta_s is not None:
        parts.append(f"{progress.eta_s:.0f} s left at most")
    return ", ".join(parts)
