"""The size that a spec tells without torch is that of the network it builds, on the meta device, table by table."""

from typing import Any

import pytest
import torch

from tests.contracts.test_models import NETWORKS, SCHEMA
from workers.models import NetworkSpec
from workers.specs import BINARY, FeatureSchema, Task

PLAIN = FeatureSchema(categorical=tuple(f for f in SCHEMA.categorical if f.name in ("user_id", "item_id")))
VALUE = Task(output="regression", mean=3.0)
CLASSES = Task(output="multi_class", classes=("1", "3", "5"), liked=("5",))
SETTINGS: list[dict[str, Any]] = [
    {},
    {"history": False},
    {"without": ("genres", "year", "history")},
    {"without": ("age", "year")},
    {"history_pooling": "recency"},
    {"history_pooling": "attention"},
    {"embedding_dim": 32, "first_order": False, "dense_layers": (8, 4), "over_layers": (16, 8), "deep_layers": (16,), "low_rank": 5},
    {"objective": "pointwise", "user_id": True, "user_features": True, "user_layers": (8,), "item_layers": (8, 4)},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: " ".join(settings) or "defaults")
@pytest.mark.parametrize("task", [BINARY, VALUE, CLASSES], ids=lambda task: task.output)
@pytest.mark.parametrize("schema", [SCHEMA, PLAIN], ids=["features", "ids alone"])
@pytest.mark.parametrize("model", NETWORKS, ids=lambda model: model.__name__)
def test_the_size_that_a_spec_tells_is_that_of_the_network(
    model: type[NetworkSpec], schema: FeatureSchema, task: Task, settings: dict[str, Any]
) -> None:
    spec = model(**{name: value for name, value in settings.items() if name in model.model_fields}).fitted(schema)
    told = spec.footprint(schema, task)
    assert told is not None
    with torch.device("meta"):
        network = spec.build(schema, task)
    assert {t.name: (t.rows, t.width) for t in told.tables} == {
        t.name: (t.num_embeddings, t.embedding_dim) for ebc in network.collections.values() for t in ebc.embedding_bag_configs()
    }
    assert told.parameters == sum(weight.numel() for weight in network.parameters())
