"""python -m engine.tables.peek: reads a table that needs Spark in a process of its own, so that a page never starts a JVM.

The question comes as JSON on stdin and the answer goes to a file, so that output of Java and Spark never mixes with it.
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

TIMEOUT_S, CACHE_S = 300, 1800


def guess(path: str, table: Which = "interactions", given: Mapping[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> TableGuess:
    """`inspect_table` for a catalogue table, Delta or a URI; takes as long as Spark needs to start.

    Raises:
        ValueError: it cannot be read; says why. TimeoutError: Spark did not answer in time.
    """
    with _answered({"what": "guess", "path": path, "table": table, "given": dict(given or {})}, timeout_s) as answer:
        return TableGuess.model_validate_json(answer.read_bytes())


def facts(table: TableFile, outputs: Sequence[Output], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """`digest` and approximate number of `rows`."""
    with _answered({"what": "facts", **_described(table, outputs)}, timeout_s) as answer:
        facts_: dict[str, Any] = json.loads(answer.read_bytes())
        return facts_


def rows(table: TableFile, outputs: Sequence[Output], limit: int, timeout_s: float = TIMEOUT_S) -> "pd.DataFrame":
    """The first rows, raw; cached in the workspace for half an hour, since pages read them often."""
    import pandas as pd

    question = {"what": "rows", **_described(table, outputs), "limit": limit}
    key = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
    cached = settings().workspace / "cache" / f"peek-{key}.parquet"
    if not cached.is_file() or time.time() - cached.stat().st_mtime > CACHE_S:
        with _answered(question, timeout_s) as answer:
            os.replace(answer, cached)
    return pd.read_parquet(cached)


def _described(table: TableFile, outputs: Sequence[Output]) -> dict[str, Any]:
    return {"file": table.model_dump(mode="json", include=set(TableFile.model_fields)), "outputs": [tuple(output) for output in outputs]}


@contextlib.contextmanager
def _answered(question: Mapping[str, Any], timeout_s: float) -> Iterator[Path]:
    """Answer a question in another process; the file with the answer exists while the block runs."""
    folder = settings().workspace / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / f".peek-{os.getpid()}-{os.urandom(6).hex()}"
    message = json.dumps({**question, "answer": str(answer)})
    environment = {**os.environ, "RECBENCH_WORKSPACE": str(settings().workspace)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "engine.tables.peek"],
            input=message,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment,
            check=False,
        )
        problem = json.loads(failed.read_text(encoding="utf-8")) if (failed := answer.with_suffix(".error")).is_file() else None
        if problem:
            raise ValueError(problem)
        if done.returncode or not answer.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise ValueError(f"Spark could not read the table: {lines[-1][:300] if lines else 'it ended without a message'}.")
        yield answer
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"Spark did not answer within {timeout_s:.0f} s; check that its master and the store can be reached.") from None
    finally:
        answer.unlink(missing_ok=True)
        answer.with_suffix(".error").unlink(missing_ok=True)


def main() -> int:
    """Answer one question."""
    question = json.loads(sys.stdin.read())
    answer = Path(question["answer"])
    try:
        _answer(question, answer)
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        answer.with_suffix(".error").write_text(json.dumps(str(error)), encoding="utf-8")
        return 1
    return 0


def _answer(question: Mapping[str, Any], answer: Path) -> None:
    from engine.spark import session
    from engine.tables import stored

    spark = session("peek")
    try:
        if question["what"] == "guess":
            text = stored.guess(spark, question["path"], question["table"], question["given"]).model_dump_json()
            answer.write_text(text, encoding="utf-8")
            return
        table, outputs = TableFile.model_validate(question["file"]), [Output(*output) for output in question["outputs"]]
        if question["what"] == "facts":
            answer.write_text(json.dumps(stored.facts(spark, table, outputs)), encoding="utf-8")
        else:
            stored.load(spark, table, outputs).limit(question["limit"]).toPandas().to_parquet(answer, index=False)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(main())
