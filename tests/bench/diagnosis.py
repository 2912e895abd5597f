"""python -m tests.bench.diagnosis ML_100K: plants faults in two-towers on MovieLens 100K, and says whether the first diagnosis names them.

Each fault is one setting of the run or of the dataset that people get wrong; the rest are the defaults. A run without a fault comes first:
of it nothing should be found.
"""

import argparse
import csv
import os
import random
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

SPLIT = {"kind": "per_user", "valid": 0.1, "test": 0.1}
LONG = {"epochs": 15, "patience": None}
SHORT = {"epochs": 8, "patience": 2}


class Planted(NamedTuple):
    """A fault: what the diagnosis should be called, and the settings that make it."""

    cause: str | None
    model: dict[str, Any] = {}  # noqa: RUF012 (never written to)
    train: dict[str, Any] = {}  # noqa: RUF012
    data: str = "per-user"


FAULTS = (
    Planted(None),
    Planted("too short", train={"epochs": 1}),
    Planted("diverged", train={"table_learning_rate": 8.0}),
    Planted("flat", train={"table_learning_rate": 1e-4} | SHORT),
    Planted("pointwise", {"objective": "pointwise"}),
    Planted("few negatives", train={"batch_size": 8} | SHORT),
    Planted("temperature", {"similarity": "cosine", "temperature": 1.0}),
    Planted("reads nothing", {"history": False}),
    Planted("dropout", {"history_dropout": 0.97}),
    Planted("narrow", {"embedding_dim": 4}),
    Planted("dislikes", {"explicit_negatives": 20.0}),
    Planted("by heart", {"history": False, "user_id": True, "item_features": False}, LONG | {"table_learning_rate": 0.5}),
    Planted("noise", {"user_features": True}, data="noise"),
    Planted("label rule", data="everything-is-liked"),
    Planted("unknown rows", data="by-time"),
)  # fmt: skip


def datasets(ratings: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Dataset specs by name; `noise` has a column that no two rows share, as a session's id."""
    table, rng = folder / "sessions.csv", random.Random(1)
    with (ratings / "u.data").open(encoding="utf-8") as rows, table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating", "time", "session"])
        writer.writerows([*line.split("\t")[:3], line.split("\t")[3].strip(), f"s{rng.randrange(10**9)}"] for line in rows)
    roles = {"user": "user", "item": "item", "rating": "label", "time": "timestamp", "session": "category"}
    plain = {"kind": "movielens", "path": str(ratings)}
    noisy = {
        "kind": "table",
        "path": str(table),
        "columns": [{"name": name, "role": role} for name, role in roles.items()],
        "time_unit": "s",
    }
    return {
        "per-user": {"name": "per-user", "source": plain, "split": SPLIT},
        "everything-is-liked": {"name": "liked", "source": plain, "split": SPLIT, "label": {"kind": "threshold", "threshold": 2}},
        "by-time": {"name": "by-time", "source": plain},
        "noise": {"name": "noise", "source": noisy, "split": SPLIT},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ratings", type=Path, help="folder of MovieLens 100K")
    parser.add_argument("--workspace", type=Path, help="kept, so that a second call goes on where the first ended")
    args = parser.parse_args()
    folder = args.workspace or Path(tempfile.mkdtemp(prefix="diagnosis-"))
    os.environ["RECBENCH_WORKSPACE"] = str(folder)
    os.environ["RECBENCH_DATA_ROOTS"] = os.pathsep.join([str(args.ratings.resolve()), str(folder)])
    import engine
    from tests.commands import until

    folder.mkdir(parents=True, exist_ok=True)
    ids = {}
    for name, given in datasets(args.ratings.resolve(), folder).items():
        spec = engine.datasets.DatasetSpec.model_validate(given)
        run = engine.runs.submit(spec, key=f"prepare-{name}")
        until(lambda run=run: not engine.runs.get_run(run).live, 1200)  # type: ignore[misc]
        ids[name] = engine.datasets.dataset_id(spec)
    right = 0
    for place, fault in enumerate(FAULTS):
        spec = engine.specs.RunSpec.model_validate(
            {"dataset": ids[fault.data], "model": {"kind": "two_tower", **fault.model}, "train": {"epochs": 40, **fault.train}}
        )
        run_id = engine.runs.submit(spec, key=f"fault-{place}")
        until(lambda run=run_id: not engine.runs.get_run(run).live, 3600)  # type: ignore[misc]
        run = engine.runs.get_run(run_id)
        causes = [one.cause for one in engine.diagnosis.diagnose(run_id)] if run.state == engine.runs.RunState.FINISHED else [run.message]
        first = causes[0] if causes else None
        right += first == fault.cause
        ndcg = run.metrics.get("ndcg_at_10", float("nan"))
        print(
            f"{'ok ' if first == fault.cause else 'NO '} {fault.cause or 'no fault':<16} NDCG@10 {ndcg:.3f}  {', '.join(map(str, causes))}",
            flush=True,
        )
    print(f"{right} of {len(FAULTS)} right at first")


if __name__ == "__main__":
    main()
