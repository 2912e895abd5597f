"""Towers on padded tensors give what the network gives, in PyTorch and as files of ONNX run by onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from workers.batches import table_columns, to_batch
from workers.models import TwoTowerSpec
from workers.networks import PlainTower, TwoTower, item_tower, padded, user_tower
from workers.onnx import write_tower
from workers.specs import BINARY, Categorical, Dense, FeatureSchema, Task

SCHEMA = FeatureSchema(
    categorical=(
        Categorical(name="user_id", side="user", num_rows=41, vocabulary="user_id"),
        Categorical(name="history", side="user", num_rows=700, multi_valued=True, vocabulary="item_id"),
        Categorical(name="hobbies", side="user", num_rows=9, multi_valued=True, vocabulary="hobbies"),
        Categorical(name="hour", side="context", num_rows=25, vocabulary="hour"),
        Categorical(name="item_id", side="item", num_rows=700, vocabulary="item_id"),
        Categorical(name="genres", side="item", num_rows=5, multi_valued=True, vocabulary="genres"),
    ),
    dense=(
        Dense(name="age", side="user", mean=33.0, std=10.0),
        Dense(name="price", side="item", mean=5.0, std=2.0),
        Dense(name="noise", side="context", mean=0.0, std=1.0),
    ),
)  # fmt: skip
ALL: dict[str, Any] = {"user_id": True, "user_features": True}
CLASSES = Task(output="multi_class", classes=("1", "3", "5"), liked=("5",))
KINDS: dict[str, tuple[dict[str, Any], Task]] = {
    "summed": ({}, BINARY),
    "all features, deep": (ALL | {"user_layers": (16,), "item_layers": (16, 8)}, BINARY),
    "all features, cosine": (ALL | {"similarity": "cosine", "temperature": 0.1}, BINARY),
    "recency": ({"history_pooling": "recency"}, BINARY),
    "attention": (ALL | {"history_pooling": "attention", "user_layers": (8,)}, BINARY),
    "no history": ({"history": False, "user_id": True}, BINARY),
    "classes": ({"objective": "pointwise"}, CLASSES),
}


@pytest.fixture(params=KINDS, name="network")
def _network(request: pytest.FixtureRequest) -> TwoTower:
    """A network whose every weight is something else."""
    torch.manual_seed(0)
    settings, task = KINDS[request.param]
    network = TwoTowerSpec(embedding_dim=8, **settings).build(SCHEMA, task)
    assert isinstance(network, TwoTower)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.3)
    return network.eval()


def bags(rng: np.random.Generator, rows: int, most: int, num_rows: int) -> list[np.ndarray]:
    """Bags of every length, the first of them empty."""
    return [rng.integers(0, num_rows, 0 if at == 0 else rng.integers(0, most + 1)) for at in range(rows)]


def tables(rows: int, most: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Users and items as a prepared dataset has them."""
    rng = np.random.default_rng(rows + most)
    users = {
        "feature.user_id": rng.integers(0, 41, rows), "feature.history": bags(rng, rows, most, 700),
        "feature.hobbies": bags(rng, rows, 3, 9), "feature.age": rng.normal(size=rows),
    }  # fmt: skip
    items = {"feature.item_id": np.arange(rows), "feature.genres": bags(rng, rows, 4, 5), "feature.price": rng.normal(size=rows)}
    return pd.DataFrame(users), pd.DataFrame(items)


def by_network(network: TwoTower, users: pd.DataFrame, items: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and item states as serving computes them."""
    with torch.no_grad():
        queries = network.query(network.encode_users(to_batch(table_columns(users, SCHEMA, "user"), SCHEMA, len(users))))
        return queries, network.encode_items(to_batch(table_columns(items, SCHEMA, "item"), SCHEMA, len(items)))


def columns(frame: pd.DataFrame) -> dict[str, list[object]]:
    return {str(name): frame[name].tolist() for name in frame}


@pytest.mark.parametrize("rows, most", [(1, 0), (7, 5), (50, 600)])  # no likes, some, and more than ages have groups
def test_on_padded_tensors_it_is_the_same(network: TwoTower, rows: int, most: int) -> None:
    users, items = tables(rows, most)
    queries, states = by_network(network, users, items)
    for tower, frame, expected in ((user_tower(network, SCHEMA), users, queries), (item_tower(network, SCHEMA), items, states)):
        with torch.no_grad():
            vectors = tower(*(torch.from_numpy(padded(tower, columns(frame))[name]) for name in tower.inputs))
        torch.testing.assert_close(vectors, expected, rtol=1e-5, atol=1e-5)


def test_what_is_after_the_end_of_a_bag_does_not_matter(network: TwoTower) -> None:
    users, _ = tables(7, 5)
    tower = user_tower(network, SCHEMA)
    inputs = padded(tower, columns(users))
    with torch.no_grad():
        short = tower(*(torch.from_numpy(inputs[name]) for name in tower.inputs))
        longer = {name: np.pad(grid, ((0, 0), (0, 9)), constant_values=3) if grid.ndim == 2 and name != "dense" else grid
                  for name, grid in inputs.items()}  # fmt: skip
        long = tower(*(torch.from_numpy(longer[name]) for name in tower.inputs))
    torch.testing.assert_close(short, long, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_as_onnx_it_is_the_same_for_any_number_of_rows_and_likes(network: TwoTower, tmp_path: Path) -> None:
    for side, tower in (("user", user_tower(network, SCHEMA)), ("item", item_tower(network, SCHEMA))):
        write_tower(tower, tmp_path / f"{side}.onnx")
        session = onnxruntime.InferenceSession(str(tmp_path / f"{side}.onnx"))
        assert [one.name for one in session.get_inputs()] == tower.inputs
        assert [one.name for one in session.get_outputs()] == ["vector"]
        assert b"plain_towers.py" not in (tmp_path / f"{side}.onnx").read_bytes()  # no path of who wrote it
        for rows, most in ((1, 0), (7, 5), (50, 600)):
            frame = tables(rows, most)[side == "item"]
            expected = by_network(network, *tables(rows, most))[side == "item"].numpy()
            np.testing.assert_allclose(run(session, tower, frame), expected, rtol=1e-5, atol=1e-5)


def run(session: onnxruntime.InferenceSession, tower: PlainTower, frame: pd.DataFrame) -> np.ndarray:
    return np.asarray(session.run(None, padded(tower, columns(frame)))[0])
