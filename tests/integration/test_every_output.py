"""Every network learns every output that a dataset gives, on real ranks, and leaves what the pages show of it."""

import json

import pandas as pd
import pytest

from tests import ranks, tiny
from workers.models import MODELS
from workers.models.base import NetworkSpec

NETWORKS = [kind for kind, model in MODELS.items() if issubclass(model, NetworkSpec) and not model.reads_order]
EPOCHS = {"epochs": 16, "batch_size": 256, "table_learning_rate": 0.2, "dense_learning_rate": 0.01, "patience": None}
BARS = {"regression": ("rmse", 0.9), "multi_class": ("class_log_loss", 0.75), "actions": ("action_log_loss", 0.45)}
GUESSED = {"regression": 1.41, "multi_class": 1.04, "actions": 0.56}  # by the shares of train alone


@pytest.fixture(scope="module", params=BARS)
def trained(request, tmp_path_factory):
    """All networks on the dataset of one output."""
    folder = tmp_path_factory.mktemp(request.param)
    frame = tiny.with_target(tiny.groups(users=120, items=60), request.param)
    tiny.write(frame, folder / "dataset", output=request.param)
    runs = {}
    for kind in NETWORKS:
        pointwise = {"objective": "pointwise", "user_id": True} if "objective" in MODELS[kind].model_fields else {"dropout": 0.0}
        runs[kind] = (folder / kind, folder / "dataset", {"model": {"kind": kind, "embedding_dim": 8, **pointwise}, "train": EPOCHS})
    return request.param, folder, dict(zip(NETWORKS, ranks.train_all(list(runs.values())), strict=True))


@pytest.mark.parametrize("kind", NETWORKS)
def test_an_output_is_learnt_and_told(kind, trained):
    output, folder, found = trained
    done = found[kind]
    assert "metrics" in done, done
    name, bar = BARS[output]
    assert done["metrics"][name] < bar < GUESSED[output]
    assert done["metrics"]["auc"] > 0.9  # the score that ranks tells liked from disliked
    assert "log_loss" not in done["metrics"]
    tables = json.loads((folder / kind / "results" / "outputs.json").read_text())
    assert tables["output"] == output
    assert {"regression": "residuals", "multi_class": "confusion", "actions": "actions"}[output] in tables
    shown = pd.read_parquet(folder / kind / "results" / "predictions.parquet")
    assert len(shown) == min(500, 240)
    width = {"regression": 1, "multi_class": 3, "actions": 2}[output]
    assert {len(row) for row in shown["predicted"]} == {width}
    assert (shown["user"] > 0).all() and (shown["item"] > 0).all()
