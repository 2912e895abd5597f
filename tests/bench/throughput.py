"""How fast training is: the whole way of a row against a bare PyTorch loop, one rank against two, and against RecBole.

    python -m tests.bench.throughput [--cases dlrm two_tower] [--batches 1024 4096 16384] [--pairs 5]

Ours is what a run does: MDS blocks to batches to TorchRec's DistributedModelParallel to optimizers, under TorchDistributor, one thread
a rank. "plain" is the fastest of several bare loops over tensors in memory (`plain.py`), one thread. Contenders stay loaded and take
turns of some seconds (A B C A B C …); a ratio is the median of the ratios within a round, beside the smallest and the largest. "loader"
is how many times faster batches come than the step takes them. "2 apart" are two runs of one rank at the same time, who send each other
nothing: what the machine allows two ranks to reach. Ratios "by CPU-seconds" leave out what other processes took of the machine. RecBole
is measured where RECBOLE_PYTHON names a Python that has it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import ours, peers, plain, turns
from tests.bench import rows as rows_
from workers.models import MODELS
from workers.specs.schema import FeatureSchema
from workers.training.entry import MALLOC

TURN_S = 2.0  # what a turn should take
PEER_ROWS = 200_000
PEER_BATCH = 4096


@dataclass(frozen=True)
class Case:
    """A model on made rows, the ratios that we want, and who else has such a model."""

    title: str
    schema: FeatureSchema
    model: dict[str, Any]
    bars: dict[str, float]
    peer: dict[str, Any] | None = None
    rows: int = 600_000  # an epoch; its beginning takes StreamingDataset some 50 ms with two ranks


PAIR = {"kind": "two_tower", "objective": "pointwise", "user_id": True, "embedding_dim": 64}
DEEP = {"kind": "deepfm", "embedding_dim": 16, "dropout": 0.0}  # as RecBole is told
CASES = {
    "dlrm": Case(
        "DLRM 13 + 26, dim 64, 512-256-64, 512-256-1",
        rows_.CLICKS,
        {"kind": "dlrm", "embedding_dim": 64, "dense_layers": [512, 256], "over_layers": [512, 256], "dropout": 0.0, "first_order": False},
        {"1 rank / plain": 0.9, "2 ranks / 1 rank": 1.7},
    ),
    "two_tower": Case("two-tower 140k x 27k, dim 64", rows_.PAIRS, PAIR, {"1 rank / plain": 0.8, "2 ranks / 1 rank": 1.3}, rows=4_000_000),
    "dssm": Case(
        "two-tower 140k x 27k, dim 64, layer of 64",
        rows_.PAIRS,
        PAIR | {"user_layers": [64], "item_layers": [64]},
        {"1 rank / RecBole": 5},
        # its towers end in the last of its layers, ours in a linear one after them
        {"model": "DSSM", "dim": 64, "layers": [64, 64], "user": "user_id", "item": "item_id"},
    ),
    "deepfm": Case(
        f"{MODELS[DEEP['kind']].label} 13 + 26, dim 16, its own layers",
        rows_.CLICKS,
        DEEP,
        {"1 rank / RecBole": 5},
        {"model": "DeepFM", "dim": 16, "layers": [64, 32], "user": "c25", "item": "c26"},
    ),
    "movies": Case(
        f"{MODELS[DEEP['kind']].label} 7 as in MovieLens, dim 16, its own layers",
        rows_.MOVIES,
        DEEP,
        {"1 rank / RecBole": 5},
        {"model": "DeepFM", "dim": 16, "layers": [64, 32], "user": "user_id", "item": "item_id"},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--batches", nargs="*", type=int, default=[1024, 4096, 16384])
    parser.add_argument("--pairs", type=int, default=5, help="rounds of turns")
    args = parser.parse_args()
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.environ.setdefault("RECBENCH_WORKSPACE", f"{folder}/workspace")
        from engine.spark.sessions import session

        session("bench")
        for name in args.cases:
            case = CASES[name]
            if case.peer and "RECBOLE_PYTHON" not in os.environ:
                print(f"{case.title}: RECBOLE_PYTHON names no Python with RecBole, so it is not measured against {case.peer['model']}.")
                continue
            work = Path(folder) / name
            work.mkdir()
            rows_.write(work / "dataset", case.schema, case.rows)
            (against_peer if case.peer else against_plain)(case, work, args.batches, args.pairs)
    print(f"load of the machine {os.getloadavg()[0]:.1f}", flush=True)


def against_plain(case: Case, work: Path, batches: list[int], pairs: int) -> None:
    """Our one rank and our two beside the fastest bare loop, and our loader beside our step."""
    bare = _process(work / "plain", [sys.executable, "-m", "tests.bench.plain"], [work / "dataset", json.dumps(case.model)], MALLOC)
    one, two, other = (ours.start(work / name, work / "dataset", case.model, n) for name, n in (("one", 1), ("two", 2), ("other", 1)))
    for contender in (bare, one, two, other):
        contender.wait_ready()
    for size in batches:
        ways = {way: Turns(bare, way, size) for way in plain.ways(case.schema, case.model)}
        speeds = {way: max(turn().cpu for _ in range(2)) for way, turn in ways.items()}
        fastest = max(speeds, key=lambda way: speeds[way])
        alone = Turns(one, "train", size)
        contenders: dict[str, Callable[[], turns.Rate]] = {"plain": ways[fastest], "1 rank": alone, "2 ranks": Turns(two, "train", size)}
        contenders |= {"2 apart": Apart(alone, Turns(other, "train", size)), "loader": Turns(one, "load", size)}
        print(
            f"\n{case.title}, batch {size}\n  rows per CPU-second of plain: "
            + "; ".join(f"{way} {speed:,.0f}" for way, speed in speeds.items())
        )
        compared = [("1 rank", "plain", 1), ("2 ranks", "1 rank", 2), ("2 apart", "1 rank", 2), ("loader", "1 rank", 1)]
        report(rounds(contenders, pairs), compared, case.bars)
    for contender in (bare, one, two, other):
        contender.end()


def against_peer(case: Case, work: Path, batches: list[int], pairs: int) -> None:
    """Our one rank beside RecBole's model of the kind, at one batch size."""
    assert case.peer is not None
    ids, dense, labels = (part[:PEER_ROWS] for part in rows_.read(work / "dataset", case.schema))
    (work / "peer").mkdir()
    peers.export(ids, dense, labels, [f.name for f in case.schema.categorical], work / "peer" / "rows")
    peer = _process(work / "peer", [os.environ["RECBOLE_PYTHON"], "-m", "tests.bench.peers"], [json.dumps(case.peer)])
    one = ours.start(work / "ranks1", work / "dataset", case.model, 1)
    for contender in (peer, one):
        contender.wait_ready()
    contenders: dict[str, Callable[[], turns.Rate]] = {
        "RecBole": Turns(peer, "train", PEER_BATCH),
        "1 rank": Turns(one, "train", PEER_BATCH),
    }
    print(f"\n{case.title} against RecBole {case.peer['model']} (dim {case.peer['dim']}, layers {case.peer['layers']}), batch {PEER_BATCH}")
    found = rounds(contenders, pairs)
    report(found, [("1 rank", "RecBole", 1)], case.bars)
    ahead = statistics.median(a.wall / b.wall for a, b in zip(found["1 rank"], found["RecBole"], strict=True))
    one.turn("parts", PEER_BATCH, 30)
    print("  a step: " + limits(json.loads((work / "ranks1" / ours.PARTS).read_text()), ahead), flush=True)
    for contender in (peer, one):
        contender.end()


def limits(parts: dict[str, float], ahead: float) -> str:
    """Where the time of a step goes, and how far ahead it would be if each kind of work took none.

    Args:
        parts: the share of each kind.
        ahead: how many times faster the step is than whom it is measured against.
    """
    return "; ".join(f"{kind} {share:.0%}, without {ahead / (1 - share):.2f}" for kind, share in parts.items())


def _process(folder: Path, command: list[str], arguments: list[Any], malloc: str = "") -> turns.Contender:
    """A contender of its own process, with glibc's malloc as our ranks have it or as it comes."""
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ours.ROOT), "GLIBC_TUNABLES": malloc}
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(
            [*command, str(folder), *map(str, arguments)], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    return turns.Contender(folder, lambda: child.poll() is None)


class Turns:
    """One way of working of one contender, in turns of about TURN_S."""

    def __init__(self, contender: turns.Contender, what: str, size: int) -> None:
        self.contender, self.what, self.size = contender, what, size
        self.steps = 2
        for _ in range(4):  # find the steps that fill a turn; the first turns also warm up
            rate = self.contender.turn(what, size, self.steps).wall
            self.steps = max(2, min(int(rate * TURN_S / size), 8 * self.steps))

    def __call__(self) -> turns.Rate:
        return self.contender.turn(self.what, self.size, self.steps)


class Apart:
    """Turns of two contenders at the same time, of the same length."""

    def __init__(self, first: Turns, second: Turns) -> None:
        self.both = (first, second)
        second.steps = first.steps

    def __call__(self) -> turns.Rate:
        with ThreadPoolExecutor(2) as pool:
            rates = list(pool.map(Turns.__call__, self.both))
        return turns.Rate(sum(rate.wall for rate in rates), statistics.mean(rate.cpu for rate in rates))


def rounds(contenders: dict[str, Callable[[], turns.Rate]], pairs: int) -> dict[str, list[turns.Rate]]:
    found: dict[str, list[turns.Rate]] = {name: [] for name in contenders}
    for _ in range(pairs):
        for name, turn in contenders.items():
            found[name].append(turn())
        time.sleep(0.1)
    return found


def report(found: dict[str, list[turns.Rate]], compared: list[tuple[str, str, int]], bars: dict[str, float]) -> None:
    """Rates and ratios; each pair with by how many times as many cores the first may use, for the ratio of CPU-seconds."""
    print("  " + ", ".join(f"{name} {statistics.median(rate.wall for rate in rates):,.0f} rows/s" for name, rates in found.items()))
    for first, second, cores in compared:
        pairs = list(zip(found[first], found[second], strict=True))
        wall, cpu = [a.wall / b.wall for a, b in pairs], [cores * a.cpu / b.cpu for a, b in pairs]
        bar = bars.get(f"{first} / {second}")
        wanted = f"   bar {bar:g}" if bar else ""
        told = f"{statistics.median(wall):7.2f}   [{min(wall):.2f} … {max(wall):.2f}]   by CPU-seconds {statistics.median(cpu):7.2f}"
        print(f"  {first + ' / ' + second:<18} {told}{wanted}", flush=True)
    print(f"  load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
