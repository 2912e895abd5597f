"""An archive of the classes that Spark's JVM has loaded: the next start reads no jar for them and takes half as long.

This is the JDK's class data sharing: an archive that a JVM writes when it ends (JEP 350), from Java 25 on a cache (JEP 483, 514).
A JVM ignores an archive of other jars; where a JVM crashes on an archive, it is started again without.
"""

import hashlib
import logging
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark import SparkContext

AHEAD_OF_TIME = 25  # from this Java on a cache needs no archive of the JDK, which the wheel's Java lacks
LEAVES = ("-XX:AOTCacheOutput=", "-XX:ArchiveClassesAtExit=")
PATIENCE_S = 60
DAY_S = 24 * 3600
OLD_S = 30 * DAY_S
PARTIAL = "partial-"
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
    elif keeps and _can_write(archive.parent):
        name, file = "AOTCacheOutput" if late else "ArchiveClassesAtExit", archive.with_name(f"{PARTIAL}{os.getpid()}-{archive.name}")
    else:
        return ""
    return f'"-XX:{name}={file}" -Xlog:disable -Xlog:all=error'


def writer() -> int | None:
    """The pid of this process's JVM, if it was started to write its classes when it ends."""
    if "pyspark" not in sys.modules:
        return None
    from pyspark import SparkContext

    context, gateway = SparkContext._active_spark_context, SparkContext._gateway
    if context is None or gateway is None or gateway.proc is None or _written(context) is None:
        return None
    return int(gateway.proc.pid)


def keep() -> None:
    """End this process's JVM, if it was started to write its classes, and store the archive. Failures are logged only.

    It takes seconds, once per machine, and leaves the machine to whoever else computes.
    """
    if "pyspark" not in sys.modules:
        return
    import psutil
    from pyspark import SparkContext

    jvm, context, gateway = writer(), SparkContext._active_spark_context, SparkContext._gateway
    written = _written(context) if context else None
    if jvm is None or context is None or written is None:
        return
    try:
        psutil.Process(jvm).nice(19)
        context.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()  # ends the JVM
        if code := gateway.proc.wait(PATIENCE_S):
            raise OSError(f"Java ended with code {code}")
        log.info("stored Spark's class archive: %s", _publish(written).name)
    except Exception as error:  # whatever fails here, the run itself has succeeded
        gateway.proc.kill()
        log.warning("could not store Spark's class archive; the next start is not faster: %s", error)


def _written(context: "SparkContext") -> Path | None:
    """The archive that the JVM of a session writes when it ends."""
    options = shlex.split(context.getConf().get(OPTIONS) or "")
    return next((Path(option.partition("=")[2]) for option in options if option.startswith(LEAVES)), None)


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def forget(java: str) -> bool:
    """Remove the archive of this Java after a JVM did not start from it; returns whether there was one."""
    archive = _archive(java)
    if not archive.is_file():
        return False
    archive.unlink(missing_ok=True)
    log.warning("Spark did not start from the class archive %s; removed it", archive)
    return True


def _publish(written: Path) -> Path:
    """Give an archive its name by one rename; remove old ones, since each version of Java and Spark writes its own."""
    kept = written.with_name(written.name.removeprefix(f"{PARTIAL}{os.getpid()}-"))
    os.replace(written, kept)
    for other in [*written.parent.glob("spark-*"), *written.parent.glob(f"{PARTIAL}*")]:
        if time.time() - other.stat().st_mtime > (DAY_S if other.name.startswith(PARTIAL) else OLD_S):
            other.unlink(missing_ok=True)
    return kept


def _archive(java: str) -> Path:
    import pyspark

    made_for = "\n".join([java, pyspark.__version__, str(Path(pyspark.__file__).parent)])
    return _folder() / f"spark-{hashlib.sha256(made_for.encode()).hexdigest()[:16]}.jsa"


def _folder() -> Path:
    """In the user's cache, since it depends on the machine and not on the workspace."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recbench"
