"""A tower as a file of ONNX."""

import warnings
from pathlib import Path

import torch

from workers.networks import DENSE, VECTOR, PlainTower

OPSET = 18
MOST_IN_FILE = 1 << 30  # bytes of weights; a file of protobuf holds 2 GiB at most, so that larger ones are in a file beside it


def write_tower(tower: PlainTower, file: Path) -> None:
    """Write a tower, whose inputs may have any number of rows and bags of any length; the output is called `vector`.

    Raises:
        ImportError: onnx or onnxscript is not installed.
    """
    rows, bags = torch.export.Dim("batch", min=1), {one.name for one in tower.read if one.multi_valued}
    examples, shapes = [], []
    for name in tower.inputs:
        long = {1: torch.export.Dim(f"longest_{name}", min=1)} if name in bags else {}
        shapes.append({0: rows} | long)
        examples.append(torch.zeros(2, len(tower.dense)) if name == DENSE else torch.zeros((2, 3) if long else (2,), dtype=torch.int64))
    heavy = sum(one.numel() * one.element_size() for one in tower.parameters()) > MOST_IN_FILE
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="# The axis name: batch will not be used")  # all inputs have the same rows
        program = torch.onnx.export(
            tower, tuple(examples), dynamo=True, opset_version=OPSET, input_names=tower.inputs, output_names=[VECTOR],
            dynamic_shapes={"inputs": tuple(shapes)}, verbose=False,
        )  # fmt: skip
    assert program is not None
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces, with paths of this machine
    program.save(file, external_data=heavy)
