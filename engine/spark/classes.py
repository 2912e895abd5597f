"""An archive of the classes that Spark's JVM has loaded: the next start reads no jar for them and takes half as long.

This is the JDK's class data sharing: an archive that a JVM writes when it ends (JEP 350), from Java 25 on a cache (JEP 483, 514).
A JVM ignores an archive of other jars; where a JVM crashes on an archive, it is started again without.
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

AHEAD_OF_TIME = 25  # from this Java on a cache needs no archive of the JDK, which the wheel's Java lacks
LEAVES = ("-XX:AOTCacheOutput=", "-XX:ArchiveClassesAtExit=")
PATIENCE_S = 60
OLD_S = 30 * 24 * 3600
OPTIONS = "spark.driver.extraJavaOptions"
log = logging.getLogger(__name__)


def flags(java: str, version: int, keeps: bool) -> str:
    """JVM options to start from the class archive; without one, to write it when the JVM ends, if `keeps`.

    Args:
        java: the output of `java -version`.
        version: its major version.
    """
    archive, late = _archive(java), version >= AHEAD_OF_TIME
    if archive.is_file():
        name, file = "AOTCache" if late else "SharedArchiveFile", archive
    elif keeps:
        name, file = "AOTCacheOutput" if late else "ArchiveClassesAtExit", Path(tempfile.gettempdir()) / archive.name
    else:
        return ""
    return f'"-XX:{name}={file}" -Xlog:disable -Xlog:all=error'


def keep(spark: "SparkSession", report: Callable[[str], None]) -> None:
    """End the session's JVM, if it was started to write its classes, and store the archive. Failures are logged only.

    Args:
        report: called with the phase as it begins; it takes seconds, once per machine.
    """
    try:
        options, gateway = shlex.split(spark.sparkContext.getConf().get(OPTIONS) or ""), spark.sparkContext._gateway
    except Exception as error:  # py4j's own kinds: the JVM has ended
        log.warning("Spark has ended before its class archive could be stored; the next start is not faster: %s", error)
        return
    left = [Path(option.partition("=")[2]) for option in options if option.startswith(LEAVES)]
    if not left or gateway is None or gateway.proc is None:
        return
    report("storing Spark's classes, so that it starts faster")
    try:
        spark.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()  # ends the JVM
        if code := gateway.proc.wait(PATIENCE_S):
            raise OSError(f"Java ended with code {code}")
        _publish(left[0])
        log.info("stored Spark's class archive: %s", left[0].name)
    except Exception as error:  # whatever fails here, the run itself has succeeded
        log.warning("could not store Spark's class archive; the next start is not faster: %s", error)


def forget(java: str) -> bool:
    """Remove the archive of this Java after a JVM did not start from it; returns whether there was one."""
    archive = _archive(java)
    if not archive.is_file():
        return False
    archive.unlink(missing_ok=True)
    log.warning("Spark did not start from the class archive %s; removed it", archive)
    return True


def _publish(left: Path) -> None:
    """Move an archive into the folder by one rename; remove old ones, since each version of Java and Spark writes its own."""
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


def _archive(java: str) -> Path:
    import pyspark

    made_for = "\n".join([java, pyspark.__version__, str(Path(pyspark.__file__).parent)])
    return _folder() / f"spark-{hashlib.sha256(made_for.encode()).hexdigest()[:16]}.jsa"


def _folder() -> Path:
    """In the user's cache, since it depends on the machine and not on the workspace."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recbench"
