"""The table of faults: read from a real report of pytest."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TypeGuard

from tests import faults

TESTS = """
import pytest

@pytest.mark.fault("F01", "F02")
def test_both(record_property):
    record_property("truth_s", 2.5)

@pytest.mark.fault("F02")
def test_fails():
    assert False

@pytest.mark.fault("F03")
def test_skips():
    pytest.skip("no browser")
"""
CONFTEST = """
def pytest_collection_modifyitems(items):
    for item in items:
        item.user_properties += [("fault", fault) for mark in item.iter_markers("fault") for fault in mark.args]
"""


def test_each_fault_has_a_row_with_what_its_tests_saw(tmp_path: Path) -> None:
    (tmp_path / "test_them.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    report = tmp_path / "report.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "markers=fault", f"--junitxml={report}", str(tmp_path)],
        capture_output=True,
    )
    seen = faults.read(report)
    assert seen["F01"].text == "ok (1 test)" and seen["F01"].truth_s == 2.5
    assert seen["F02"].text == "FAILED: test_fails"
    assert seen["F03"].text == "not seen: test_skips"
    lines = faults.table(seen).splitlines()
    assert len(lines) == 2 + len(faults.FAULTS)
    assert lines[2].endswith("| ok (1 test) | 2.5 |")


def named(root: Path) -> dict[str, set[str]]:
    """Fault -> names of the tests under a folder that are marked with it, read from their sources."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(root.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            marks = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            marks += [part for part in ast.walk(node.value) if isinstance(part, ast.Call)] if _is_pytestmark(node) else []
            for mark in marks:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                    for given in mark.args:
                        found[ast.literal_eval(given)].add(getattr(node, "name", path.name))
    return found


def _is_pytestmark(node: ast.AST) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)


def test_every_fault_is_injected_by_a_test_or_has_a_reason_why_not() -> None:
    marked = named(Path(__file__).parents[1])
    assert not marked.keys() - faults.FAULTS.keys(), "no such fault"
    assert not faults.ELSEWHERE.keys() - faults.FAULTS.keys(), "no such fault"
    assert [fault for fault in faults.FAULTS if fault not in marked and fault not in faults.ELSEWHERE] == []
    assert all(len(reason) > 20 for reason in faults.ELSEWHERE.values())
