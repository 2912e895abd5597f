"""The table of faults: read from a real report of pytest."""

import subprocess
import sys
from pathlib import Path

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
