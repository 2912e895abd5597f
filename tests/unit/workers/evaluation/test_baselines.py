"""What needs no training: which of it a dataset has, and how it stands beside runs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tests import tiny
from workers.evaluation.baselines import write_baselines


def read(folder: Path) -> dict[str, dict[str, float]]:
    return {path.stem: json.loads(path.read_text()) for path in (folder / "baselines").glob("*.json")}


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clicks") / "dataset"
    tiny.write_clicks(folder)
    return folder


def test_without_users_and_items_there_is_chance_and_the_oracle(clicks: Path) -> None:
    found, made = read(clicks), pd.read_parquet(clicks / "oracle.parquet")
    assert set(found) == {"random", "oracle"}
    assert found["oracle"]["auc"] == pytest.approx(roc_auc_score(made["label"], made["logit"]))
    assert found["oracle"]["log_loss"] == pytest.approx(log_loss(made["label"], 1 / (1 + np.exp(-made["logit"]))))
    assert abs(found["random"]["auc"] - 0.5) < 4 * found["random"]["auc_se"]
    assert "log_loss" not in found["random"]
    assert not list((clicks / "baselines").glob("*.parquet"))


def test_the_oracle_is_judged_on_the_rows_that_models_are_judged_on(clicks: Path, tmp_path: Path) -> None:
    """`known` says which rows train knows the user and item of; only those count for AUC and log loss."""
    made = pd.read_parquet(clicks / "oracle.parquet")
    made["known"] = np.arange(len(made)) % 3 > 0
    (tmp_path / "test").symlink_to(clicks / "test")
    made.to_parquet(tmp_path / "oracle.parquet")
    write_baselines(tmp_path)
    found, kept = read(tmp_path)["oracle"], made[made["known"]]
    assert found["auc"] == pytest.approx(roc_auc_score(kept["label"], kept["logit"]))
    assert found["auc_all"] == pytest.approx(roc_auc_score(made["label"], made["logit"]))


def test_with_users_and_items_popularity_and_chance_rank_too_and_sets_have_the_users_mean(tmp_path: Path) -> None:
    tiny.write(tiny.groups(), tmp_path / "dataset")
    assert set(read(tmp_path / "dataset")) == {"popularity", "random"}
    for name in ("popularity", "random"):
        lists, users = (pd.read_parquet(tmp_path / "dataset" / "baselines" / f"{name}_{what}.parquet") for what in ("top_k", "per_user"))
        assert list(lists) == ["user_id", "items", "scores"]
        assert lists["user_id"].tolist() == users["user_id"].tolist()
        assert {"novelty_at_10", "popularity_at_10", "map_at_10"} <= set(users)
    tiny.write_sets(tmp_path / "dataset", sets=600)
    found = read(tmp_path / "dataset")
    assert set(found) == {"popularity", "random", "user_mean"}
    assert found["popularity"].keys() >= {"ndcg_at_10", "novelty_at_10", "gini_at_10", "user_auc"}
    assert found["popularity"]["popularity_at_10"] > found["random"]["popularity_at_10"]
    sets = pd.read_parquet(tmp_path / "dataset" / "sets" / "sets.parquet")
    test = sets[(sets["split"] == "test") & [max(bag) > 0 for bag in sets["items"]]]
    assert found["user_mean"]["set_rmse"] == pytest.approx(np.sqrt(((test["rating"] - test["user_mean"]) ** 2).mean()))
    assert found["user_mean"]["sets"] == len(test)
    assert found["user_mean"]["sets_left_out"] == 1
