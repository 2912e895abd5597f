"""A Spark cluster of this machine: a standalone master and two workers, each a process of its own, on loopback or on hosts of their own.

Executors run in a Python that has the dependencies and not the workbench, as a host has that nobody installed it on.
`python -m tests.cluster [--apart] [RATINGS]` prepares, trains, cancels and loses executors on one, and prints a table with seconds.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from tests.hosts import GATEWAY, Host, apart

if TYPE_CHECKING:
    from engine.compute import Compute

START_S = 60.0
APART = "--apart"
CORES, MEMORY_MB = 1, 1536
HERE = (Host("localhost", "127.0.0.1"),) * 2


class Cluster(NamedTuple):
    """A running cluster."""

    master: str  # spark://127.0.0.1:port
    page: str  # http://…, of the master
    python: Path  # of the executors
    address: str  # of the driver, as executors see it
    processes: dict[str, subprocess.Popen[bytes]]

    def compute(self, **more: Any) -> "Compute":
        """What a run is launched with to compute there."""
        from engine.compute import Compute

        options = {} if self.address.startswith("127.") else dict.fromkeys(("spark.driver.host", "spark.driver.bindAddress"), self.address)
        return Compute(master=self.master, python=str(self.python), cores=1, memory_gb=0.75, spark=options, **more)

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
def cluster(folder: Path, hosts: Sequence[Host] = HERE, cores: int = CORES, memory_mb: int = MEMORY_MB) -> Iterator[Cluster]:
    """A cluster with a worker on each host that works below `folder`, and ends with all its processes.

    Args:
        hosts: this machine several times, or those of `tests.hosts.apart`.
    """
    import pyspark

    from engine.spark.sessions import java_home

    home, port, page = Path(pyspark.__file__).parent, _free_port(), _free_port()
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("RECBENCH_", "SPARK_", "PYSPARK_", "PYTHONPATH"))
    }
    variables |= {"JAVA_HOME": str(java_home()), "SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m"}
    own = Host("driver", GATEWAY if hosts[0].namespace else HERE[0].address)
    running = Cluster(f"spark://{own.address}:{port}", f"http://{own.address}:{page}", bare_python(folder / "python"), own.address, {})
    names = folder / "hosts"
    names.write_text("".join(f"{one.address} {one.name}\n" for one in (Host("localhost", "127.0.0.1"), own, *hosts)))

    def start(name: str, host: Host, *words: str) -> None:
        (folder / name).mkdir(parents=True)
        with (folder / f"{name}.log").open("wb") as log:
            command = host.command([str(home / "bin" / "spark-class"), *words], names)
            running.processes[name] = subprocess.Popen(
                command,
                cwd=folder / name,
                env=variables | {"SPARK_LOCAL_IP": host.address},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    try:
        ports = ("--port", str(port), "--webui-port", str(page))
        start("master", own, "org.apache.spark.deploy.master.Master", "--host", own.address, *ports)
        _wait(lambda: running.state() is not None, "master", folder)
        for number, host in enumerate(hosts):
            asked = ("--cores", str(cores), "--memory", f"{memory_mb}m", "--work-dir", str(folder / f"worker{number}"), "--webui-port", "0")
            start(f"worker{number}", host, "org.apache.spark.deploy.worker.Worker", "--host", host.address, *asked, running.master)
        _wait(lambda: len(running.state()["workers"]) == len(hosts), "workers", folder)
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


def main(ratings: Path | None, separate: bool) -> None:
    """Prepare, train, cancel and lose executors on a cluster, and print a table.

    Args:
        ratings: a MovieLens release; None: the sample.
        separate: whether workers are on hosts of their own.
    """
    import tempfile

    import engine
    from engine.compute import using

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
            apart(2) if separate else nullcontext(HERE) as places,
            cluster(Path(folder) / "cluster", places) as hosts,
            using(hosts.compute()),
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
    named = [Path(word) for word in sys.argv[1:] if word != APART]
    main(named[0] if named else None, APART in sys.argv)
