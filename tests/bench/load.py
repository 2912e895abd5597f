"""A full workbench: 1,000 runs, curves of 100,000 points, results of 1,000,000 users, and 20 browser sessions while two trainings run.

    RECBENCH_WORKSPACE=workspace uv run python -m tests.bench.load [SECONDS]

The workspace is a real one with a prepared dataset and two finished trainings on it; it is copied, and the copy is filled. Prints the time
from an address to the last part of its page, p50 and p95 by page, the memory of the app, and the rate of the trainings with the sessions
and without, in turns. The sessions speak Streamlit's protocol, live parts included, and draw nothing: the browsers of visitors compute on
machines of their own, and twenty of them on two cores would be all that is measured. Nothing is asserted.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

import engine
from engine.runs import Run
from tests import stores
from workers.artifacts import write_done

RUNS, POINTS, USERS, SESSIONS = 1_000, 100_000, 1_000_000, 20
CURVES = 10  # runs with long curves
STREAMLIT = websockets.Subprotocol("streamlit")
STAY_S, PATIENCE_S = 5.0, 60.0  # how long a visitor looks at a page, and waits for one
COPIED = ("tags", "params", "latest_metrics")  # tables of the store with rows of a run


def fill(workspace: Path) -> list[str]:
    """Fill a workspace; returns the ids of two runs with results of all users."""
    finished = [run for run in engine.runs.list_runs("train") if run.state == engine.runs.RunState.FINISHED]
    trained = [run for run in finished if run.dataset == finished[0].dataset][:2]
    with sqlite3.connect(workspace / stores.DATABASE) as database:
        copies = [_copy(database, workspace, trained[at % 2]) for at in range(RUNS - len(engine.runs.list_runs(limit=RUNS)))]
    for run_id in copies[:CURVES]:
        _lengthen(workspace / "runs" / run_id)
    for run_id in copies[:2]:
        _widen(workspace / "runs" / run_id)
    return copies[:2]


def _copy(database: sqlite3.Connection, workspace: Path, run: Run) -> str:
    """Another run with the rows and the results of a run."""
    new = uuid.uuid4().hex
    columns = [name for _, name, *_ in database.execute("PRAGMA table_info(runs)")]
    picked = ", ".join("?" if name == "run_uuid" else name for name in columns)
    database.execute(f"INSERT INTO runs ({', '.join(columns)}) SELECT {picked} FROM runs WHERE run_uuid = ?", (new, run.run_id))
    for table in COPIED:
        columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
        picked = ", ".join("?" if name == "run_uuid" else name for name in columns)
        database.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {picked} FROM {table} WHERE run_uuid = ?", (new, run.run_id))
    source, folder = workspace / "runs" / run.run_id, workspace / "runs" / new
    shutil.copytree(source, folder, copy_function=os.link, ignore=shutil.ignore_patterns("checkpoint"))
    return new


def _lengthen(folder: Path) -> None:
    """Give a run a curve of POINTS points."""
    values, path = np.linspace(0.7, 0.4, POINTS), folder / "journal.jsonl"
    path.unlink()
    with path.open("w") as file:
        for step, value in enumerate(values.tolist(), 1):
            record = {"time": 1.7e9 + step, "step": step, "epoch": 1 + step // 1000, "rows": step * 100, "values": {"train_loss": value}}
            file.write(json.dumps(record) + "\n")


def _widen(folder: Path) -> None:
    """Give a run results of USERS users: those of its own, over and over, each with some noise."""
    path, done = folder / "results" / "per_user.parquet", json.loads((folder / "done.json").read_text())
    own, noise = pd.read_parquet(path), np.random.default_rng(folder.name.encode()[0])
    frame = pd.concat([own] * -(-USERS // len(own)), ignore_index=True).iloc[:USERS]
    frame["user_id"] = [f"u{number}" for number in range(USERS)]
    for name in (name for name in frame if name.startswith("ndcg")):
        frame[name] = np.clip(frame[name] + noise.normal(0, 0.01, USERS), 0, 1)
    for written in (path, folder / "done.json"):
        written.unlink()  # a link to the file of another run
    frame.to_parquet(path, index=False)
    write_done(folder, {name: value for name, value in done.items() if name not in ("files", "digest")})


def train(dataset: str) -> list[str]:
    """Two trainings that go on until they are stopped."""
    settings = {"epochs": 1000, "patience": None, "batch_size": 1024}
    spec = {"dataset": dataset, "model": {"kind": "two_tower"}, "train": settings}
    return [engine.runs.submit(engine.specs.RunSpec.model_validate(spec)) for _ in range(2)]


def rate(run_ids: list[str], seconds: float) -> float:
    """Rows a second that the trainings did together, over some seconds."""

    def rows() -> float:
        return sum(float(engine.runs.history(run_id)["rows"].max()) for run_id in run_ids)

    before, started = rows(), time.monotonic()
    time.sleep(seconds)
    return (rows() - before) / (time.monotonic() - started)


async def watch(port: int, seconds: float, addresses: dict[str, str], times: dict[str, list[float]]) -> None:
    """SESSIONS sessions, each of which opens page after page and stays on it for some seconds."""
    over = time.monotonic() + seconds
    await asyncio.gather(*(_session(port, over, addresses, times, at) for at in range(SESSIONS)))


async def _session(port: int, over: float, addresses: dict[str, str], times: dict[str, list[float]], at: int) -> None:
    names = list(addresses)
    while time.monotonic() < over:
        name, at = names[at % len(names)], at + 1
        started = time.monotonic()
        try:
            async with websockets.connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=[STREAMLIT], max_size=None) as socket:
                visit = Visit(socket)
                async with asyncio.timeout(PATIENCE_S):
                    await visit.open(addresses[name])
                times[name].append(time.monotonic() - started)
                await visit.look(STAY_S)
        except (TimeoutError, OSError, websockets.WebSocketException) as error:  # a page that is not there within a minute counts as one
            print(f"{name}: {type(error).__name__} {error}", file=sys.stderr)
            times[name].append(PATIENCE_S)


class Visit:
    """One visitor of one page, who asks as Streamlit's frontend does."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.intervals, self.due = dict[str, float](), dict[str, float]()  # of live parts: seconds, and the moment of the next drawing

    async def open(self, address: str) -> None:
        """Ask for a page, and wait until the server has sent all of it."""
        page, _, query = address.lstrip("/").partition("?")
        message = BackMsg()
        message.rerun_script.page_name, message.rerun_script.query_string = page, query
        await self.socket.send(message.SerializeToString())
        while not await self._receive():
            pass

    async def look(self, seconds: float) -> None:
        """Stay: live parts are drawn again at their intervals."""
        over = time.monotonic() + seconds
        while (now := time.monotonic()) < over:
            for fragment in [fragment for fragment, moment in self.due.items() if moment <= now]:
                message = BackMsg()
                message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = fragment, True
                await self.socket.send(message.SerializeToString())
                self.due[fragment] = now + self.intervals[fragment]
            try:
                async with asyncio.timeout(0.2):
                    await self._receive()
            except TimeoutError:
                continue

    async def _receive(self) -> bool:
        """One message; whether it says that the whole page was sent."""
        message = ForwardMsg()
        message.ParseFromString(await self.socket.recv(decode=False))
        if message.WhichOneof("type") == "auto_rerun":
            live = message.auto_rerun
            self.intervals[live.fragment_id], self.due[live.fragment_id] = live.interval, time.monotonic() + live.interval
        return message.WhichOneof("type") == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY


def serve(workspace: Path, port: int) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-c", "from engine.cli import main; main()", "ui", "--port", str(port)]
    return subprocess.Popen(words, env={**os.environ, "RECBENCH_WORKSPACE": str(workspace)}, stdout=subprocess.DEVNULL)


def memory(process: "subprocess.Popen[bytes]") -> int:
    """Resident bytes of a process and its children."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return sum(one.memory_info().rss for one in family)


def main(seconds: float) -> None:
    """Fill a copy of the workspace, serve it, watch it, and print what it took."""
    source = engine.settings.settings().workspace
    with tempfile.TemporaryDirectory() as folder:
        workspace = stores.copy(source, Path(folder) / "workspace")
        os.environ |= {"RECBENCH_WORKSPACE": str(workspace), "RECBENCH_CONCURRENT_RUNS": "2"}
        big = fill(workspace)
        print(f"{len(engine.runs.list_runs(limit=2 * RUNS)):,} runs, {CURVES} curves of {POINTS:,} points, two runs of {USERS:,} users")
        port, times = 8790, defaultdict[str, list[float]](list)
        server, trainings = serve(workspace, port), train(engine.runs.get_run(big[0]).dataset or "")
        addresses = {
            "home": "/", "data": "/data", "runs": "/runs", "long curve": f"/runs?run={big[0]}", "live run": f"/runs?run={trainings[0]}",
            "compare": f"/compare?runs={','.join(big)}", "system": "/system",
        }  # fmt: skip
        try:
            while not all(engine.runs.history(one)["rows"].notna().any() for one in trainings):
                time.sleep(1)
            alone, beside = [], []
            for _ in range(2):
                alone.append(rate(trainings, seconds / 4))
                words = [sys.executable, "-m", "tests.bench.load", "--watch", str(seconds / 2), str(port), json.dumps(addresses)]
                child = subprocess.Popen(words, stdout=subprocess.PIPE)
                beside.append(rate(trainings, seconds / 2))
                for name, measured in json.loads(child.communicate()[0]).items():
                    times[name] += measured
            used = memory(server)
        finally:
            for run_id in trainings:
                engine.runs.cancel(run_id)
            server.terminate()
            server.wait()
    for name, measured in times.items():
        p50, p95 = statistics.median(measured), float(np.quantile(measured, 0.95))
        print(f"{name:>12}: {len(measured):3} visits, p50 {p50:5.2f} s, p95 {p95:5.2f} s")
    print(f"memory of the app: {used / 1e6:,.0f} MB with {SESSIONS} sessions")
    slower = 1 - statistics.mean(beside) / statistics.mean(alone)
    print(f"trainings: {statistics.mean(alone):,.0f} rows/s alone, {statistics.mean(beside):,.0f} with them: {100 * slower:.1f} % slower")


def _watch(seconds: str, port: str, addresses: str) -> None:
    times = defaultdict[str, list[float]](list)
    asyncio.run(watch(int(port), float(seconds), json.loads(addresses), times))
    print(json.dumps(times))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watch"]:
        _watch(*sys.argv[2:])
    else:
        main(float(sys.argv[1]) if sys.argv[1:] else 120.0)
