"""python -m engine.tables.peek: a look at what only Spark can read, in a process of its own, so that a page never holds a Java machine.

Asked in JSON on stdin, answered in a file: what Java and Spark print goes to stderr and never mixes with the answer.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.settings import settings
from engine.tables.guess import TableGuess, Which
from engine.tables.specs import TableFile
from workers.prepare.tables import Output

if TYPE_CHECKING:
    import pandas as pd

TIMEOUT_S, KEPT_S = 300, 1800


def guess(path: str, table: Which = "interactions", given: Mapping[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> TableGuess:
    """`inspect` of a catalogue table, Delta or a URI; takes as long as Spark needs to start.

    Raises:
        ValueError: it cannot be read; the sentence says why. TimeoutError: Spark did not answer in time.
    """
    with _asked({"what": "guess", "path": path, "table": table, "given": dict(given or {})}, timeout_s) as answer:
        return TableGuess.model_validate_json(answer.read_bytes())


def facts(table: TableFile, outputs: Sequence[Output], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """`digest` and about how many `rows` there are."""
    with _asked({"what": "facts", **_described(table, outputs)}, timeout_s) as answer:
        found: dict[str, Any] = json.loads(answer.read_bytes())
        return found


def rows(table: TableFile, outputs: Sequence[Output], limit: int, timeout_s: float = TIMEOUT_S) -> "pd.DataFrame":
    """The first rows as the source gives them; kept in the workspace for half an hour, since a page asks again and again."""
    import pandas as pd

    asked = {"what": "rows", **_described(table, outputs), "limit": limit}
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    kept = settings().workspace / "cache" / f"peek-{key}.parquet"
    if not kept.is_file() or time.time() - kept.stat().st_mtime > KEPT_S:
        with _asked(asked, timeout_s) as answer:
            os.replace(answer, kept)
    return pd.read_parquet(kept)


def _described(table: TableFile, outputs: Sequence[Output]) -> dict[str, Any]:
    return {"file": table.model_dump(mode="json", include=set(TableFile.model_fields)), "outputs": [tuple(output) for output in outputs]}


@contextlib.contextmanager
def _asked(question: Mapping[str, Any], timeout_s: float) -> Iterator[Path]:
    """The file with the answer, while the block runs."""
    folder = settings().workspace / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / f".peek-{os.getpid()}-{os.urandom(6).hex()}"
    asked = json.dumps({**question, "answer": str(answer)})
    environment = {**os.environ, "RECBENCH_WORKSPACE": str(settings().workspace)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "engine.tables.peek"],
            input=asked,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment,
            check=False,
        )
        said = json.loads(failed.read_text(encoding="utf-8")) if (failed := answer.with_suffix(".error")).is_file() else None
        if said:
            raise ValueError(said)
        if done.returncode or not answer.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise ValueError(f"Spark could not look at the table: {lines[-1][:300] if lines else 'it ended without a word'}.")
        yield answer
    except subprocess.TimeoutExpired:
        raise TimeoutError(
            f"Spark did not answer within {timeout_s:.0f} s; look whether its master and the store can be reached."
        ) from None
    finally:
        answer.unlink(missing_ok=True)
        answer.with_suffix(".error").unlink(missing_ok=True)


def main() -> int:
    """Answer one question."""
    asked = json.loads(sys.stdin.read())
    answer = Path(asked["answer"])
    try:
        _answer(asked, answer)
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        answer.with_suffix(".error").write_text(json.dumps(str(error)), encoding="utf-8")
        return 1
    return 0


def _answer(asked: Mapping[str, Any], answer: Path) -> None:
    from engine.spark import session
    from engine.tables import stored

    spark = session("peek")
    try:
        if asked["what"] == "guess":
            text = stored.guess(spark, asked["path"], asked["table"], asked["given"]).model_dump_json()
            answer.write_text(text, encoding="utf-8")
            return
        table, outputs = TableFile.model_validate(asked["file"]), [Output(*output) for output in asked["outputs"]]
        if asked["what"] == "facts":
            answer.write_text(json.dumps(stored.facts(spark, table, outputs)), encoding="utf-8")
        else:
            stored.load(spark, table, outputs).limit(asked["limit"]).toPandas().to_parquet(answer, index=False)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(main())
