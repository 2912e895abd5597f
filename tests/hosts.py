"""Hosts that are network namespaces of this machine, joined by a bridge: own addresses, names and shared memory, one file system.

Needs root and Linux's `ip`. Addresses are of 10.77.0.0/24, which nothing outside of the machine reaches.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

GATEWAY = "10.77.0.1"


class Host(NamedTuple):
    """A host; without a namespace, this machine itself."""

    name: str
    address: str
    namespace: str | None = None

    def command(self, words: list[str], hosts: Path) -> list[str]:
        """Words that run a program there. hosts: its /etc/hosts."""
        if self.namespace is None:
            return words
        apart = f'hostname {self.name} && mount -t tmpfs tmpfs /dev/shm && mount --bind {hosts} /etc/hosts && exec "$@"'
        return ["ip", "netns", "exec", self.namespace, "unshare", "--uts", "--mount", "sh", "-c", apart, "sh", *words]


def why_not() -> str | None:
    """Why this machine can have no such hosts; None where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [name for name in ("ip", "unshare") if shutil.which(name) is None]:
        return f"{missing[0]} is not installed"
    tried = subprocess.run(["unshare", "--net", "--mount", "--uts", "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"network namespaces are not allowed here: {tried.stderr.strip()[:200]}"


@contextmanager
def apart(count: int) -> Iterator[list[Host]]:
    """Hosts that see each other and this machine, at GATEWAY; they are gone afterwards."""
    tag = f"rb{os.getpid() % 100_000}"
    hosts = [Host(f"host{n}", f"10.77.0.{10 + n}", f"{tag}n{n}") for n in range(count)]
    try:
        _ip("link", "add", tag, "type", "bridge")
        _ip("address", "add", f"{GATEWAY}/24", "dev", tag)
        _ip("link", "set", tag, "up")
        for n, host in enumerate(hosts):
            space = str(host.namespace)
            _ip("netns", "add", space)
            _ip("link", "add", f"{tag}v{n}", "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", f"{tag}v{n}", "master", tag, "up")
            for words in (
                ("address", "add", f"{host.address}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-n", space, *words)
        yield hosts
    finally:
        for n, host in enumerate(hosts):
            subprocess.run(["ip", "link", "delete", f"{tag}v{n}"], capture_output=True)
            subprocess.run(["ip", "netns", "delete", str(host.namespace)], capture_output=True)
        subprocess.run(["ip", "link", "delete", tag], capture_output=True)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
