"""What a served model needs to be installed, pinned to the versions that it was checked with."""

import zipfile
from importlib.metadata import version
from pathlib import Path

from workers.models import FunnelSpec, LightGBMSpec, MatrixSpec, ModelSpec

LEAST = ("lazy-loader", "numpy", "pandas", "pyarrow", "pydantic", "safetensors", "scipy")
TORCH = ("torch", "torchrec", "fbgemm-gpu-cpu", "tensordict")
STAND_IN = "wheels"  # folder of the wheel below


def requirements(models: list[ModelSpec], index: bool) -> list[str]:
    """Pinned requirements as lines of a requirements.txt, without MLflow; models that are fitted at once need no PyTorch.

    Args:
        models: of all stages. index: whether a FAISS index is among the files.
    """
    names = [*LEAST, *(("faiss-cpu",) if index else ())]
    networks = [model for model in models if not isinstance(model, MatrixSpec | FunnelSpec)]
    if networks:
        names += TORCH
    if any(isinstance(model, LightGBMSpec) for model in models):
        names.append("lightgbm")
    lines = [f"{name}=={version(name).split('+')[0]}" for name in sorted(names)]
    return [f"./{STAND_IN}/{_wheel_name()}", *lines] if networks else lines


def _wheel_name() -> str:
    return f"fbgemm_gpu-{version('fbgemm-gpu-cpu').split('+')[0]}+cpu-py3-none-any.whl"


def metadata_wheel(folder: Path) -> None:
    """Write a wheel without code that stands in for `fbgemm-gpu` and requires `fbgemm-gpu-cpu`.

    TorchRec requires `fbgemm-gpu`, whose CUDA libraries do not load on a machine without a GPU and lie in the same import folder. The
    lines of a requirements.txt cannot take that back; a distribution of that name without content does.
    """
    folder = folder / STAND_IN
    folder.mkdir()
    pinned = version("fbgemm-gpu-cpu").split("+")[0]
    info = f"fbgemm_gpu-{pinned}+cpu.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: fbgemm-gpu\nVersion: {pinned}+cpu\nRequires-Dist: fbgemm-gpu-cpu=={pinned}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: recommender-workbench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / _wheel_name(), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(zipfile.ZipInfo(f"{info}/{name}"), text)
        record = "".join(f"{info}/{name},,\n" for name in (*files, "RECORD"))
        wheel.writestr(zipfile.ZipInfo(f"{info}/RECORD"), record)
