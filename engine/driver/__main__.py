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

from engine.driver.flusher import Flusher
from engine.driver.work import Cancelled, cause, run_download, run_export, run_preparation, run_training, start_spark
from engine.runs import VERDICT, processes, store
from engine.settings import keep_private, settings
from workers.artifacts import CANCEL, LOG, SPEC, write_json
from workers.run import Journal, RunSpec, say_why
from workers.specs import MaskSecrets, mask

log = logging.getLogger("engine.driver")


def main(run_id: str, kind: store.Kind) -> None:
    """Carry out one run and record its verdict; never raises."""
    _adopt_lock()
    keep_private()
    run_dir = settings().runs / run_id
    _log_to(run_dir / LOG)
    faulthandler.enable()
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans of this run come here, not to init
    status: store.Status = "FAILED"
    message: str | None = "The driver ended without a verdict."
    flusher = Flusher(run_id, run_dir)
    try:
        # a cancel interrupts the main thread only: a half-imported mlflow could not record the verdict
        store_up = threading.Thread(target=store.client, daemon=True)
        store_up.start()
        signal.signal(signal.SIGTERM, _on_sigterm)
        threading.Thread(target=_watch_for_cancel, args=(run_dir,), daemon=True).start()
        _drive(run_id, run_dir, kind, store_up, flusher)
        status, message = "FINISHED", None
    except Cancelled:
        status, message = "KILLED", "Cancelled."
    except BaseException as error:
        say_why(run_dir, "driver", error, traceback.format_exc())
        log.exception("the run failed")
        status, message = "FAILED", mask(cause(run_dir) or f"{type(error).__name__}: {error}")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    left = processes.sweep(run_id)
    if left:
        status, message = "FAILED", f"Processes {left} of this run do not end; end them yourself."
    flusher.close()
    _record_verdict(run_id, run_dir, status, message)
    log.info("verdict: %s %s", status, message or "")


def _drive(run_id: str, run_dir: Path, kind: store.Kind, store_up: threading.Thread, flusher: Flusher) -> None:
    from engine.driver import queue

    journal = Journal(run_dir)
    journal.event("driver up")
    if kind != "download":  # a download hardly computes, so it does not queue
        queue.wait(run_id, run_dir)
    journal.event("turn came")
    os.environ["TMPDIR"] = str(run_dir / processes.TEMPORARY)
    (run_dir / processes.TEMPORARY).mkdir(exist_ok=True)
    spark = start_spark(run_id, RunSpec.read(run_dir / SPEC)) if kind == "train" else None
    store_up.join()
    journal.event("store up")
    store.set_status(run_id, "RUNNING")
    flusher.start()
    if kind == "train":
        run_training(run_id, run_dir, journal, spark)
    else:
        {"prepare": run_preparation, "download": run_download, "export": run_export}[kind](run_id, run_dir, journal)


def _record_verdict(run_id: str, run_dir: Path, status: store.Status, message: str | None) -> None:
    """Write the verdict to a file, then to the store, which may be busy: retry for two minutes."""
    write_json(run_dir / VERDICT, {"status": status, "message": message, "time": time.time()})
    for wait in (0, 1, 2, 5, 10, 20, 40, 40):
        time.sleep(wait)
        try:
            store.log_file(run_id, run_dir / LOG)
            store.set_status(run_id, status, message)
            return
        except Exception:
            log.exception("the store does not answer; retrying")


def _watch_for_cancel(run_dir: Path) -> None:
    while not (run_dir / CANCEL).exists():
        time.sleep(0.25)
    while True:  # repeatedly: an exception raised inside an import or a finaliser can be swallowed there
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1.0)


def _on_sigterm(signum: int, frame: FrameType | None) -> None:
    raise Cancelled


def _adopt_lock() -> None:
    """Keep the lock that the submitter passed on; child processes do not inherit it."""
    lock = int(os.environ.pop("RECBENCH_LOCK_FD"))
    os.set_inheritable(lock, False)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s [driver] %(levelname)s %(message)s"))
    handler.addFilter(MaskSecrets())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for noisy in ("alembic", "mlflow", "streaming"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # logs a traceback when the JVM ends first


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])  # type: ignore[arg-type]
