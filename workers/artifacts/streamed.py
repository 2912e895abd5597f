"""Write tensors to a safetensors file piece by piece: no tensor is copied whole, wherever it is, and its bytes are digested on the way."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

PIECE = 16 << 20  # bytes that are written at a time
ALIGNED = 8  # bytes: where numbers begin
NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32",
    torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


class Written(NamedTuple):
    """A file whose bytes are on disk."""

    bytes: int
    sha256: str  # in hex


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> Written:
    """Write a file that `safetensors` reads.

    Raises:
        OSError: it could not be written. KeyError: the format has no name for a dtype.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("wb", buffering=0) as file, ThreadPoolExecutor(1) as beside:
        for piece in _pieces(tensors):
            digested = beside.submit(digest.update, piece)  # hashing takes about as long as writing
            size += len(piece)
            while piece:
                piece = piece[file.write(piece) :]
            digested.result()
        os.fsync(file.fileno())
    return Written(size, digest.hexdigest())


def _pieces(tensors: Mapping[str, Tensor]) -> Iterator[memoryview]:
    """The bytes of the file: the header's length and the header, then the tensors, the widest numbers first so that all are aligned."""
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header, at = dict[str, object](), 0
    for name, tensor in ordered:
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNED)
    yield memoryview(len(text).to_bytes(8, "little") + text)
    for _, tensor in ordered:
        yield from _pieces_of(tensor.detach())


def _pieces_of(tensor: Tensor) -> Iterator[memoryview]:
    flat = tensor.contiguous().view(-1)  # tables and their optimizers are contiguous
    step = PIECE // flat.element_size()
    for start in range(0, len(flat), step):
        yield memoryview(flat[start : start + step].cpu().view(torch.uint8).numpy())
