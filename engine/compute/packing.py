"""This Python and its packages as one archive that executors unpack: nothing need be installed on their hosts.

Not by venv-pack: it refuses environments with a project that is installed for editing, as `uv sync` leaves this one, and wants the same
interpreter under the same path on every host.
"""

import os
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

LEFT_OUT = {"site-packages", "dist-packages", "test", "idlelib", "turtledemo", "ensurepip", "tkinter"}  # of the standard library


def pack_environment(target: Path, packages: Path | None = None) -> Path:
    """Write the interpreter, its standard library and the installed packages to a `.tar.gz` file; whole, or not at all.

    The workbench itself is left out where it is installed for editing: its code goes to executors with each run. Hosts need a C library
    that is as new as this one's.

    Args:
        target: the file, which must not exist. packages: another folder of packages.

    Returns:
        The file, as an absolute path.

    Raises:
        ValueError: the file exists, has another ending, or cannot be written; says what to do.
    """
    if not target.name.endswith((".tar.gz", ".tgz")):
        raise ValueError(f"{target} is no name for the archive, since Spark unpacks by it; give one that ends with .tar.gz.")
    if target.exists():
        raise ValueError(f"{target} exists; give another name, or remove it.")
    partial = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        with tarfile.open(partial, "w:gz", compresslevel=1) as archive:
            for path, name in _files(packages or Path(sysconfig.get_paths()["purelib"])):
                archive.add(path, name, recursive=False)
        os.replace(partial, target)
    except OSError as error:
        raise ValueError(f"{target} cannot be written: {error}. Choose another place.") from error
    finally:
        partial.unlink(missing_ok=True)
    return target.resolve()


def _files(packages: Path) -> Iterator[tuple[Path, str]]:
    """Each file with its name in the archive, which is laid out as an installed Python: bin, lib."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = f"lib/{version}"
    yield Path(os.path.realpath(sys.executable)), f"bin/{version}"
    yield Path(os.path.realpath(sys.executable)), "bin/python"
    for shared in (Path(sys.base_prefix) / "lib").glob("libpython*.so*"):
        yield shared.resolve(), f"lib/{shared.name}"
    standard = Path(sysconfig.get_paths()["stdlib"])
    for path in standard.rglob("*"):
        relative = path.relative_to(standard)
        if path.is_file() and not LEFT_OUT & set(relative.parts):
            yield path.resolve(), f"{library}/{relative}"
    for path in packages.rglob("*"):
        if path.is_file() and not _names_a_place_elsewhere(path, packages):
            yield path, f"{library}/site-packages/{path.relative_to(packages)}"


def _names_a_place_elsewhere(path: Path, packages: Path) -> bool:
    """Whether a file is the .pth of a project that is installed for editing: a line of it is a folder outside of the packages."""
    if path.suffix != ".pth" or path.parent != packages:  # others are not read by Python
        return False
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    named = [packages / line for line in lines if line and not line.startswith(("#", "import ", "import\t"))]
    return any(not one.resolve().is_relative_to(packages.resolve()) for one in named)
