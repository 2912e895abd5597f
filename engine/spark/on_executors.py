"""Functions that run on executors: what a host lacks, and which processes of a run are left there.

They are sent by value, so that they run where the workbench's code did not arrive, and import nothing of it.
"""

from typing import NamedTuple


class Host(NamedTuple):
    """What one executor sees."""

    name: str
    python: str
    missing: tuple[str, ...]  # modules that cannot be found
    shares: bool  # whether a file of the workspace is seen


def look(modules: tuple[str, ...], marker: str) -> Host:
    """What this executor lacks. marker: a file of the workspace."""
    import socket
    import sys
    from importlib.util import find_spec
    from pathlib import Path

    missing = tuple(name for name in modules if find_spec(name) is None)
    return Host(socket.gethostname(), sys.version.split()[0], missing, Path(marker).is_file())


def end_ranks(token: str, run_id: str, patience_s: float) -> tuple[str, tuple[int, ...]]:
    """End the launchers and ranks of a run on this host: its name, and the pids of those that did not end."""
    import os
    import socket

    import psutil

    def is_of_run(process: psutil.Process) -> bool:
        try:
            words = process.cmdline()
            launched = "torch.distributed.run" in words or any(word.endswith("train.py") for word in words)
            return launched and process.pid != os.getpid() and process.environ().get(token) == run_id
        except psutil.Error:
            return False

    own = [process for process in psutil.process_iter() if is_of_run(process)]
    for process in own:
        try:
            process.kill()
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(own, timeout=patience_s)
    return socket.gethostname(), tuple(process.pid for process in alive)
