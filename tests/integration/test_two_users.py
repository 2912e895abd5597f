"""Two users of one machine in one workspace: what one leaves, the other goes on with, and what they may not do is a sentence."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock  # noqa: F401  (another user may not read the folders of these two)
import pytest
import requests  # noqa: F401

from engine import locks
from engine.datasets import downloads
from engine.recommend import votes
from engine.settings import keep_private, settings

ANN, BOB, GROUP = 40001, 40002, 40000
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as other users")


def said_to(user: int, function: Callable[[], object]) -> str:
    """What a function raises in a process of another user, as "Type: message"; nothing where it works."""
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        said = ""
        try:
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(user)
            os.environ["RECBENCH_USER"] = {ANN: "ann", BOB: "bob"}[user]
            keep_private()
            function()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(writes, said.encode())
            os._exit(0)
    os.close(writes)
    with open(reads, encoding="utf-8") as told:
        answer = told.read()
    os.waitpid(child, 0)
    return answer


@pytest.fixture
def anns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace that Ann makes, in a folder of her own that others may pass through."""
    os.chown(tmp_path, ANN, GROUP)
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o755)
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path / "shared"))
    mask = os.umask(0o002)  # a test before this one may have set that of a workspace of its own
    yield tmp_path / "shared"
    os.umask(mask)


def vote(whom: str) -> votes.Vote:
    return votes.cast("films-0123456789ab", "a", "b", whom, 10, "run")


def test_the_users_of_a_group_vote_one_after_the_other(anns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECBENCH_SHARED_GROUP", "true")
    for user, whom in ((ANN, "1"), (BOB, "2"), (ANN, "3")):
        assert said_to(user, lambda whom=whom: vote(whom)) == ""  # type: ignore[misc]
    cast = votes.list_votes("films-0123456789ab")
    assert [one.whom for one in cast] == ["1", "2", "3"]
    assert said_to(BOB, lambda: votes.withdraw(cast[0])) == ""
    assert said_to(ANN, lambda: vote("4")) == ""
    assert [one.whom for one in votes.list_votes("films-0123456789ab")] == ["2", "3", "4"]


def test_who_does_not_say_that_a_workspace_is_shared_shares_it_all_the_same(anns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECBENCH_SHARED_GROUP", "true")
    assert said_to(ANN, settings) == ""
    monkeypatch.delenv("RECBENCH_SHARED_GROUP")
    for user in (BOB, ANN):
        assert said_to(user, lambda: vote("1")) == ""
    assert len(votes.list_votes("films-0123456789ab")) == 2


def test_a_workspace_that_is_not_shared_takes_no_vote_of_others(anns: Path) -> None:
    assert said_to(ANN, lambda: vote("1")) == ""
    said = said_to(BOB, lambda: vote("2"))
    assert said.startswith("SettingsError: The workspace") and "RECBENCH_SHARED_GROUP=true" in said
    anns.chmod(0o755)  # opened, but not for writing
    said = said_to(BOB, lambda: vote("2"))
    assert said.startswith("LockError: bob may not write") and "RECBENCH_SHARED_GROUP=true" in said


def test_whoever_downloads_the_same_is_named(anns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECBENCH_SHARED_GROUP", "true")
    wanted = downloads.DOWNLOADS["ml-100k"]

    def ask() -> None:
        downloads.fetch(wanted, lambda *_: None)

    assert said_to(ANN, settings) == ""
    monkeypatch.setenv("RECBENCH_USER", "root")
    with locks.held("downloads/ml-100k.zip.lock", 0, "It"):
        said = said_to(BOB, ask)
    assert said.startswith("LockError: The download of MovieLens 100K is still being done by root on ")
    assert said.endswith(": end it, or try again.")
