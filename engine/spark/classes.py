"""The classes that Spark's JVM has loaded, kept as the JVM maps them: the next start reads no jar for them and takes half as long.

This is the JDK's class data sharing: an archive that a JVM leaves when it ends (JEP 350), from Java 25 on a cache (JEP 483, 514).
A JVM that finds it made of other jars starts without; one that dies of it starts a second time.
"""

import hashlib
import logging
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AHEAD_OF_TIME = 25  # the Java from which on a cache needs no archive of the JDK's own, which the wheel's Java lacks
LEAVES = ("-XX:AOTCacheOutput=", "-XX:ArchiveClassesAtExit=")
PATIENCE_S = 60
OLD_S = 30 * 24 * 3600
OPTIONS = "spark.driver.extraJavaOptions"
log = logging.getLogger(__name__)


def flags(java: str, version: int, keeps: bool) -> str:
    """The JVM's options to start from the classes that are kept; where none are, to leave them, if somebody `keeps` them.

    Args:
        java: what `java -version` tells.
        version: the major version of that.
    """
    kept, late = _kept(java), version >= AHEAD_OF_TIME
    if kept.is_file():
        name, file = "AOTCache" if late else "SharedArchiveFile", kept
    elif keeps:
        name, file = "AOTCacheOutput" if late else "ArchiveClassesAtExit", Path(tempfile.gettempdir()) / kept.name
    else:
        return ""
    return f'"-XX:{name}={file}" -Xlog:disable -Xlog:all=error'


def keep(spark: "SparkSession", told: Callable[[str], None]) -> None:
    """End the session's JVM, if it was started to leave its classes, and keep them. Where that fails, the next start is as slow, no more.

    Args:
        told: what this does, as it begins; it takes seconds, once on a machine.
    """
    options, gateway = shlex.split(spark.sparkContext.getConf().get(OPTIONS) or ""), spark.sparkContext._gateway
    left = [Path(option.partition("=")[2]) for option in options if option.startswith(LEAVES)]
    if not left or gateway is None or gateway.proc is None:
        return
    told("keeping what Spark loaded, so that it starts faster")
    try:
        spark.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()  # at which the JVM ends
        if code := gateway.proc.wait(PATIENCE_S):
            raise OSError(f"Java ended with code {code}")
        _publish(left[0])
        log.info("Spark's classes are kept: %s", left[0].name)
    except Exception as error:  # of files, of a JVM that hangs, of py4j: whatever it is, the run has been done well
        log.warning("Spark's classes could not be kept, so that its next start takes as long: %s", error)


def forget(java: str) -> bool:
    """Remove what is kept for this Java, when a JVM did not start from it; whether there was any."""
    kept = _kept(java)
    if not kept.is_file():
        return False
    kept.unlink(missing_ok=True)
    log.warning("Spark did not start from the classes kept in %s: removed", kept)
    return True


def _publish(left: Path) -> None:
    """Into the folder by one rename; archives that are old go, since each version of Java and Spark makes its own."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = folder / f"{left.stem}.{os.getpid()}"
    try:
        shutil.copyfile(left, partial)
        os.replace(partial, folder / left.name)
    finally:
        partial.unlink(missing_ok=True)
    for other in folder.glob("spark-*"):
        if time.time() - other.stat().st_mtime > OLD_S:
            other.unlink(missing_ok=True)


def _kept(java: str) -> Path:
    import pyspark

    made_for = "\n".join([java, pyspark.__version__, str(Path(pyspark.__file__).parent)])
    return _folder() / f"spark-{hashlib.sha256(made_for.encode()).hexdigest()[:16]}.jsa"


def _folder() -> Path:
    """Of the user, since it depends on the machine and on no workspace."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recbench"
