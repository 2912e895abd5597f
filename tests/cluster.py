"""A Spark cluster of this machine: a standalone master and two workers, each a process of its own, on loopback.

Executors run in a Python that has the dependencies and not the workbench, as a host has that nobody installed it on.
`python -m tests.cluster` prepares, trains, cancels and loses executors on one, and prints what came of it with its seconds.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

START_S = 60.0
WORKERS, CORES, MEMORY_MB = 2, 1, 1536


class Cluster(NamedTuple):
    """A running cluster."""

    master: str  # spark://127.0.0.1:port
    page: str  # http://…, of the master
    python: Path  # of the executors
    processes: dict[str, subprocess.Popen[bytes]]

    def state(self) -> dict[str, Any]:
        """What the master says of its workers and applications."""
        with urllib.request.urlopen(f"{self.page}/json/", timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def executors(self) -> list[psutil.Process]:
        """The Java processes of executors."""
        found = []
        for name, process in self.processes.items():
            if name == "master":
                continue
            for child in psutil.Process(process.pid).children(recursive=True):
                try:
                    if any("CoarseGrainedExecutorBackend" in word for word in child.cmdline()):
                        found.append(child)
                except psutil.Error:
                    continue
        return found

    def kill_executor(self) -> int:
        """End one executor as a machine that fails would: SIGKILL. Its pid."""
        victim = self.executors()[0]
        victim.send_signal(signal.SIGKILL)
        return victim.pid


@contextmanager
def cluster(folder: Path, workers: int = WORKERS, cores: int = CORES, memory_mb: int = MEMORY_MB) -> Iterator[Cluster]:
    """A cluster that works below `folder`, and ends with all its processes."""
    import pyspark

    from engine.spark.sessions import java_home

    home, port, page = Path(pyspark.__file__).parent, _free_port(), _free_port()
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("RECBENCH_", "SPARK_", "PYSPARK_", "PYTHONPATH"))
    }
    variables |= {"JAVA_HOME": str(java_home()), "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}
    running = Cluster(f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{page}", bare_python(folder / "python"), {})

    def start(name: str, *words: str) -> None:
        (folder / name).mkdir(parents=True)
        with (folder / f"{name}.log").open("wb") as log:
            command = [str(home / "bin" / "spark-class"), *words]
            running.processes[name] = subprocess.Popen(
                command, cwd=folder / name, env=variables, stdout=log, stderr=log, start_new_session=True
            )

    try:
        start("master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page))
        _wait(lambda: running.state() is not None, "master", folder)
        for number in range(workers):
            asked = ("--cores", str(cores), "--memory", f"{memory_mb}m", "--work-dir", str(folder / f"worker{number}"), "--webui-port", "0")
            start(f"worker{number}", "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", *asked, running.master)
        _wait(lambda: len(running.state()["workers"]) == workers, "workers", folder)
        yield running
    finally:
        for process in reversed(running.processes.values()):
            for one in [*psutil.Process(process.pid).children(recursive=True), process] if process.poll() is None else ():
                one.kill()
            process.wait()


def bare_python(folder: Path) -> Path:
    """A Python with the packages of this one, but without the workbench, which is installed here by a `.pth` file of its own."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = next((folder / "lib").glob("python*/site-packages"))
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")  # a .pth file in there is not read
    python = folder / "bin" / "python"
    look = "from importlib.util import find_spec as there; import sys; sys.exit(not there('torchrec') or bool(there('workers')))"
    elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-c", look], cwd=folder, env=elsewhere, check=True)
    return python


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _wait(there: Any, what: str, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            if there():
                return
        except OSError:
            pass
        time.sleep(0.2)
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("*.log")))
    raise TimeoutError(f"The {what} of the cluster did not start in {START_S:g} s:\n{logs}")


def main(ratings: Path | None) -> None:
    """Prepare, train, cancel and lose executors on a cluster, and print a table. ratings: a MovieLens release; None: the sample."""
    import tempfile

    import engine
    from engine.compute import Compute, using

    rows: list[tuple[str, str, float, str]] = []

    def follow(what: str, spec: Any, disturb: Any = None) -> Any:
        """Launch a run, disturb it in flight, and note how and when it ended."""
        started, run_id = time.monotonic(), engine.runs.submit(spec)
        if disturb is not None:
            while engine.runs.get_run(run_id).live and not _is_under_way(run_id):
                time.sleep(0.2)
            started = time.monotonic()
            disturb(run_id)
        while (run := engine.runs.get_run(run_id)).live:
            time.sleep(0.2)
        rows.append((what, run.state.value, time.monotonic() - started, run.message or ""))
        print(f"{what:<44} {run.state.value:<10} {rows[-1][2]:>6.0f} s  {rows[-1][3][:100]}", flush=True)
        return run

    with tempfile.TemporaryDirectory() as folder:
        os.environ["RECBENCH_WORKSPACE"] = str(Path(folder) / "workspace")
        source = {"kind": "movielens", "path": str(ratings)} if ratings else {"kind": "sample"}
        spec = engine.datasets.DatasetSpec.model_validate({"name": "cluster", "source": source})
        again = spec.model_copy(update={"name": "again"})
        with (
            cluster(Path(folder) / "cluster") as hosts,
            using(Compute(master=hosts.master, python=str(hosts.python), cores=1, memory_gb=0.75)),
        ):
            follow("prepare", spec)
            follow("prepare, cancelled in flight (s until ended)", again, engine.runs.cancel_request)
            follow("prepare, an executor killed (s until ended)", again, lambda _: hosts.kill_executor())
            for kind in ("two_tower", "dlrm"):
                settings = {"processes": 2, "local_mode": False, "epochs": 2}
                longer = settings | {"epochs": 12, "patience": 12, "retries": 1}
                of = {"dataset": engine.datasets.dataset_id(spec), "model": {"kind": kind}}
                read = engine.specs.RunSpec.model_validate
                follow(f"train {kind}, two ranks", read(of | {"train": settings}))
                follow(f"train {kind}, cancelled in flight (s)", read(of | {"train": longer}), engine.runs.cancel_request)
                follow(f"train {kind}, an executor killed (s)", read(of | {"train": longer}), lambda _: hosts.kill_executor())


def _is_under_way(run_id: str) -> bool:
    import engine

    now = engine.runs.progress(engine.settings.settings().runs / run_id)
    return now is not None and ((now.phase == "training" and now.step > 20) or now.phase.startswith("writing interactions"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
