"""Imports go down one floor, and opening a page that needs no training stack brings none: checked in fresh interpreters."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = {"ui": 2, "engine": 1, "workers": 0}
HEAVY = {"torch", "torchrec", "pyspark", "streaming", "mlflow", "fbgemm_gpu", "transformers", "implicit"}
BRINGS_TORCH = {"engine/recommend/explanations.py", "engine/recommend/recommender.py"}
SCRIPTS = {"engine/registry/mlflow_model.py"}  # runs where a model is served
PROCESSES = {"engine/driver/__main__.py", "engine/tables/peek.py"}


def sources(floor: str) -> list[Path]:
    return sorted((ROOT / floor).rglob("*.py"))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_go_down_one_floor(floor):
    assert sources(floor)
    for path in sources(floor):
        for target in imported(path) & FLOORS.keys() - {floor}:
            assert FLOORS[target] == FLOORS[floor] - 1, f"{path.relative_to(ROOT)} imports {target}"


def test_a_rank_knows_no_spark():
    for path in sources("workers"):
        assert not imported(path) & {"pyspark", "mlflow", "streamlit"}, path


def loads(code: str, heavy: set[str] = HEAVY) -> set[str]:
    """Which heavy packages a fresh interpreter has loaded after running some code."""
    script = f"import sys\n{code}\nprint(*sorted({heavy!r} & {{m.split('.')[0] for m in sys.modules}}))"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


def test_the_engine_opens_without_the_training_stack():
    modules = [p.relative_to(ROOT).as_posix() for p in sources("engine")]
    names = [m.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for m in modules if m not in BRINGS_TORCH | SCRIPTS]
    assert "engine.runs.launch" in names
    assert not loads("import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in names))


def test_declarations_on_the_lowest_floor_need_no_torch():
    assert not loads("import workers.specs, workers.artifacts.results, workers.models, workers.training.entry, workers.evaluation.metrics")
    assert not loads("import workers.training.write_results")  # which a fit writes its results with
    assert not loads("import workers.evaluation.lists", HEAVY | {"scipy"})
    assert not loads("import workers.models", HEAVY | {"scipy", "numpy", "pandas"})


def test_the_components_of_pages_need_no_training_stack():
    names = [
        p.relative_to(ROOT).as_posix().removesuffix(".py").replace("/", ".") for p in sources("ui") if p.name not in ("page.py", "app.py")
    ]
    assert not loads("import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in names))
