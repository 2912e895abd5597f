"""Which ends of an attempt say that a process or a host was lost, so that another attempt may succeed."""

import json
from pathlib import Path

import pytest

from engine.driver.causes import of_attempt
from engine.driver.watch import Watch
from workers.cpu.exchange import HostRanks

GLOO = "[gloo/transport/tcp/pair.cc:537] Connection closed by peer [127.0.0.1]:40371"
SHARED = str(HostRanks._gone(None, 0))  # type: ignore[arg-type]


def left(folder: Path, **messages: str) -> Path:
    """The folder of a run whose ranks left these messages."""
    for place, (rank, message) in enumerate(messages.items()):
        said = {"type": "ConnectionError", "message": message, "traceback": message, "time": float(place)}
        (folder / f"{rank}.error.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("message", [GLOO, SHARED], ids=["gloo", "shared tables"])
def test_a_rank_that_ended_without_a_word_was_lost(message: str, tmp_path: Path) -> None:
    cause = of_attempt(left(tmp_path, rank1=message), "", Watch(tmp_path))
    assert cause.lost and "ended without a word" in cause.sentence


def test_a_rank_that_says_why_was_not_lost_although_others_miss_it(tmp_path: Path) -> None:
    cause = of_attempt(left(tmp_path, rank0="The loss is nan at step 3.", rank1=SHARED), "", Watch(tmp_path))
    assert not cause.lost and "The loss is nan" in cause.sentence
