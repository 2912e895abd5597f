"""The towers of a finished two-tower as ONNX, for servers without the workbench and without PyTorch. Imports torch when called."""

import json
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from engine import datasets
from workers.artifacts import FEATURE, USERS, VOCABULARY
from workers.specs import HISTORY, ITEM_ID

if TYPE_CHECKING:
    import pandas as pd

    from engine.recommend.recommender import Recommender
    from workers.networks import PlainTower

MANIFEST = "towers.json"
NEEDS = ("onnx", "onnxscript", "onnxruntime")
PROBES = 1000  # users, and items, for whom what was written is compared with the network
TOLERANCE = 1e-5  # of the largest number among them, where that is above 1


class Towers(BaseModel):
    """What was written. `difference`: the largest one between a number of the files' vectors and the network's, over the probes."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    width: int = Field(description="Numbers in a vector")
    offset: float = Field(description="What is added to the dot product of a user's and an item's vector to get the score")
    difference: float


def export_onnx(run_id: str, folder: Path | str) -> Towers:
    """Write the towers of a two-tower as `user.onnx` and `item.onnx`, the vocabularies of their inputs, and `towers.json`, which says
    what each input means. The files are compared with the network before `towers.json` is written, last.

    Args:
        folder: a new or an empty folder.

    Raises:
        LookupError: no such run. ValueError: it is no two-tower, the folder is not empty, or packages are not installed.
        RuntimeError: the files do not give what the network gives.
    """
    from engine.recommend.recommender import open_model

    folder = Path(folder)
    if missing := [name for name in NEEDS if find_spec(name) is None]:
        raise ValueError(f"Writing ONNX needs {', '.join(missing)}: `uv run --extra onnx recbench export-onnx RUN FOLDER`.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not an empty folder; choose a new one.")
    opened = open_model(run_id)
    return _write(opened, run_id, folder)


def _write(opened: "Recommender", run_id: str, folder: Path) -> Towers:
    import torch

    from workers.networks import TwoTower, item_tower, user_tower
    from workers.onnx import OPSET, write_tower

    network = getattr(opened.opened, "model", None)
    if not isinstance(network, TwoTower):
        raise ValueError("Only the towers of a two-tower can be written as ONNX; of a funnel, name the run of its retriever.")
    towers = {"user": user_tower(network, opened.schema), "item": item_tower(network, opened.schema)}
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it advises on how to write models
    for side, tower in towers.items():
        write_tower(tower, folder / f"{side}.onnx")
    difference = max(_difference(opened, tower, folder / f"{side}.onnx") for side, tower in towers.items())
    nobody = torch.zeros(1, network.user.dim + 1)
    made = Towers(folder=folder, width=nobody.shape[1], offset=float(network.score_grid(nobody, nobody)), difference=difference)
    read = {feature.vocabulary for tower in towers.values() for feature in tower.read} | {ITEM_ID}
    vocabularies = {name: _vocabulary(opened, name, folder) for name in sorted(read)}
    facts = {
        "run": run_id,
        "dataset": opened.dataset,
        "opset": OPSET,
        "width": made.width,
        "score": "the dot product of a user's vector and an item's, plus offset",
        "offset": made.offset,
        "difference": made.difference,
        **{side: {"file": f"{side}.onnx", "output": "vector", "inputs": _inputs(opened, tower)} for side, tower in towers.items()},
        "vocabularies": {name: file for name, file in vocabularies.items() if file},
    }
    (folder / MANIFEST).write_text(json.dumps(facts, indent=2), encoding="utf-8")
    return made


def _inputs(opened: "Recommender", tower: "PlainTower") -> list[dict[str, Any]]:
    """What each input of a tower is, in their order."""
    from workers.networks import DENSE

    features, found = {one.name: one for one in opened.schema.categorical}, []
    for name in tower.inputs:
        if name == DENSE:
            means = "float32: (value - mean) / std of each feature in this order; 0 where it is missing"
            columns = [{"name": one.name, "mean": one.mean, "std": one.std} for one in tower.dense]
            found.append({"name": name, "type": "float32", "shape": ["batch", len(columns)], "means": means, "features": columns})
        elif name not in features:
            means = "how many ids of the bag count; the others are not read"
            found.append({"name": name, "type": "int64", "shape": ["batch"], "means": means})
        else:
            one = features[name]
            means = f"{'rows' if one.multi_valued else 'row'} of the vocabulary, 0 for an unknown value"
            means += "; the items that the user liked, the newest last" if name == HISTORY else ""
            shape = ["batch", f"longest_{name}"] if one.multi_valued else ["batch"]
            found.append({"name": name, "type": "int64", "shape": shape, "means": means, "vocabulary": one.vocabulary})
    return found


def _vocabulary(opened: "Recommender", name: str, folder: Path) -> str | None:
    """Write row and value of a vocabulary; its file, or None for values that are hashed and have none."""
    import pandas as pd

    source = datasets.get_dataset(opened.dataset).path / VOCABULARY / f"{name}.parquet"
    if name == ITEM_ID:
        table = opened.items[["row", "item_id"]].rename(columns={"item_id": "value"})
    elif source.exists():
        table = pd.read_parquet(source, columns=["row", "value"]).sort_values("row")
    else:
        return None
    file = f"{VOCABULARY}/{name}.parquet"
    (folder / file).parent.mkdir(exist_ok=True)
    table.to_parquet(folder / file, index=False)
    return file


def _difference(opened: "Recommender", tower: "PlainTower", file: Path) -> float:
    """The largest difference between vectors of the file and of the network, over the first PROBES users or items."""
    import onnxruntime

    from workers.networks import padded

    frame, expected = _users(opened) if tower.side == "user" else _items(opened)
    inputs = padded(tower, {str(name): frame[name].tolist() for name in frame if str(name).startswith(FEATURE)})
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    vectors = session.run(None, inputs)[0]
    difference = float(np.abs(vectors - expected).max(initial=0.0))
    if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0.0))):
        raise RuntimeError(f"{file.name} gives vectors that differ from the network's by up to {difference:.1g}; nothing was finished.")
    return difference


def _items(opened: "Recommender") -> "tuple[pd.DataFrame, np.ndarray]":
    vectors = opened.opened.vectors
    assert vectors is not None
    return opened.items.iloc[:PROBES], vectors[:PROBES]


def _users(opened: "Recommender") -> "tuple[pd.DataFrame, np.ndarray]":
    """The first users, and their queries."""
    import pyarrow.parquet as pq

    from workers.serving import UserItems

    path = datasets.get_dataset(opened.dataset).path
    frame = next(pq.ParquetFile(path / USERS).iter_batches(PROBES)).to_pandas()
    nothing = np.zeros(0, np.int64)  # a two-tower reads likes out of the encoded history
    queries = opened.opened.queries(opened.opened.people(frame, [UserItems(nothing, nothing.astype(np.float32), nothing)] * len(frame)))
    assert queries is not None
    return frame, queries
