"""Products by oneDNN are torch's own to the last digits, of whatever shape, layout and kind, and reach every layer of a process."""

import subprocess
import sys

import pytest
import torch

from workers.cpu import products

LARGE = [(4096, 64, 64), (512, 416, 64), (64, 4096, 32), (1, 1024, 1024), (4096, 1024, 1)]
SMALL = [(4096, 1, 1), (8, 8, 8), (0, 64, 64), (64, 0, 64), (64, 64, 0)]


@pytest.mark.parametrize("shape", [*LARGE, *SMALL])
@pytest.mark.parametrize("layout", ["plain", "left turned", "right turned", "both turned", "strided"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_those_of_torch(shape, layout, dtype):
    rows, inner, columns = shape
    generator = torch.Generator().manual_seed(1)
    left = torch.randn(rows, inner, generator=generator, dtype=dtype)
    right = torch.randn(inner, columns, generator=generator, dtype=dtype)
    added = torch.randn(columns, generator=generator, dtype=dtype)
    if layout in ("left turned", "both turned"):
        left = left.t().contiguous().t()
    if layout in ("right turned", "both turned"):
        right = right.t().contiguous().t()
    if layout == "strided":
        left, right = left.repeat_interleave(2, 1)[:, ::2], right.repeat_interleave(3, 0)[::3]
    exact = left.double() @ right.double()
    near = {"rtol": 1e-5, "atol": 1e-3} if dtype == torch.float32 else {}
    torch.testing.assert_close(products.mm(left, right), exact.to(dtype), **near)
    torch.testing.assert_close(products.addmm(added, left, right), (added.double() + exact).to(dtype), **near)
    scaled = products.addmm(added, left, right, beta=0.5, alpha=-2)
    torch.testing.assert_close(scaled, (0.5 * added.double() - 2 * exact).to(dtype), **near)
    torch.testing.assert_close(products.addmm(exact.to(dtype), left, right), (2 * exact).to(dtype), **near)
    torch.testing.assert_close(products.addmm(added[:1], left, right), (added[:1].double() + exact).to(dtype), **near)


def test_shapes_that_do_not_fit_are_refused_as_torch_does():
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        products.mm(torch.zeros(1024, 1024), torch.zeros(1023, 1024))


REGISTERED = """
import torch
from workers.cpu import products
torch.manual_seed(1)
layer, rows = torch.nn.Linear(256, 64), torch.randn(1024, 256, requires_grad=True)
def learn():
    layer.zero_grad(), setattr(rows, "grad", None)
    layer(rows).square().sum().backward()
    return [rows.grad, layer.weight.grad, layer.bias.grad]
before = learn()
products.register()
with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
    after = learn()
for one, other in zip(before, after, strict=True):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)
print(sum(event.count for event in profiled.key_averages() if event.key == "mkldnn::_linear_pointwise"))
"""


def test_a_layer_learns_by_them_and_learns_the_same():
    done = subprocess.run([sys.executable, "-c", REGISTERED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3"]  # forward, of the rows, of the weights


@pytest.mark.parametrize(
    ("capability", "maker", "wanted"),
    [("AVX512", "AuthenticAMD", True), ("AVX512", "GenuineIntel", False), ("AVX2", "AuthenticAMD", False)],
)
def test_they_are_taken_where_mkl_falls_short(monkeypatch, capability, maker, wanted):
    registered = []
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(products.Path, "read_text", lambda _: f"vendor_id : {maker}\n")
    monkeypatch.setattr(products, "_kernels", [])
    monkeypatch.setattr(products, "register", lambda: registered.append(True) or products._kernels.append(None))
    assert products.use_onednn() is wanted
    assert products.use_onednn() is wanted
    assert len(registered) == wanted
