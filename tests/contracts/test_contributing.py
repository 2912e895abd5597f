"""The worked examples of CONTRIBUTING, added to a copy of the project and used: registry, form, contracts, a training, a preview."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / ".github" / "CONTRIBUTING.md"
BLOCK = re.compile(r"`(?P<path>(?:workers|engine|tests)/[\w/]+\.pyi?)`(?:(?!\n\n).)*\n\n```python\n(?P<code>.*?)```", re.DOTALL)
MODEL, SOURCE = "rp3beta", "lastfm"
pytestmark = pytest.mark.slow

FORM = """
from streamlit.testing.v1 import AppTest
page = '''
import engine
from ui.shared import forms
forms.built(engine.specs.MODELS["{model}"], forms.inputs(engine.specs.MODELS["{model}"], "model"))
forms.inputs(engine.sources.SOURCES["{source}"], "source")
'''
at = AppTest.from_string(page, default_timeout=60).run()
assert not at.exception, at.exception
print(*(widget.label for widget in [*at.number_input, *at.text_input]), sep="|")
"""
DATASET = """
import sys
from pathlib import Path
from tests import tiny
tiny.write(tiny.groups(users=200, items=80), Path(sys.argv[1]))
"""
PREVIEW = """
import sys
from engine.datasets import DatasetSpec
from engine.preview import preview
seen = preview(DatasetSpec(name="lastfm", source={"kind": "lastfm", "path": sys.argv[1]}))
print(seen.audit.rows_read, seen.audit.rows_used, len(seen.set_aside))
print(seen.audit.model_dump_json())
"""


def examples() -> dict[str, str]:
    """Path -> code of every block in the guide whose paragraph above it names a file."""
    return {found["path"]: found["code"] for found in BLOCK.finditer(GUIDE.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with both examples in it."""
    folder = tmp_path_factory.mktemp("contributing") / "project"
    for name in ("ui", "engine", "workers", "tests", ".streamlit"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, code in examples().items():
        path = folder / name
        if path.suffix == ".pyi":  # a line more on a face that is there
            code = path.read_text(encoding="utf-8") + code
        path.write_text(code, encoding="utf-8")
    return folder


def run(copy: Path, *words: str | Path, workspace: Path | None = None) -> str:
    """What Python prints in the copy; the test fails with its errors."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "RECBENCH_WORKSPACE": str(workspace or copy.parent / "workspace")}
    ended = subprocess.run([sys.executable, *map(str, words)], cwd=copy, env=environment, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    return ended.stdout


def test_the_guide_has_every_file_that_the_examples_need() -> None:
    assert set(examples()) == {
        f"workers/matrices/{MODEL}.py", "workers/matrices/__init__.pyi", f"workers/models/{MODEL}.py",
        f"tests/unit/workers/matrices/test_{MODEL}.py", f"engine/sources/{SOURCE}.py",
    }  # fmt: skip


def test_the_examples_read_as_our_code_does(copy: Path) -> None:
    files = [copy / name for name in examples() if name.endswith(".py")]
    run(copy, "-m", "ruff", "check", "--no-cache", *files)
    run(copy, "-m", "ruff", "format", "--no-cache", "--check", *files)


def test_registry_command_line_and_form_pick_both_up(copy: Path) -> None:
    spec = json.loads(run(copy, "-c", "from engine.cli import main; main()", "spec", "run", "--model", MODEL))
    assert spec["model"] == {"kind": MODEL, "beta": None}
    spec = json.loads(run(copy, "-c", "from engine.cli import main; main()", "spec", "dataset", "--source", SOURCE))
    assert (spec["source"]["kind"], spec["label"]["kind"], spec["split"]["kind"]) == (SOURCE, "user_mean", "random")
    assert run(copy, "-c", FORM.format(model=MODEL, source=SOURCE)).split("\n")[-2].split("|") == ["Beta", "Path"]


def test_the_contracts_hold_for_both(copy: Path) -> None:
    suites = ["tests/unit/workers/matrices", "tests/contracts/test_sources.py", "tests/contracts/test_floors.py"]
    printed = run(copy, "-m", "pytest", "-v", "-n", "0", "-p", "no:cacheprovider", *suites, "-k", f"{MODEL} or {SOURCE} or floor or lowest")
    for name in (MODEL, SOURCE, "a_walk_of_three_steps", "imports_go_down"):
        assert re.search(rf"{name}.*PASSED", printed, re.IGNORECASE), name


def test_the_model_is_fitted_tuned_and_beats_popularity(copy: Path, tmp_path: Path) -> None:
    dataset, folder = tmp_path / "dataset", tmp_path / "run"
    run(copy, "-c", DATASET, dataset)
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps({"dataset": "tiny", "model": {"kind": MODEL}}))
    run(copy, "-m", "workers.training.fit", folder, dataset, "1")
    done = json.loads((folder / "done.json").read_text())
    assert done["chosen"].keys() == {"model.beta"}
    popularity = json.loads((dataset / "baselines" / "popularity.json").read_text())
    assert done["metrics"]["recall_at_10"] > 0.9 > 0.5 > popularity["recall_at_10"]


def test_the_source_is_previewed_and_every_row_is_accounted_for(copy: Path, tmp_path: Path) -> None:
    table = tmp_path / "user_artists.dat"
    rows = [f"{user}\t{artist}\t{1 + user * artist % 97}" for user in range(2, 22) for artist in range(51, 71)]
    table.write_text("\n".join(["userID\tartistID\tweight", *rows, "2\t51", "3\t52\tnone"]) + "\n")
    counts, audit = run(copy, "-c", PREVIEW, table).strip().split("\n")[-2:]
    assert counts.split() == ["402", "400", "2"]
    assert sum(json.loads(audit)["set_aside"].values()) == 2
