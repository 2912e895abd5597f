"""What a person writes above a comparison's report; kept with the comparison, which is its set of runs."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from engine.compare import Comparison
from engine.settings import settings

FOLDER, LONGEST_NARRATIVE = "comparisons", 20_000


def narrative(run_ids: Iterable[str]) -> str:
    """What was written about a comparison of these runs, in whatever order; empty where nothing was, or where it cannot be read."""
    try:
        text = json.loads(_path(run_ids).read_text(encoding="utf-8"))["narrative"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return text[:LONGEST_NARRATIVE] if isinstance(text, str) else ""


def set_narrative(run_ids: Iterable[str], text: str) -> None:
    """Keep what a person writes about a comparison of these runs; an empty text deletes it.

    Raises:
        ValueError: longer than 20,000 characters, or no run.
    """
    ids = sorted(set(run_ids))
    if not ids:
        raise ValueError("Notes belong to a comparison; name its runs.")
    if len(text) > LONGEST_NARRATIVE:
        raise ValueError(f"The notes have {len(text):,} characters; write {LONGEST_NARRATIVE:,} or fewer.")
    path = _path(ids)
    if not text.strip():
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".partial", dir=path.parent)  # for its owner alone: 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"runs": ids, "narrative": text}, file)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def runs_of(comparison: Comparison) -> list[str]:
    """The runs of a comparison, by which its narrative is kept: every seed of every contender."""
    return [run_id for one in comparison.contenders for run_id in one.runs]


def paragraphs(text: str) -> list[list[str]]:
    """The lines of each paragraph; blank lines separate paragraphs."""
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [lines for lines in found if lines]


def _path(run_ids: Iterable[str]) -> Path:
    name = hashlib.sha256("\n".join(sorted(set(run_ids))).encode()).hexdigest()[:24]
    return settings().workspace / FOLDER / f"{name}.json"
