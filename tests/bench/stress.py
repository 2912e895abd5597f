"""How long a stress test takes: `python -m tests.bench.stress [--users 100000] [--items 20000] [--contenders 4]`.

Made-up lists of 100 items and test likes in a dataset on disk, read and measured under every protocol as Compare does; nothing is trained.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from engine import datasets, runs
from engine.compare import Comparison, Contender, not_here, stress_sentence, stress_test
from engine.compare.phrases import plain
from workers.artifacts.results import RESULTS, TOP_K

LENGTH, SEEN, LATER = 100, 60, 15  # items of a list; of a user in train; on test


def ragged(rows: np.ndarray) -> pa.ListArray:
    """Rows of a matrix as lists."""
    return pa.ListArray.from_arrays(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1], rows.astype(np.int32).ravel())


def write(folder: Path, users: int, items: int, contenders: int) -> None:
    """A dataset of users who met items 1 to SEEN, and the lists of runs that hit each later like in some places."""
    rng = np.random.default_rng(0)
    for name in ("ranking", "interactions"):
        (folder / "d" / name).mkdir(parents=True)
    ids, rows = pa.array([f"u{n}" for n in range(users)]), np.arange(1, users + 1, dtype=np.int32)
    seen = np.sort(rng.integers(1, items // 2, (users, SEEN)), axis=1)
    later = np.sort(rng.integers(items // 2, items + 1, (users, LATER)), axis=1)
    rating = rng.integers(1, 6, (users, LATER))
    table = {"user": rows, "user_id": ids, "seen": ragged(seen), "relevant": ragged(later)}  # repeated ones are counted once
    pq.write_table(pa.table(table), folder / "d" / "ranking" / "test.parquet")
    met = {"user": np.repeat(rows, LATER), "item": later.ravel().astype(np.int32), "rating": rating.ravel().astype(np.float32)}
    test = pd.DataFrame(met).assign(label=1.0, timestamp=rng.integers(0, 10**7, users * LATER), split="test")
    train = pd.DataFrame({"user": np.repeat(rows, SEEN), "item": seen.ravel().astype(np.int32), "rating": np.float32(5)})
    pd.concat([train.assign(label=1.0, timestamp=0, split="train"), test]).to_parquet(folder / "d" / "interactions" / "part.parquet")
    catalogue = pd.DataFrame({"row": range(1, items + 1), "train_positives": rng.integers(0, 5000, items)})
    catalogue.to_parquet(folder / "d" / "items.parquet")
    pd.DataFrame({"row": rows, "train_positives": rng.integers(1, 90, users)}).to_parquet(folder / "d" / "users.parquet")
    for place in range(contenders):
        lists = rng.integers(items // 2, items + 1, (users, LENGTH))
        lists[:, place :: 11 + place] = later[:, : lists[:, place :: 11 + place].shape[1]]
        (folder / "runs" / f"run{place}" / RESULTS).mkdir(parents=True)
        pq.write_table(pa.table({"user_id": ids, "items": ragged(lists)}), folder / "runs" / f"run{place}" / RESULTS / TOP_K)


def comparison(contenders: int) -> Comparison:
    """The runs beside each other, with a value each."""
    letters = [chr(65 + place) for place in range(contenders)]
    known = [Contender(letter=one, run_id=f"run{at}", name=f"Run {at}", model="x", color_index=at) for at, one in enumerate(letters)]
    table = pd.DataFrame({"metric": "ndcg_at_10", "contender": letters, "value": 0.1, "std": np.nan})
    nothing = pd.DataFrame()
    frames: dict[str, Any] = {"table": table, "curves": nothing, "differences": nothing, "costs": nothing}
    return Comparison(contenders=known, dataset="d", apart=[], users=1, **frames)


def main() -> None:
    """Print seconds, and what the test says."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, usual in (("users", 100_000), ("items", 20_000), ("contenders", 4)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder, args.users, args.items, args.contenders)
        os.environ["RECBENCH_WORKSPACE"] = scratch
        here = mock.patch.object(datasets, "get_dataset", lambda id: SimpleNamespace(path=folder / id))
        known = mock.patch.object(runs, "get_run", lambda run_id: SimpleNamespace(run_id=run_id, spec=None))
        with here, known, mock.patch.object(runs, "done", lambda run_id: {}):
            for _ in range(2):
                began, used = time.perf_counter(), time.process_time()
                found = stress_test(comparison(args.contenders))
                print(f"{time.perf_counter() - began:.1f} s ({time.process_time() - used:.1f} s of processors)")
    print(f"{args.users:,} users, {args.contenders} contenders, {len(found.rows)} protocols", plain(stress_sentence(found)), sep="\n")
    print(*(plain(one) for one in not_here(found)), sep="\n")


if __name__ == "__main__":
    main()
