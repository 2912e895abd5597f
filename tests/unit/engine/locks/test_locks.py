"""Locks of a shared workspace say whose they are."""

import os
import socket
from pathlib import Path

import pytest

from engine.locks import LockError, held
from engine.runs.processes import is_locked
from engine.settings import SettingsError, settings


def test_who_waits_in_vain_is_told_who_holds_the_lock(untouched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECBENCH_USER", "ann")
    with held(".a.lock", 1, "Taking runs in"):
        monkeypatch.setenv("RECBENCH_USER", "bob")
        with pytest.raises(LockError) as refused, held(".a.lock", 0.05, "Taking runs in"):
            pass
        said = str(refused.value)
        assert said.startswith(f"Taking runs in is still being done by ann on {socket.gethostname()}, process {os.getpid()}, since ")
    with held(".a.lock", 0.05, "Taking runs in"):
        pass
    assert not list(untouched.glob("*.holder")), "a lock that is free is nobody's"


def _enter(folder: Path) -> None:
    """Let everybody pass through the folders above, which pytest keeps for their user."""
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_workspace_of_another_user_is_a_sentence(untouched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECBENCH_USER", "bob")
    untouched.mkdir()
    untouched.chmod(0o755)
    _enter(untouched)
    os.seteuid(65534)
    try:
        with (
            pytest.raises(LockError, match=r"bob may not write .*\.a\.lock \(Permission denied\).*RECBENCH_SHARED_GROUP=true"),
            held(".a.lock", 1, "It"),
        ):
            pass
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_workspace_that_is_closed_to_this_user_is_a_sentence_and_a_run_that_is_closed_is_not_judged(
    untouched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECBENCH_USER", "bob")
    for folder in (untouched, untouched / "runs" / "a"):
        folder.mkdir(parents=True)
    (untouched / "runs" / "a" / "lock").touch(mode=0o600)
    _enter(untouched)
    untouched.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(SettingsError, match="is of another user, who has not opened it to bob: they set RECBENCH_SHARED_GROUP=true"):
            settings()
    finally:
        os.seteuid(0)
    for folder in (untouched, untouched / "runs", untouched / "runs" / "a"):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        assert is_locked(untouched / "runs" / "a")
    finally:
        os.seteuid(0)
