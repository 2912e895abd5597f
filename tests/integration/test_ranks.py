"""Real ranks over gloo on planted groups, whose right answer is known: users like the items of their own group only."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tests import ranks, tiny
from workers.artifacts import PreparedDataset
from workers.batches import blocks_of, of_share, users_in_share
from workers.batches.likes import read_rows
from workers.evaluation import scored_rows
from workers.models import MODELS
from workers.models.base import NetworkSpec
from workers.specs.protocol import Protocol
from workers.specs.schema import FeatureSchema

NETWORKS = [kind for kind, model in MODELS.items() if issubclass(model, NetworkSpec)]
EPOCHS = {"epochs": 8, "batch_size": 256, "table_learning_rate": 0.1}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "dataset"
    # in no order, since models that read it would learn it
    tiny.write(tiny.groups(users=200, items=80).sample(frac=1, random_state=0), folder)
    tiny.write_sets(folder)
    return folder


@pytest.fixture(scope="module", params=NETWORKS)
def trained(request, dataset, tmp_path_factory):
    """The kind of a network that two ranks have trained, its run folder, and done.json."""
    run = tmp_path_factory.mktemp(request.param) / "run"
    done = ranks.train(run, dataset, {"model": {"kind": request.param}, "train": EPOCHS}, processes=2)
    assert "metrics" in done, done
    return request.param, run, done


def test_two_ranks_learn_what_popularity_cannot(trained, dataset):
    _, run, done = trained
    popularity = json.loads((dataset / "baselines" / "popularity.json").read_text())
    # 20 items of the group, 17 or 18 of them seen: the held-out ones stand in any order among two or three
    assert done["metrics"]["recall_at_10"] > 0.9 > 0.5 > popularity["recall_at_10"]
    assert done["metrics"]["auc"] > 0.95
    ranked = pd.read_parquet(run / "results" / "per_user.parquet")
    users = pd.read_parquet(dataset / "ranking" / "test.parquet")
    assert sorted(ranked["user_id"]) == sorted(users["user_id"])  # each user once over both ranks
    scored = pd.read_parquet(run / "results" / "scored.parquet")
    truth = read_rows(dataset, "test")
    order = np.lexsort((truth.labels, truth.items, truth.users))
    assert scored["user"].tolist() == truth.users[order].tolist()  # each row once, and as any other run has them
    assert scored["item"].tolist() == truth.items[order].tolist()
    known = scored[scored["known"]]
    assert roc_auc_score(known["label"], known["score"]) == pytest.approx(done["metrics"]["auc"], abs=1e-6)
    assert done["metrics"].keys() >= {"user_auc", "novelty_at_10", "popularity_at_10", "gini_at_10", "coverage_at_10", "map_at_10"}
    plan = json.loads((run / "results" / "plan.json").read_text())
    features = {name.removesuffix("_bias").removesuffix("_id") for name in plan}  # tables of one feature are on one rank
    assert {shard["rank"] for table in plan.values() for shard in table["shards"]} == set(range(min(2, len(features))))


@pytest.mark.parametrize("kind", ["two_tower", "sasrec"])
def test_two_ranks_learn_from_a_share_of_the_users_and_are_measured_for_all(kind, dataset, tmp_path):
    model = {"model": {"kind": kind}, "train": {"epochs": 2, "batch_size": 32, "table_learning_rate": 0.1}}
    wanted = [model | {"train": model["train"] | {"user_share": share}} for share in (0.3, 0.8)]
    opened = PreparedDataset.open(dataset)
    for at, spec in enumerate(wanted):
        share = spec["train"]["user_share"]
        done = ranks.train(tmp_path / str(at), dataset, spec, processes=2)
        by_hand = [of_share(block, share)["label"] > 0 for block in blocks_of(dataset, "train")]
        assert "metrics" in done, done
        assert (done["train_rows"], done["train_liked"]) == (sum(map(len, by_hand)), sum(int(one.sum()) for one in by_hand))
        assert done["users"] == 200  # of test, as on all users
        assert done["train_liked"] / opened.positives["train"] == pytest.approx(users_in_share(200, share) / 200, abs=0.02)
        assert done["train_liked"] * 2 <= done["rows"] < 1.3 * done["train_liked"] * 2 + 128  # of two epochs, whose steps are full


READERS = [
    ({"kind": "sasrec"}, 0.9, 1.0),
    ({"kind": "two_tower"}, 0.0, 0.6),
    ({"kind": "two_tower", "history_pooling": "recency"}, 0.9, 1.0),
    ({"kind": "two_tower", "history_pooling": "attention"}, 0.9, 1.0),
]


@pytest.mark.parametrize(("model", "low", "high"), READERS, ids=lambda one: " ".join(one.values()) if isinstance(one, dict) else "")
def test_order_is_learnt_by_models_that_read_it_alone(model, low, high, tmp_path):
    tiny.write(tiny.followed(), tmp_path / "dataset", before=True)
    spec = {"model": model, "train": EPOCHS | {"epochs": 40, "patience": 12}, "protocol": {"target": "next"}}
    done = ranks.train(tmp_path / "run", tmp_path / "dataset", spec, processes=2)
    assert low <= done["metrics"]["ndcg_at_10"] <= high


def test_scores_of_items_foretell_ratings_of_sets_alike_on_two_ranks_and_on_one(trained, dataset):
    kind, run, done = trained
    found, user_mean = done["metrics"], json.loads((dataset / "baselines" / "user_mean.json").read_text())
    assert found["set_spearman"] > 0.8 > 0.2 > user_mean["set_spearman"]
    assert found["set_rmse"] < 0.7 < 1 < user_mean["set_rmse"]
    assert found["sets_left_out"] == user_mean["sets_left_out"] == 1
    alone = _judged_alone(run, dataset, {"kind": kind}).metrics
    for name in ("set_rmse", "set_spearman", "auc", "ndcg_at_10"):
        assert found[name] == pytest.approx(alone[name], abs=1e-4), name


def _judged_alone(run, dataset, model):
    """The protocol on the whole checkpoint in this process, as the only rank."""
    import torch.distributed as dist

    from workers.artifacts import PreparedDataset, checkpoint
    from workers.evaluation.networks import evaluate_network
    from workers.models import MODELS

    folder = checkpoint.best(run / "checkpoint")
    prepared = PreparedDataset.open(dataset)
    net = MODELS[model["kind"]].model_validate(model).build(FeatureSchema.model_validate(checkpoint.facts(folder)["schema"]))
    checkpoint.load_whole(folder, net)
    dist.init_process_group("gloo", store=dist.FileStore(str(run / "store"), 1), rank=0, world_size=1)
    try:
        return evaluate_network(net, prepared, "test", predicts_label=True)
    finally:
        dist.destroy_process_group()


def test_sharding_asked_for_is_the_plan_in_use(dataset, tmp_path):
    spec = {"model": {"kind": "two_tower", "embedding_dim": 16}, "train": EPOCHS | {"epochs": 1, "sharding": "row_wise"}}
    ranks.train(tmp_path / "run", dataset, spec, processes=2)
    plan = json.loads((tmp_path / "run" / "results" / "plan.json").read_text())
    assert {table["sharding"] for table in plan.values()} == {"row_wise"}
    index = json.loads(next((tmp_path / "run" / "checkpoint").glob("epoch-*/checkpoint.json")).read_text())
    rows = [shard["offsets"][0] for file in index["files"].values() for shard in file["shards"].values() if "item_id" in shard["name"]]
    assert sorted(rows)[0] == 0 < sorted(rows)[-1]


def test_ranks_measure_under_the_protocol_of_the_run(dataset, tmp_path):
    train = EPOCHS | {"epochs": 3}
    spec = {"model": {"kind": "two_tower"}, "train": train, "protocol": {"exclude_seen": False, "list_length": 20}}
    done = ranks.train(tmp_path / "run", dataset, spec, processes=2)
    assert done["protocol"] == Protocol(exclude_seen=False, list_length=20).model_dump(mode="json")
    lists = pd.read_parquet(tmp_path / "run" / "results" / "top_k.parquet").set_index("user_id")
    users = pd.read_parquet(dataset / "ranking" / "test.parquet").set_index("user_id").loc[lists.index]
    assert {len(items) for items in lists["items"]} == {20}
    assert all(set(items) & set(seen) for items, seen in zip(lists["items"], users["seen"], strict=True))
    assert [list(rows) for rows in lists["relevant"]] == [list(rows) for rows in users["relevant"]]  # nothing is liked twice here


def test_same_spec_and_seed_give_the_same_metrics(dataset, tmp_path):
    spec = {"model": {"kind": "dlrm"}, "train": EPOCHS | {"epochs": 2}}
    first, second = (ranks.train(tmp_path / name, dataset, spec, anew=True)["metrics"] for name in ("a", "b"))
    assert first == second


@pytest.mark.fault("F54")
def test_an_id_beyond_the_table_stops_the_run(dataset, tmp_path):
    """fbgemm's own default would train on row 0 and say nothing."""
    from streaming import MDSWriter, StreamingDataset

    broken = tmp_path / "dataset"
    tiny.write(tiny.groups(), broken)
    rows = [dict(row) for row in StreamingDataset(local=str(broken / "train"), batch_size=1)]
    rows[0] = {**rows[0], "item_id": np.full_like(rows[0]["item_id"], 9999)}
    columns = json.loads((broken / "train" / "index.json").read_text())["shards"][0]
    encodings = dict(zip(columns["column_names"], columns["column_encodings"], strict=True))
    with MDSWriter(out=str(broken / "bad"), columns=encodings) as writer:
        for row in rows:
            writer.write(row)
    (broken / "train").rename(broken / "good")
    (broken / "bad").rename(broken / "train")
    found = ranks.train(tmp_path / "run", broken, {"model": {"kind": "dlrm"}, "train": {"epochs": 1, "batch_size": 64}})
    assert "traceback" in found
    assert not (tmp_path / "run" / "done.json").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_without_users_and_items_a_ranker_learns_and_stays_below_the_oracle(processes, tmp_path):
    dataset = tmp_path / "dataset"
    schema = tiny.write_clicks(dataset)
    assert not schema.can_rank
    baselines = {path.stem: json.loads(path.read_text()) for path in (dataset / "baselines").glob("*.json")}
    assert set(baselines) == {"oracle", "random"}
    done = ranks.train(tmp_path / "run", dataset, {"model": {"kind": "dlrm"}, "train": EPOCHS | {"epochs": 12}}, processes=processes)
    assert "metrics" in done, done
    found = done["metrics"]
    assert 0.65 < found["auc"] < baselines["oracle"]["auc"] + 0.02
    assert found["auc"] == found["auc_all"]
    assert found["log_loss"] > baselines["oracle"]["log_loss"] - 0.02
    assert baselines["random"]["auc"] == pytest.approx(0.5, abs=0.06)
    assert not {"ndcg_at_10", "user_auc", "gini_at_10"} & found.keys()
    assert done["users"] == 0
    alone = _judged_alone(tmp_path / "run", dataset, {"kind": "dlrm"})
    rows, stored = alone.scored, pd.read_parquet(tmp_path / "run" / "results" / "scored.parquet")
    expected = scored_rows(rows.users, rows.items, rows.labels, rows.known, alone.preference)
    pd.testing.assert_frame_equal(stored, expected, atol=1e-5)  # row by row, however many ranks read them


def test_a_model_that_cannot_learn_from_a_dataset_says_so(tmp_path):
    tiny.write_clicks(tmp_path / "dataset", rows=1200)
    found = ranks.train(tmp_path / "run", tmp_path / "dataset", {"model": {"kind": "two_tower"}, "train": EPOCHS})
    assert "no user and no item" in found["message"]
