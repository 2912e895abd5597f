"""pyspark's parts import each other in a circle: it is whole before a second thread imports what needs it."""

import subprocess
import sys

PLANTED = """
import sys
from engine.prepare import pipeline, source_rows

def load(preparation):
    raise SystemExit(0)

assert "pyspark.sql" not in sys.modules
pipeline.import_streaming = lambda: print("whole" if hasattr(sys.modules.get("pyspark.sql"), "SparkSession") else "partial", flush=True)
source_rows.load = load
pipeline.build(None, lambda phase, step, total: None)
"""


def test_a_preparation_imports_pyspark_before_it_imports_streaming_in_a_thread() -> None:
    ended = subprocess.run([sys.executable, "-c", PLANTED], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "whole"


DELIVERED = """
import sys, tempfile
from pathlib import Path
from engine.runs import Outbox

outbox = Outbox("0" * 32, Path(tempfile.mkdtemp()))
assert "pyspark.sql" not in sys.modules
outbox._thread.start = lambda: print("whole" if hasattr(sys.modules.get("pyspark.sql"), "SparkSession") else "partial")
outbox.start()
"""


def test_a_driver_imports_pyspark_before_its_outbox_imports_mlflow_in_a_thread() -> None:
    ended = subprocess.run([sys.executable, "-c", DELIVERED], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "whole"
