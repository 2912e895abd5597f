"""fbgemm sees the CPU that it runs on."""

import ctypes
import sys
from pathlib import Path

import fbgemm_gpu
import pytest
import torch

from workers.cpu import features


@pytest.mark.skipif(sys.platform != "linux" or "AVX" not in torch.backends.cpu.get_cpu_capability(), reason="a CPU without AVX2")
def test_fbgemm_takes_its_vector_kernels():
    """A wheel that no longer needs the module passes without it too: then it can go."""
    assert features.show_to_fbgemm()
    fbgemm = ctypes.CDLL(str(Path(fbgemm_gpu.__file__).parent / "fbgemm.so"))
    assert fbgemm._ZN6fbgemm20fbgemmHasAvx2SupportEv() & 0xFF
