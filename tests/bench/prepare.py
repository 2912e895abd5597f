"""What preparing costs as rows grow, beside a plain pandas + MDSWriter loop over the same rows.

    python -m tests.bench.prepare 1e6 1e7 5e7

Synthetic clicks: a user, an item, 13 dense and 26 categorical features, a history of 20. Each size is prepared by the real code in a
process of its own, on all cores. Prints, for each size: seconds, rows/s, rows/s against the loop (which runs first, in this process,
on one core, as such loops do), peak resident memory of the JVM and of all Python processes together, disk, and the cost of a row
against the size before (1.00 is linear); below it the seconds of each step. Shared machines are noisy: trust the ratios.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

LOOP_ROWS = 200_000
MB = 1 << 20
HEADS = {"rows": 12, "s": 8, "rows/s": 9, "x loop": 7, "JVM MB": 7, "Python MB": 9, "disk MB": 8, "B/row": 6, "cost/row": 9}
SCRIPT = """
import json, logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s")
from engine.prepare import prepare
from engine.specs import DatasetSpec
prepare(DatasetSpec.model_validate(json.loads(sys.argv[1])))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=float, default=[1e6, 1e7, 5e7])
    parser.add_argument("--history", type=int, default=20)
    parser.add_argument("--workspace", type=Path, help="where to prepare (default: a temporary folder); its datasets are removed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        workspace = args.workspace or Path(folder)
        workspace.mkdir(parents=True, exist_ok=True)
        loop = plain_loop(Path(folder) / "loop")
        print(f"pandas + MDSWriter, a sample a row, {LOOP_ROWS:,} rows: {loop:,.0f} rows/s", flush=True)
        print(" ".join(f"{name:>{width}}" for name, width in HEADS.items()), flush=True)
        before = None
        for rows in map(int, args.rows):
            seconds, jvm, python, disk, steps = prepare(rows, args.history, workspace)
            growth = "" if before is None else f"{seconds / rows / before:.2f}"
            before = seconds / rows
            print(
                f"{rows:>12,} {seconds:>8.1f} {rows / seconds:>9,.0f} {rows / seconds / loop:>7.2f} {jvm:>7,.0f} {python:>9,.0f} "
                f"{disk:>8,.0f} {disk * MB / rows:>6.0f} {growth:>9}\n{'':13}{steps}",
                flush=True,
            )


def spec(rows: int, history: int) -> dict[str, object]:
    users, items = max(1000, rows // 50), max(500, min(rows // 500, 200_000))
    return {"name": "bench", "source": {"kind": "synthetic", "rows": rows, "users": users, "items": items}, "history": history}


def prepare(rows: int, history: int, workspace: Path) -> tuple[float, float, float, float, str]:
    """Seconds, peak MB of the JVM, peak MB of all Python processes together, MB on disk, seconds of each step as text."""
    environment = {**os.environ, "RECBENCH_WORKSPACE": str(workspace)}
    started = time.monotonic()
    with (workspace / "bench.log").open("w") as log:
        child = subprocess.Popen([sys.executable, "-c", SCRIPT, json.dumps(spec(rows, history))], env=environment, stdout=log, stderr=log)
        jvm, python = watch(child)
    seconds = time.monotonic() - started
    said = (workspace / "bench.log").read_text()
    if child.returncode:
        raise SystemExit(said[-3000:])
    steps = [line.removesuffix(" s").rsplit(": ", 1) for line in said.splitlines() if line.endswith(" s") and ": " in line]
    disk = sum(path.stat().st_size for path in (workspace / "datasets").rglob("*") if path.is_file()) / MB
    shutil.rmtree(workspace / "datasets")
    return seconds, jvm, python, disk, ", ".join(f"{name} {float(value):.0f}" for name, value in steps)


def watch(child: "subprocess.Popen[bytes]") -> tuple[float, float]:
    """Peak resident MB of java and of python below a process, until it ends."""
    peak = {"java": 0.0, "python": 0.0}
    parent = psutil.Process(child.pid)
    while child.poll() is None:
        found = {"java": 0, "python": 0}
        try:
            for process in [parent, *parent.children(recursive=True)]:
                found["java" if "java" in process.name() else "python"] += process.memory_info().rss
        except psutil.NoSuchProcess:
            pass
        peak = {kind: max(peak[kind], found[kind] / MB) for kind in peak}
        time.sleep(0.5)
    return peak["java"], peak["python"]


def plain_loop(folder: Path) -> float:
    """Rows/s of what a notebook does: pandas in memory, vocabularies by hand, one MDS sample a row."""
    from engine.sources.synthetic import SyntheticSource
    from workers.batches.blocks import import_streaming

    import_streaming()
    from streaming import MDSWriter

    rows = SyntheticSource(rows=LOOP_ROWS).frame()
    dense, sparse = [f"D{k}" for k in range(1, 14)], ["user_id", "item_id", *(f"C{k}" for k in range(1, 27))]
    started = time.monotonic()
    cuts = rows["timestamp"].quantile([0.8, 0.9]).to_numpy()
    split = np.select([rows["timestamp"] >= cuts[1], rows["timestamp"] >= cuts[0]], ["test", "valid"], "train")
    train = rows[split == "train"]
    for name in sparse:
        rows[name] = pd.Index(train[name].value_counts().index).get_indexer(rows[name]) + 1
    numbers = np.log1p(rows[dense])
    rows[dense] = ((numbers - numbers[split == "train"].mean()) / numbers[split == "train"].std()).fillna(0)
    columns = dict.fromkeys(sparse, "int32") | {"dense": "ndarray:float32", "label": "float32", "timestamp": "int64"}
    for name in ("train", "valid", "test"):
        part = rows[split == name].sample(frac=1, random_state=0)
        ids, values = part[sparse].to_numpy(np.int32), part[dense].to_numpy(np.float32)
        labels, times = part["rating"].to_numpy(np.float32), part["timestamp"].to_numpy(np.int64)
        with MDSWriter(out=str(folder / name), columns=columns) as writer:
            for k in range(len(part)):
                sample = dict(zip(sparse, ids[k], strict=True))
                writer.write(sample | {"dense": values[k], "label": labels[k], "timestamp": times[k]})
    return LOOP_ROWS / (time.monotonic() - started)


if __name__ == "__main__":
    main()
