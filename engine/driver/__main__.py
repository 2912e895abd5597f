"""python -m engine.driver RUN_ID KIND: carries out one run. `engine.runs.launch` starts it; it does not depend on any page.

It holds the run folder's lock until it ends, waits in the queue, derives the verdict from files, and leaves no process behind.
"""

import ctypes
import faulthandler
import fcntl
import logging
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from engine.driver.work import Cancelled, cause, run_download, run_export, run_preparation, run_training, start_spark
from engine.runs import VERDICT, Outbox, identity, processes, store
from engine.settings import settings
from workers.artifacts import CANCEL, LOG, SPEC, write_json
from workers.run import Journal, RunSpec, say_why

log = logging.getLogger("engine.driver")

PROMPT_S, PATIENT_S = 10.0, 900.0  # for the store to take what it has not: while the run is still held, and after


def main(run_id: str, kind: store.Kind) -> None:
    """Carry out one run and record its verdict; never raises."""
    lock = _adopt_lock()
    run_dir = settings().runs / run_id
    _log_to(run_dir / LOG)
    faulthandler.enable()
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans of this run come here, not to init
    status: store.Status = "FAILED"
    message: str | None = "The driver ended without a verdict."
    identity.sign(run_dir)
    outbox = Outbox(run_id, run_dir)
    try:
        outbox.start()  # a cancel interrupts the main thread only, so that no mlflow is left half imported
        signal.signal(signal.SIGTERM, _on_sigterm)
        threading.Thread(target=_watch_for_cancel, args=(run_dir,), daemon=True).start()
        _drive(run_id, run_dir, kind, outbox)
        status, message = "FINISHED", None
    except Cancelled:
        status, message = "KILLED", "Cancelled."
    except BaseException as error:
        say_why(run_dir, "driver", error, traceback.format_exc())
        log.exception("the run failed")
        status, message = "FAILED", cause(run_dir) or f"{type(error).__name__}: {error}"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    left = processes.sweep(run_id)
    if left:
        status, message = "FAILED", f"Processes {left} of this run do not end; end them yourself."
    log.info("verdict: %s %s", status, message or "")
    write_json(run_dir / VERDICT, {"status": status, "message": message, "time": time.time()})
    outbox.file(LOG)
    outbox.status(status, message)
    if not outbox.close(PROMPT_S):
        _let_go(lock)
        outbox.close(PATIENT_S)


def _drive(run_id: str, run_dir: Path, kind: store.Kind, outbox: Outbox) -> None:
    from engine.driver import queue

    journal = Journal(run_dir)
    journal.event("driver up")
    if kind != "download":  # a download hardly computes, so it does not queue
        queue.wait(run_id, run_dir)
    journal.event("turn came")
    os.environ["TMPDIR"] = str(run_dir / processes.TEMPORARY)
    (run_dir / processes.TEMPORARY).mkdir(exist_ok=True)
    spark = start_spark(run_id, RunSpec.read(run_dir / SPEC)) if kind == "train" else None
    outbox.status("RUNNING")
    if kind == "train":
        run_training(run_id, run_dir, journal, outbox, spark)
    else:
        {"prepare": run_preparation, "download": run_download, "export": run_export}[kind](run_id, run_dir, journal, outbox)


def _let_go(lock: int) -> None:
    """The run has ended, and files say how; only the store does not know yet: neither the run nor the next one waits for that."""
    from engine.driver import queue

    os.close(lock)
    queue.leave()


def _watch_for_cancel(run_dir: Path) -> None:
    while not (run_dir / CANCEL).exists():
        time.sleep(0.25)
    while True:  # repeatedly: an exception raised inside an import or a finaliser can be swallowed there
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1.0)


def _on_sigterm(signum: int, frame: FrameType | None) -> None:
    raise Cancelled


def _adopt_lock() -> int:
    """Keep the lock that the submitter passed on; child processes do not inherit it."""
    lock = int(os.environ.pop("RECBENCH_LOCK_FD"))
    os.set_inheritable(lock, False)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s [driver] %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for noisy in ("alembic", "mlflow", "streaming"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # logs a traceback when the JVM ends first


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])  # type: ignore[arg-type]
