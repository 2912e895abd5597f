"""This Python environment as an archive that executors unpack, by venv-pack."""

import os
import sys
from pathlib import Path


def pack_environment(target: Path, prefix: Path | None = None) -> Path:
    """Write the virtual environment of this process to a `.tar.gz` file; whole, or not at all.

    Args:
        target: the file, which must not exist. prefix: another virtual environment.

    Returns:
        The file, as an absolute path.

    Raises:
        ValueError: there is no such environment, the file exists or has another ending, or venv-pack is missing; says what to do.
    """
    try:
        from venv_pack import VenvPackException, pack
    except ImportError:
        raise ValueError("Packing needs venv-pack: `uv run --extra cluster recbench pack-environment …`.") from None
    if not target.name.endswith((".tar.gz", ".tgz")):
        raise ValueError(f"{target} is no name for the archive, since Spark unpacks by it; give one that ends with .tar.gz.")
    if target.exists():
        raise ValueError(f"{target} exists; give another name, or remove it.")
    partial = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        pack(prefix=str(prefix or sys.prefix), output=str(partial), format="tar.gz", compress_level=1)
        os.replace(partial, target)
    except VenvPackException as error:
        raise ValueError(f"This environment cannot be packed: {error}. Where it is one of conda, use conda-pack.") from error
    except OSError as error:
        raise ValueError(f"{target} cannot be written: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return target.resolve()
