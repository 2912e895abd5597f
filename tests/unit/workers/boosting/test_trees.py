"""Trees: what they read of a row leaves the row itself out, they find what was planted, and their checkpoint is checked text."""

import json
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
import torch

from tests import tiny
from workers.artifacts import PreparedDataset, checkpoint
from workers.batches import blocks_of, of_share, read_likes, table_columns, to_batch
from workers.boosting import BoostedRanker, Ground, fit, importance, lay, load, save
from workers.boosting.ground import _features
from workers.boosting.rows import _groups, read_rows_of_trees
from workers.boosting.statistics import Neighbours, count
from workers.boosting.stored import check
from workers.evaluation import catalogue
from workers.models import LightGBMSpec
from workers.specs import USER_ID, Protocol

SMALL = {"trees": 30, "patience": None, "learning_rate": 0.2, "leaf_rows": 5}


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Users like the items of their own group alone, and met as many others."""
    folder = tmp_path_factory.mktemp("boosting") / "dataset"
    tiny.write(tiny.groups(users=80, items=40), folder)
    return PreparedDataset.open(folder)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Rows without users and items, with the logits that they were drawn by."""
    folder = tmp_path_factory.mktemp("clicks") / "dataset"
    tiny.write_clicks(folder, rows=4000)
    return PreparedDataset.open(folder)


def grown(spec: LightGBMSpec, dataset: PreparedDataset, folder: Path) -> tuple[Ground, BoostedRanker]:
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True, parents=True)
    ground = lay(dataset, spec, Protocol(), 1, folder, lambda phase, done, of: None)
    fitted = fit(spec, ground, 1, lambda tree: False)
    return ground, BoostedRanker(spec, dataset.task, ground.features, fitted.booster, fitted.trees)


def test_counts_leave_out_the_part_of_train_that_a_row_is_in(groups: PreparedDataset) -> None:
    table = count(groups, ["item_id"], smoothing=0.0, seed=1).tables["item_id"]
    whole = catalogue(groups.folder)
    np.testing.assert_allclose(table[-1, 1:, 0], whole["train_count"])
    np.testing.assert_allclose(table[-1, 1:, 1], whole["train_positives"] / whole["train_count"], rtol=1e-5)
    # over the parts, what the others count comes to the whole again
    np.testing.assert_allclose(table[:-1, 1:, 0].mean(0), whole["train_count"], rtol=1e-5)
    assert (table[:-1, 1:, 0] != table[-1, 1:, 0]).any()


def test_labels_drawn_at_random_are_not_found_in_what_a_row_reads(groups: PreparedDataset, tmp_path: Path) -> None:
    """Nothing can be learnt from coin tosses: numbers that held a row's own label would tell its label on train."""
    rng = np.random.default_rng(3)
    frame = tiny.groups(users=80, items=40).assign(label=lambda f: rng.integers(0, 2, len(f)).astype(float))
    tiny.write(frame, tmp_path / "dataset")
    dataset = PreparedDataset.open(tmp_path / "dataset")
    spec = LightGBMSpec()
    features, likes, items = _features(dataset, spec, 1, 1.0)
    rows = read_rows_of_trees(dataset, spec, features, likes, items, tmp_path, 1)
    for place, name in enumerate(features.names):
        column, label = rows.matrix[:, place], rows.target > 0
        order = np.argsort(np.argsort(column + 1e-9 * rng.random(len(column))))
        area = (order[label].sum() - label.sum() * (label.sum() - 1) / 2) / (label.sum() * (~label).sum())
        assert abs(area - 0.5) < 0.06, (name, area)  # three standard errors


def test_the_cosine_of_a_training_like_is_that_without_it(groups: PreparedDataset) -> None:
    likes = read_likes(groups)
    near = Neighbours.of(likes, 100)
    user = 5
    first, second = (int(item) + 1 for item in likes.matrix[user].indices[:2])
    without = likes.matrix.copy().tolil()
    without[user, second - 1] = 0
    dense = without.toarray() > 0
    a, b = dense[:, first - 1].astype(float), dense[:, second - 1].astype(float)
    expected = a @ b / np.sqrt(a.sum() * b.sum())
    found = near.pairs(np.array([first, first]), np.array([second, second]), np.array([True, False]))
    assert found[0] == pytest.approx(expected, abs=1e-5)
    assert found[1] > found[0]
    _, items, cosines = near.around(np.array([first]))
    assert dict(zip(items.tolist(), cosines.tolist(), strict=True))[second] == pytest.approx(float(found[1]))


def test_all_items_for_one_user_read_what_pairs_read(groups: PreparedDataset) -> None:
    features, _, items = _features(groups, LightGBMSpec(neighbours=5), 1, 1.0)
    schema = groups.schema
    states = features.items(to_batch(table_columns(items, schema, "item"), schema, len(items)))
    columns = {USER_ID: np.array([3, 0]), "history.values": np.array([1, 5, 9, 2, 30, 31, 7]), "history.lengths": np.array([7, 0])}
    for user in features.users(to_batch(columns, schema, 2)):
        pairs = features.matrix(np.tile(user, (len(items), 1)), states)
        np.testing.assert_allclose(features.grid(user, states), pairs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("negatives", ["none", "uniform", "popularity"])
def test_held_out_items_of_the_own_group_come_first(negatives: str, groups: PreparedDataset, tmp_path: Path) -> None:
    spec = LightGBMSpec(negatives=negatives, num_negatives=5, **SMALL)
    _, model = grown(spec, groups, tmp_path / "matrices")
    ranked, schema = pd.read_parquet(groups.folder / "ranking" / "test.parquet"), groups.schema
    items = catalogue(groups.folder)
    users = model.encode_users(to_batch(table_columns(ranked, schema, "user"), schema, len(ranked)))
    grid = model.score_grid(users, model.encode_items(to_batch(table_columns(items, schema, "item"), schema, len(items)))).numpy()
    for place, (seen, relevant) in enumerate(zip(ranked["seen"], ranked["relevant"], strict=True)):
        grid[place, np.asarray(seen) - 1] = -np.inf
        assert set(relevant) <= set((np.argsort(-grid[place])[:2] + 1).tolist())  # the other one of the group is held out for validation


@pytest.mark.parametrize("objective", ["pointwise", "lambdamart"])
def test_the_trees_are_those_of_lightgbm_on_the_same_matrix(objective: str, groups: PreparedDataset, tmp_path: Path) -> None:
    """And they come back out of their checkpoint as they were."""
    spec = LightGBMSpec(objective=objective, row_share=1.0, feature_share=1.0, **SMALL)
    torch.set_num_threads(1)
    ground = lay(groups, spec, Protocol(), 1, tmp_path, lambda phase, done, of: None)
    fitted = fit(spec, ground._replace(valid=None, judge=None), 1, lambda tree: False)
    model = BoostedRanker(spec, groups.task, ground.features, fitted.booster, fitted.trees)
    likes, items = read_likes(groups), catalogue(groups.folder)
    (tmp_path / "again").mkdir()
    rows = read_rows_of_trees(groups, spec, ground.features, likes, items, tmp_path / "again", 1)
    wanted = {"objective": "binary" if objective == "pointwise" else "lambdarank", "learning_rate": 0.2, "min_data_in_leaf": 5}
    wanted |= {"lambda_l2": 1.0, "verbosity": -1, "num_threads": 1, "seed": 1, "label_gain": [0, 1], "deterministic": True}
    plain = lightgbm.train(
        wanted | {"force_row_wise": True, "feature_pre_filter": False},
        lightgbm.Dataset(np.asarray(rows.matrix, np.float64), rows.target, group=rows.groups, params={"feature_pre_filter": False}),
        30,
    )
    expected = plain.predict(np.asarray(rows.matrix, np.float64), raw_score=True)
    np.testing.assert_allclose(fitted.booster.predict(np.asarray(rows.matrix), raw_score=True), expected, rtol=1e-5, atol=1e-6)
    save(tmp_path / "checkpoint", model, {"spec": {}})
    again = load(checkpoint.best(tmp_path / "checkpoint"), spec, groups.schema, groups.task)
    columns = {USER_ID: np.array([3]), "item_id": np.array([2]), "history.values": np.array([1, 5]), "history.lengths": np.array([2])}
    batch = to_batch(columns, groups.schema, 1)
    torch.testing.assert_close(again(batch), model(batch))
    assert importance(again)[0]["share"] > importance(again)[-1]["share"]
    assert again.leaves == model.leaves > 30


def test_probabilities_of_clicks_are_near_those_that_drew_them(clicks: PreparedDataset, tmp_path: Path) -> None:
    ground, model = grown(LightGBMSpec(trees=80, learning_rate=0.1), clicks, tmp_path / "matrices")
    said = [one["feature"] for one in importance(model)[:3]]
    assert {"colour", "number"} <= set(said), said
    assert [name for name in ground.features.names if name.startswith("tags")] == [f"tags: {row}" for row in range(1, 6)]
    frame = tiny.clicks(4000).query("split == 'test'")
    columns = {"colour": frame["colour"].to_numpy(), "shape": frame["shape"].to_numpy(), "dense": frame[["number"]].to_numpy(np.float32)}
    columns |= {"tags.values": np.concatenate(frame["tags"].to_list()).astype(np.int32), "tags.lengths": frame["tags"].map(len).to_numpy()}
    logits = model(to_batch(columns, clicks.schema, len(frame)))[:, 0].numpy()
    assert np.corrcoef(logits, frame["logit"])[0, 1] > 0.9


@pytest.mark.parametrize("output", ["regression", "multi_class"])
def test_values_and_classes_are_learnt(output: str, tmp_path: Path) -> None:
    tiny.write(tiny.with_target(tiny.groups(users=80, items=40), output), tmp_path / "dataset", output=output)
    dataset = PreparedDataset.open(tmp_path / "dataset")
    ground, model = grown(LightGBMSpec(**SMALL), dataset, tmp_path / "matrices")
    assert model.head.outputs == dataset.task.outputs
    assert ground.judge is not None
    fitted = model.booster.predict(np.zeros((1, len(ground.features.names))))
    assert np.size(fitted) == dataset.task.outputs


def test_a_user_with_more_rows_than_lightgbm_takes_is_several_groups() -> None:
    sizes = _groups(np.array([3, 1000, 2]), 21)
    assert sizes.sum() == 21 * 1005
    assert sizes.max() <= 10_000
    assert sizes.tolist()[0] == 63 and sizes.tolist()[-1] == 42 and len(sizes) == 5


def test_of_more_rows_than_the_limit_a_part_is_used(groups: PreparedDataset, tmp_path: Path) -> None:
    spec = LightGBMSpec(negatives="uniform", num_negatives=9, most_rows=1000)
    features, likes, items = _features(groups, spec, 1, 1.0)
    rows = read_rows_of_trees(groups, spec, features, likes, items, tmp_path, 1)
    assert rows.used == 100 and len(rows.matrix) == 1000 and rows.of == likes.counts.sum()
    assert rows.target.sum() == 100
    assert rows.groups is not None and rows.groups.sum() == 1000


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("split_feature=", "split_feature=99 "), ("left_child=", "left_child=77 "), ("leaf_value=", "leaf_value="),
        ("threshold=", "threshold="), ("max_feature_idx=", "max_feature_idx=5"),
    ],
)  # fmt: skip
def test_text_that_points_beyond_its_trees_is_refused(line: str, wrong: str, clicks: PreparedDataset, tmp_path: Path) -> None:
    ground, model = grown(LightGBMSpec(trees=3), clicks, tmp_path / "matrices")
    lines, features = model.booster.model_to_string().splitlines(), len(ground.features.names)
    check("\n".join(lines), features)
    at = next(number for number, text in enumerate(lines) if text.startswith(line))
    kept = lines[at].removeprefix(line).split()
    lines[at] = wrong + " ".join(kept[1:])
    with pytest.raises(ValueError, match="Train the model again"):
        check("\n".join(lines), features)


def test_what_cannot_be_learnt_is_refused_in_a_sentence(groups: PreparedDataset, clicks: PreparedDataset) -> None:
    binary = {"kind": "given", "output": "binary"}
    assert LightGBMSpec().refusal(groups.schema, binary) is None and LightGBMSpec().refusal(clicks.schema, binary) is None
    refused = [
        LightGBMSpec(negatives="uniform").refusal(clicks.schema, binary),
        LightGBMSpec(objective="lambdamart").refusal(clicks.schema, binary),
        LightGBMSpec().refusal(groups.schema, {"kind": "implicit", "output": "binary"}),
        LightGBMSpec().refusal(groups.schema, {"kind": "actions", "output": "actions"}),
        LightGBMSpec(negatives="uniform").refusal(groups.schema, {"kind": "regression", "output": "regression"}),
    ]
    for why in refused:
        assert why is not None and why.endswith(".") and "hoose" in why
    assert LightGBMSpec(negatives="uniform").refusal(groups.schema, {"kind": "implicit", "output": "binary"}) is None


def test_empty_objective_follows_the_negatives() -> None:
    assert LightGBMSpec().chosen_objective == "pointwise" and LightGBMSpec().predicts_label
    choice = LightGBMSpec(negatives="popularity")
    assert choice.chosen_objective == "lambdamart" and choice.learns_choice and not choice.predicts_label
    assert json.loads(choice.model_dump_json())["objective"] is None


def test_a_share_of_the_users_is_all_that_is_counted_and_learnt_from(groups: PreparedDataset, tmp_path: Path) -> None:
    kept = [of_share(block, 0.4) for block in blocks_of(groups.folder, "train")]
    of_items = np.concatenate([block["item_id"] for block in kept])
    table = count(groups, ["item_id"], smoothing=0.0, seed=1, share=0.4).tables["item_id"]
    np.testing.assert_allclose(table[-1, 1:, 0], np.bincount(of_items, minlength=table.shape[1])[1:])
    (tmp_path / "whole").mkdir()
    ground = lay(groups, LightGBMSpec(), Protocol(), 1, tmp_path, lambda phase, done, of: None, share=0.4)
    whole = lay(groups, LightGBMSpec(), Protocol(), 1, tmp_path / "whole", lambda phase, done, of: None)
    assert ground.used == len(of_items) < whole.used
