"""How fast everybody's lists are written, and in how much memory: `python -m tests.bench.exports [--users 100000 1000000] [--k 10]`.

Made-up people who like 10 of 5,000 items each, by EASE with random weights. A dataset is written; then a process of its own writes
the lists, as a run's does. Prints users a second and the peak memory of that process. Machines are shared: rates are lower bounds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workers.artifacts import PreparedDataset
from workers.batches.blocks import import_streaming
from workers.evaluation import catalogue
from workers.exports.export import write_lists
from workers.exports.spec import ListExportSpec
from workers.matrices.ease import EASE
from workers.run import Journal, RunContext, peak_memory
from workers.serving import OpenedMatrix
from workers.specs.schema import Categorical, FeatureSchema

ITEMS, EACH = 5_000, 10
AT_ONCE = 1 << 13  # users of a block
MB = 1 << 20


def write(folder: Path, users: int) -> None:
    """A prepared dataset, as far as an export of a fitted model reads it."""
    import_streaming()
    from streaming.base.format.mds import MDSWriter

    rng = np.random.default_rng(0)
    rows = np.arange(1, ITEMS + 1, dtype=np.int32)
    ids = [f"item{row}" for row in rows]
    counts = {"train_count": rows, "train_positives": rows}
    pd.DataFrame({"item_id": ids, "row": rows, "title": ids, "genres": None, **counts, "feature.item_id": rows}).to_parquet(
        folder / "items.parquet"
    )
    columns = {"user_id": "ndarray:int32", "item_id": "ndarray:int32", "label": "ndarray:float32"}
    table = pa.schema([("user_id", pa.string()), ("row", pa.int32()), ("feature.user_id", pa.int32())])
    with pq.ParquetWriter(folder / "users.parquet", table) as people, MDSWriter(out=str(folder / "train"), columns=columns) as blocks:
        for start in range(1, users + 1, AT_ONCE):
            own = np.arange(start, min(start + AT_ONCE, users + 1), dtype=np.int32)
            names = pa.array([f"user{row}" for row in own])
            people.write_table(pa.table([names, pa.array(own), pa.array(own)], schema=table))
            liked = rng.integers(1, ITEMS + 1, len(own) * EACH, dtype=np.int32)
            blocks.write({"user_id": np.repeat(own, EACH), "item_id": liked, "label": np.ones(len(liked), np.float32)})
    schema = FeatureSchema(
        categorical=(
            Categorical(name="user_id", side="user", num_rows=users + 1, vocabulary="user_id"),
            Categorical(name="item_id", side="item", num_rows=ITEMS + 1, vocabulary="item_id"),
        )
    )
    label = {"kind": "given", "output": "binary"}
    counted = {name: {"train": users * EACH} for name in ("interactions", "positives")}
    manifest = {"schema": schema.model_dump(), "counts": counted, "block_rows": AT_ONCE * EACH, "label": label, "known_at_test": ["train"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def export(folder: Path, k: int) -> None:
    """Write the lists, and print seconds and the peak memory of this process as JSON."""
    dataset, run = PreparedDataset.open(folder), folder / "run"
    (run / "lists").mkdir(parents=True)
    model = EASE(1.0)
    model.load({"weights": np.random.default_rng(1).normal(0, 1, (ITEMS, ITEMS)).astype(np.float32)})
    spec = ListExportSpec(run="a" * 32, dataset="bench", k=k)
    started = time.monotonic()
    counts = write_lists(RunContext(run, dataset, spec, Journal(run)), OpenedMatrix(catalogue(folder), model), run / "lists")
    print(json.dumps({**counts, "seconds": time.monotonic() - started, "peak": peak_memory()}))


def main() -> None:
    """Print a line for each number of users."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # of the process that exports
    args = parser.parse_args()
    if args.folder is not None:
        export(args.folder, args.k)
        return
    for users in args.users:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), users)
            words = [sys.executable, "-m", "tests.bench.exports", "--folder", folder, "--k", str(args.k)]
            told = json.loads(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])
        rate, peak = told["users"] / told["seconds"], told["peak"] / MB
        print(
            f"{users:>10,} users: {rate:>8,.0f} users a second, {told['seconds']:.0f} s, {peak:,.0f} MB at most, {os.cpu_count()} cores",
            flush=True,
        )


if __name__ == "__main__":
    main()
