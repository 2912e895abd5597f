"""The pipelines on the help page: fields that the services know, commands that are ours, and steps that act on each exit code."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.sdk.service.jobs import JobSettings

from engine.cli.commands import _parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ui" / "help" / "ship.md").read_text(encoding="utf-8")
WORKFLOW, BUNDLE = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
WORDS = {"job.parameters.candidate": "a", "job.parameters.against": "b"}


def workflow() -> dict[str, Any]:
    read: dict[str, Any] = yaml.load(WORKFLOW, yaml.BaseLoader)  # in which `on` is a word, and not true
    return read


def job() -> dict[str, Any]:
    (one,) = workflow()["jobs"].values()
    return dict(one)


def test_the_workflow_has_fields_that_github_knows() -> None:
    assert workflow().keys() == {"on", "jobs"} and job().keys() == {"runs-on", "env", "outputs", "steps"}
    for step in job()["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert step.keys() <= {"id", "if", "with", "uses", "run"}
        assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])
        assert "${{" not in step.get("run", ""), "an input in a script is code: it belongs into the environment"
    ids = {step.get("id") for step in job()["steps"]}
    assert set(re.findall(r"steps\.(\w+)", str(job()["outputs"]))) <= ids
    assert set(re.findall(r"inputs\.(\w+)", str(job()["env"]))) == workflow()["on"]["workflow_dispatch"]["inputs"].keys()


@pytest.mark.parametrize(("code", "passes"), [(0, True), (1, False), (2, True), (3, False), (137, False)])
def test_the_step_passes_with_what_it_says_and_tells_the_code(tmp_path: Path, code: int, passes: bool) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nexit {code}\n')
    uv.chmod(0o755)
    (script,) = (step["run"] for step in job()["steps"] if "run" in step)
    (tmp_path / "step.sh").write_text(script)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CANDIDATE": "a", "AGAINST": "b; exit", "GITHUB_OUTPUT": str(tmp_path / "output")}
    ended = subprocess.run(["bash", "-e", "step.sh"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (ended.returncode == 0) is passes
    assert ("::warning::" in ended.stdout) is (code == 2)
    assert (tmp_path / "output").read_text() == f"code={code}\n"
    assert (tmp_path / "words").read_text().startswith("run recbench gate a --against b; exit --tolerance 1%")


def test_what_the_workflow_uploads_is_what_the_gate_writes() -> None:
    (script,) = (step["run"] for step in job()["steps"] if "run" in step)
    (uploads,) = (step["with"]["path"] for step in job()["steps"] if "upload" in step.get("uses", ""))
    words = script.splitlines()[0].removeprefix("uv run recbench ").partition(" ||")[0].replace('"', "").split()
    args = _parser().parse_args(words)
    assert args.tolerance == 0.01
    assert args.junit.match(uploads) and args.record.match(uploads)


def test_the_databricks_job_has_no_field_that_the_api_does_not_know_and_runs_our_command() -> None:
    (declared,) = yaml.safe_load(BUNDLE)["resources"]["jobs"].values()
    assert JobSettings.from_dict(declared).as_dict() == declared, "the SDK drops what it does not know"
    task = declared["tasks"][0]["python_wheel_task"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (task["package_name"], task["entry_point"] in project["scripts"]) == (project["name"], True)
    (library,) = declared["tasks"][0]["libraries"]
    assert Path(library["whl"]).name == f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"
    asked = {one["name"] for one in declared["parameters"]}
    words = [re.sub(r"\{\{(.+)\}\}", lambda found: WORDS[found[1]], word) for word in task["parameters"]]
    args = _parser().parse_args(words)
    assert (args.candidate, args.against) == ("a", "b") and asked == {"candidate", "against"}
    assert args.junit.is_relative_to("/Volumes")
