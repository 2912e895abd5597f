"""Tells an address of the user's, RECBENCH_WEBHOOK, how a run ended: one POST in the background that no run waits for."""

import json
import logging
import threading
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from engine.runs import store
from engine.settings import settings
from workers.artifacts import DONE
from workers.specs import mask

PATIENCE_S = 10.0  # that the address has to answer
METRICS = ("ndcg_at_10", "recall_at_100", "auc", "log_loss", "rmse")  # of a finished training, in what is sent
ENDED: dict[store.Status, str] = {"FINISHED": "finished", "KILLED": "was cancelled", "FAILED": "failed"}
log = logging.getLogger("engine.driver")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        """What is sent goes to the address that was given, to no other."""
        return None


def tell(run_id: str, run_dir: Path, kind: store.Kind, status: store.Status, message: str | None) -> threading.Thread:
    """Start to send how a run ended, where there is an address; the thread may be left or waited for. Never raises."""
    thread = threading.Thread(target=_tell, args=(run_id, run_dir, kind, status, message), daemon=True)
    thread.start()
    return thread


def _tell(run_id: str, run_dir: Path, kind: store.Kind, status: store.Status, message: str | None) -> None:
    try:
        if (address := settings().webhook) is None:
            return
        body = json.dumps(_said(run_id, run_dir, kind, status, message)).encode()
        request = urllib.request.Request(address, body, {"Content-Type": "application/json", "User-Agent": "recbench"})
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=PATIENCE_S) as answer:
            log.info("the webhook at %s answered %d", urlsplit(address).hostname, answer.status)
    except Exception as error:  # whatever it is: the run has ended, and this changes nothing of it
        log.warning("the webhook did not take it: %s", mask(str(error)))


def _said(run_id: str, run_dir: Path, kind: store.Kind, status: store.Status, message: str | None) -> dict[str, object]:
    """`text` is a sentence, which chats show; the rest is for programs."""
    title = _read(run_dir / "run.json").get("title") or run_id
    done = _read(run_dir / DONE) if status == "FINISHED" else {}
    metrics = done.get("metrics")
    reached = {name: metrics[name] for name in METRICS if name in metrics} if isinstance(metrics, dict) else {}
    why = f": {message.partition(chr(10))[0]}" if message and status == "FAILED" else ""
    said = {"run": run_id, "kind": kind, "title": title, "status": status, "message": message, "metrics": reached}
    return json.loads(mask(json.dumps({"text": f"{title} {ENDED[status]}{why}"} | said)))  # type: ignore[no-any-return]


def _read(path: Path) -> dict[str, object]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
