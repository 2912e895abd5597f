"""Features whose part in the scores is known cost what they must, against scikit-learn; what is not read is not named."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from tests import tiny
from workers.artifacts import PreparedDataset
from workers.batches import blocks_of, join
from workers.importance.measure import features_of, measure, permuted
from workers.importance.spec import FeatureLoss, FeatureTest, FeatureTestSpec
from workers.networks import Batch
from workers.run import RunContext
from workers.run.journal import Journal
from workers.serving import OpenedNetwork
from workers.specs import Dense, FeatureSchema


class Known(nn.Module):
    """Logits are a sum of what rows hold, with these weights."""

    order_length = 0

    def __init__(self, colour: float, number: float, tags: float) -> None:
        super().__init__()
        self.weights = colour, number, tags

    def forward(self, batch: Batch) -> Tensor:
        colour, tags = batch.sparse["colour"].values().float(), batch.sparse["tags"].lengths().float()
        return (self.weights[0] * colour + self.weights[1] * batch.dense[:, 0] + self.weights[2] * tags)[:, None]


def result_of(folder: Path, model: nn.Module, **settings: object) -> FeatureTest:
    dataset = PreparedDataset.open(folder)
    opened = OpenedNetwork.__new__(OpenedNetwork)  # a dataset without items has no catalogue to encode
    opened.model, opened.schema, opened.reads_order = model, dataset.schema, False  # type: ignore[assignment]
    spec = FeatureTestSpec(features_of="a" * 32, dataset="tiny", **settings)  # type: ignore[arg-type]
    return measure(RunContext(folder, dataset, spec, Journal(None)), opened)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clicks") / "d"
    tiny.write_clicks(folder, 24_000)
    return folder


def test_a_feature_costs_what_scikit_learn_measures(clicks: Path) -> None:
    rows, rng = join(list(blocks_of(clicks, "test"))), np.random.default_rng(0)
    colour, number = rows["colour"].astype(float), rows["dense"][:, 0]
    scores = {"colour": lambda: 0.02 * rng.permutation(colour) + number, "number": lambda: 0.02 * colour + rng.permutation(number)}
    whole = roc_auc_score(rows["label"], 0.02 * colour + number)
    result = result_of(clicks, Known(0.02, 1.0, 0.0))
    assert (result.metric, result.rows, result.value) == ("auc", len(colour), pytest.approx(whole, abs=1e-6))
    assert {one.features for one in result.each} == {("colour",), ("number",)}  # shape and tags are not read
    for one in result.each:
        many = [whole - roc_auc_score(rows["label"], scores[one.features[0]]()) for _ in range(40)]
        assert one.loss == pytest.approx(np.mean(many), abs=4 * np.std(many) / np.sqrt(5) + 1e-3)
        assert one.low is not None and one.high is not None and one.low < one.loss < one.high
    assert [one.loss for one in result.each] == sorted((one.loss for one in result.each), reverse=True)


def test_what_costs_nothing_can_go_and_what_costs_cannot(clicks: Path) -> None:
    result = result_of(clicks, Known(0.0, 1.0, 1e-3))
    assert result.spare is not None and result.spare.features == ("tags",)
    assert [one.features for one in result.together] == [("tags",)]
    assert result_of(clicks, Known(0.0, 1.0, 0.0)).spare is None


def test_the_first_rows_are_read_and_the_same_seed_gives_the_same(clicks: Path) -> None:
    few = result_of(clicks, Known(1.0, 1.0, 0.0), rows=1000)
    assert few.rows == 1000
    assert few == result_of(clicks, Known(1.0, 1.0, 0.0), rows=1000)
    assert few != result_of(clicks, Known(1.0, 1.0, 0.0), rows=1000, seed=2)


def test_permuting_moves_the_values_of_some_features_and_nothing_else() -> None:
    flags = tuple(Dense(name=name, side="context", mean=0, std=1) for name in ("a", "b", "a_missing"))
    schema = FeatureSchema(categorical=tiny.CLICKS.categorical, dense=flags)
    assert features_of(schema)[-2:] == [("a", "a_missing"), ("b",)]
    rows = {
        "colour": np.array([1, 2, 3]), "tags.values": np.array([1, 2, 3, 4]), "tags.lengths": np.array([1, 0, 3]),
        "dense": np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]), "label": np.array([0, 1, 1]),
    }  # fmt: skip
    order = np.array([2, 0, 1])
    moved = permuted(rows, ("tags", "a", "a_missing"), schema, order)
    assert moved["tags.lengths"].tolist() == [3, 1, 0] and moved["tags.values"].tolist() == [2, 3, 4, 1]
    assert moved["dense"].tolist() == [[7, 2, 9], [1, 5, 3], [4, 8, 6]]
    assert moved["colour"] is rows["colour"] and moved["label"] is rows["label"] and rows["dense"][0, 0] == 1


def test_the_most_features_that_surely_cost_little_are_spared() -> None:
    def loss(*names: str, high: float | None) -> FeatureLoss:
        return FeatureLoss(features=names, loss=0.0, low=None if high is None else -high, high=high)

    def spare(*together: FeatureLoss) -> FeatureLoss | None:
        shown = {"metric": "auc", "value": 0.8, "rows": 10, "users": 10, "each": (), "tolerance": 0.001}
        return FeatureTest(together=together, **shown).spare  # type: ignore[arg-type]

    one, two, three = loss("a", high=0.0005), loss("a", "b", high=0.0009), loss("a", "b", "c", high=0.02)
    assert spare(one, two, three) == two
    assert spare(loss("a", high=None)) is None
