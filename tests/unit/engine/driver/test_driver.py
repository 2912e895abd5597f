"""The process of a run ends with the run, whatever it had started beside it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
HANGING = """
import time
import engine.spark
engine.spark.session = lambda name, **asked: time.sleep(600)
from engine.driver.launching import start_spark
from workers.run import RunSpec
from workers.run.attempts import Attempt
assert not start_spark("a" * 32, RunSpec.model_validate({"dataset": "sample-1", "model": {"kind": "dlrm"}}), Attempt()).done()
"""


def test_a_driver_does_not_wait_for_a_spark_that_never_comes_up():
    """A run that is refused early ends its JVM while it starts; pyspark then looks for its port for ever."""
    ended = subprocess.run([sys.executable, "-c", HANGING], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
