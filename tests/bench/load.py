"""A full workbench: 1,000 runs, curves of 100,000 points, results of 1,000,000 users, and 20 browser sessions while two trainings run.

    RECBENCH_WORKSPACE=workspace uv run python -m tests.bench.load [SECONDS]

The workspace is a real one with a prepared dataset and two finished trainings on it; it is copied, and the copy is filled. Prints the time
from an address to a page that is drawn, p50 and p95 by page, the memory of the app, and the rate of the trainings with the sessions and
without, in turns. The browsers compute on this machine too, and slow both pages and trainings: on two cores the figures are upper bounds.
Needs Chromium (Debian's chromium, or CHROMIUM). Nothing is asserted.
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
from playwright.async_api import Browser, async_playwright

import engine
from engine.runs import Run
from tests import stores
from workers.artifacts import write_done

RUNS, POINTS, USERS, SESSIONS = 1_000, 100_000, 1_000_000, 20
CURVES = 10  # runs with long curves
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
DRAWN = """() => { const app = document.querySelector('[data-testid=stApp]');
return app && !['running', 'initial'].includes(app.getAttribute('data-test-script-state'))
  && app.innerText.trim().length > 40 && !document.querySelector('[data-testid=stSkeleton]') }"""
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


async def watch(url: str, seconds: float, addresses: dict[str, str], times: dict[str, list[float]]) -> None:
    """SESSIONS sessions, each of which opens page after page and stays on it for some seconds."""
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run"])
        over = time.monotonic() + seconds
        await asyncio.gather(*(_session(browser, url, over, addresses, times, at) for at in range(SESSIONS)))
        await browser.close()


async def _session(browser: Browser, url: str, over: float, addresses: dict[str, str], times: dict[str, list[float]], at: int) -> None:
    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    names = list(addresses)
    while time.monotonic() < over:
        name, at = names[at % len(names)], at + 1
        started = time.monotonic()
        try:
            await page.goto(url + addresses[name], wait_until="commit", timeout=60_000)
            await page.wait_for_function(DRAWN, timeout=60_000)
            times[name].append(time.monotonic() - started)
        except Exception as error:  # a page that is not there within a minute counts as one minute
            print(f"{name}: {type(error).__name__}", file=sys.stderr)
            times[name].append(60.0)
        await asyncio.sleep(5)
    await page.close()


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
            while not all((p := engine.runs.get_run(one).progress) and p.phase == "training" for one in trainings):
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
    asyncio.run(watch(f"http://127.0.0.1:{port}", float(seconds), json.loads(addresses), times))
    print(json.dumps(times))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watch"]:
        _watch(*sys.argv[2:])
    else:
        main(float(sys.argv[1]) if sys.argv[1:] else 120.0)
