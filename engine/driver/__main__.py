"""python -m engine.driver RUN_ID KIND: carries out one run. `engine.runs.launch` starts it; it does not depend on any page.

It holds the run folder's lock until it ends, waits in the queue, derives the verdict from files, and leaves no process behind.
"""

import ctypes
import faulthandler
import fcntl
import logging
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from engine import runs, spark
from engine.driver import webhook
from engine.driver.causes import Cancelled, of_error
from engine.driver.launching import start_spark
from engine.driver.trying import done_of
from engine.driver.watch import Watch
from engine.driver.work import run_download, run_export, run_feature_test, run_preparation, run_training
from engine.runs import CONCLUDES, KEEP_S, PROCESSES, VERDICT, Outbox, identity, processes, store
from engine.settings import keep_private, settings
from workers.artifacts import CANCEL, CHECKPOINT, KEEP, LOG, SPEC, write_json
from workers.run import Journal, LogFormat, RunSpec, answer_with_stacks, attempts, release, reserve, say_why, with_reserve
from workers.specs import MaskSecrets, mask

log = logging.getLogger("engine.driver")

PROMPT_S, PATIENT_S = 10.0, 900.0  # for the store to take what it has not: while the run is still held, and after


def main(run_id: str, kind: store.Kind) -> None:
    """Carry out one run and record its verdict; never raises."""
    lock = _adopt_lock()
    keep_private()
    run_dir = settings().runs / run_id
    _log_to(run_dir / LOG)
    faulthandler.enable()
    answer_with_stacks(run_dir)
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans of this run come here, not to init
    reserve(run_dir)
    status: store.Status = "FAILED"
    message: str | None = "The driver ended without a verdict."
    identity.sign(run_dir)
    outbox = Outbox(run_id, run_dir)
    attempts.begin(run_dir, int(os.environ.pop(PROCESSES, 0)) or None, bool(os.environ.pop(CONCLUDES, "")))
    watch = Watch(run_dir)
    try:
        outbox.start()  # a cancel interrupts the main thread only, so that no mlflow is left half imported
        signal.signal(signal.SIGTERM, _on_sigterm)
        threading.Thread(target=_watch_for_cancel, args=(run_dir,), daemon=True).start()
        _drive(run_id, run_dir, kind, outbox, watch)
        status, message = "FINISHED", None
    except Cancelled as request:
        status, message = "KILLED", str(request) or "Cancelled."
    except BaseException as error:
        say_why(run_dir, "driver", error, traceback.format_exc())
        log.exception("the run failed")
        status, message = "FAILED", mask(watch.reason or of_error(run_dir, error, watch))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watch.close()
    if status != "FINISHED" and done_of(run_dir, attempts.current(run_dir).number):
        log.warning("the run is done all the same; what failed came after it: %s", message)
        status, message = "FINISHED", None
    spark.close()
    left = processes.sweep(run_id, spark.classes.writer() if (status, kind) == ("FINISHED", "prepare") else None)
    if left:
        status, message = "FAILED", f"Processes {left} of this run do not end; end them yourself."
    if status == "KILLED" and not _keeps(run_dir):
        shutil.rmtree(run_dir / CHECKPOINT, ignore_errors=True)  # whoever stops a run without keeping it does not want its weights
    log.info("verdict: %s %s", status, message or "")
    with_reserve(run_dir, lambda: write_json(run_dir / VERDICT, {"status": status, "message": message, "time": time.time()}))
    release(run_dir)
    outbox.file(LOG)
    outbox.status(status, message)
    telling = webhook.tell(run_id, run_dir, kind, status, message)
    delivered = outbox.close(PROMPT_S)
    _let_go(lock)
    spark.classes.keep()
    if not delivered:
        outbox.close(PATIENT_S)
    telling.join(webhook.PATIENCE_S)


def _drive(run_id: str, run_dir: Path, kind: store.Kind, outbox: Outbox, watch: Watch) -> None:
    from engine.driver import queue

    journal = Journal(run_dir)
    journal.event("driver up")
    if kind != "download":  # a download hardly computes, so it does not queue
        queue.wait(run_id, run_dir)
    journal.event("turn came")
    os.environ["TMPDIR"] = str(run_dir / processes.TEMPORARY)
    (run_dir / processes.TEMPORARY).mkdir(exist_ok=True)
    watch.start()
    starting = start_spark(run_id, RunSpec.read(run_dir / SPEC), attempts.current(run_dir)) if kind == "train" else None
    outbox.status("RUNNING")
    if kind == "train":
        run_training(run_id, run_dir, journal, outbox, watch, starting)
    else:
        work = {"prepare": run_preparation, "download": run_download, "export": run_export, "features": run_feature_test}[kind]
        work(run_id, run_dir, journal, outbox, watch)


def _let_go(lock: int) -> None:
    """The run has ended, and files say how; only the store does not know yet: neither the run nor the next one waits for that."""
    from engine.driver import queue

    os.close(lock)
    queue.leave()


def _watch_for_cancel(run_dir: Path) -> None:
    while not (run_dir / CANCEL).exists():
        time.sleep(0.25)
    deadline = time.monotonic() + KEEP_S
    while _is_keeping(run_dir) and time.monotonic() < deadline:
        time.sleep(0.25)  # the ranks write a checkpoint, and leave
    while True:  # repeatedly: an exception raised inside an import or a finaliser can be swallowed there
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1.0)


def _keeps(run_dir: Path) -> bool:
    """Whether a stop was asked for that keeps what there is."""
    return (run_dir / CANCEL).exists() and (run_dir / CANCEL).read_text() == KEEP


def _is_keeping(run_dir: Path) -> bool:
    """Whether ranks are at work that is to be kept."""
    now = runs.progress(run_dir)
    return _keeps(run_dir) and now is not None and now.phase in ("training", "validating")


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
    handler.setFormatter(LogFormat("driver"))
    handler.addFilter(MaskSecrets())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for noisy in ("alembic", "mlflow", "streaming"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # py4j logs a traceback to the root logger where the JVM ends first, as it does when a run ends it
    handler.addFilter(lambda record: "py4j" not in Path(record.pathname).parts)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])  # type: ignore[arg-type]
