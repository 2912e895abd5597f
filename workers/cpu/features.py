"""Let fbgemm see what the CPU can do, so that it takes its vector kernels.

torch's wheels hold the list of CPU features (`cpuinfo_isa`) twice, in libtorch.so and in libc10.so. torch fills and reads the first;
fbgemm's library is linked so that it reads the second, which stays empty, and runs its scalar reference kernels: ten times slower in
the backward of a table. Seen in torch 2.14.1 with fbgemm 1.9.0 (`nm -D`; `fbgemm::fbgemmHasAvx2Support()` is false on an AVX-512 machine).
"""

import ctypes
import logging
from pathlib import Path

import torch

BYTES = 85  # size of the symbol, as `readelf -s` gives it
log = logging.getLogger(__name__)


def show_to_fbgemm() -> bool:
    """Fill the list that fbgemm reads where it is empty, before its first kernel is made; returns whether it is filled."""
    libraries = Path(torch.__file__).parent / "lib"
    try:
        c10 = ctypes.CDLL(str(libraries / "libc10.so"))
        c10.cpuinfo_initialize()
        read = (ctypes.c_char * BYTES).in_dll(c10, "cpuinfo_isa")
        filled = (ctypes.c_char * BYTES).in_dll(ctypes.CDLL(str(libraries / "libtorch.so")), "cpuinfo_isa")
    except (OSError, AttributeError, ValueError) as error:  # other wheels, another machine: slower at worst
        log.info("fbgemm's view of the CPU is left as it is: %s", error)
        return False
    if not any(read.raw):
        read.raw = filled.raw
    return any(read.raw)
