"""What a run may choose of how it is measured, and that it is measured so."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tests import tiny
from workers.artifacts.dataset import PreparedDataset
from workers.batches.likes import read_likes, read_rows
from workers.evaluation.evaluate import users_to_rank, write_ranked
from workers.evaluation.ranking import rank_users
from workers.models.popularity import PopularitySpec
from workers.run.context import refuse_unfit
from workers.run.spec import RunSpec, settings_of
from workers.specs.protocol import Protocol
from workers.specs.training import TrainSpec

AGAIN = Protocol(exclude_seen=False)


@pytest.fixture(scope="module")
def repeats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Groups whose users like some items of train again in test; those to rank for are told what was new to them, as in a prepared one."""
    folder = tmp_path_factory.mktemp("repeats") / "dataset"
    frame = tiny.groups()
    liked = frame[(frame["split"] == "train") & (frame["label"] > 0)]
    tiny.write(pd.concat([frame, liked.groupby("user_id").head(3).assign(split="test")]), folder)
    path = folder / "ranking" / "test.parquet"
    users = pd.read_parquet(path)
    new = [sorted(set(wanted) - set(seen)) for wanted, seen in zip(users["relevant"], users["seen"], strict=True)]
    users.assign(relevant=new).to_parquet(path, index=False)
    return folder


def test_a_run_says_its_protocol_among_its_settings() -> None:
    spec = RunSpec.model_validate({"dataset": "d", "model": {"kind": "ease"}})  # as written before there was a choice
    assert spec.protocol == Protocol()
    assert settings_of(spec)["protocol.exclude_seen"] is True
    assert settings_of(spec)["protocol.candidates"] == "catalogue"
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    assert all(field.description for field in Protocol.model_fields.values())
    assert TrainSpec.model_fields.keys().isdisjoint(Protocol.model_fields)


@pytest.mark.parametrize("wrong", [{"candidates": "sampled"}, {"list_length": 9}, {"list_length": 1001}, {"tie_seed": 7}, {"k": 5}])
def test_nothing_else_may_be_chosen(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Protocol.model_validate(wrong)


def test_how_much_of_a_list_is_kept_makes_no_other_protocol() -> None:
    assert Protocol(list_length=10).measures_like(Protocol())
    assert not AGAIN.measures_like(Protocol())
    assert AGAIN.in_words != Protocol().in_words


def test_what_is_liked_again_counts_where_items_met_in_train_compete(repeats: Path) -> None:
    folder = repeats
    new, again = users_to_rank(folder, "test"), users_to_rank(folder, "test", protocol=AGAIN)
    rows = read_rows(folder, "test")
    assert list(new["user_id"]) == list(again["user_id"])  # the same sample
    for user, wanted, before in zip(again["user"], again["relevant"], new["relevant"], strict=True):
        assert list(wanted) == sorted(set(rows.items[(rows.users == user) & (rows.labels > 0) & (rows.items > 0)]))
        assert len(wanted) == len(before) + 3
    assert len(users_to_rank(folder, "test", 5, AGAIN)) == 5


def test_a_model_that_only_remembers_is_useless_under_one_protocol_and_best_under_the_other(repeats: Path) -> None:
    folder = repeats
    likes = read_likes(PreparedDataset.open(folder)).matrix
    found = {}
    for name, protocol in (("new", Protocol()), ("again", AGAIN)):
        users = users_to_rank(folder, "test", protocol=protocol)
        grid = likes[users["user"].to_numpy()].toarray()
        found[name] = rank_users(users, grid.shape[1], lambda places, grid=grid: grid[places], protocol)
        met = [set(items) & set(seen) for items, seen in zip(found[name]["items"], users["seen"], strict=True)]
        assert all(met) if name == "again" else not any(met)
    assert found["again"]["hit_rate_at_10"].mean() > 0.9 > 0.6 > found["new"]["hit_rate_at_10"].mean()
    assert "wanted" not in found["new"]


def test_the_kept_part_of_a_list_is_as_long_as_asked_and_measures_the_same(repeats: Path) -> None:
    folder = repeats
    users = users_to_rank(folder, "test")
    scores = np.random.default_rng(0).random((len(users), 40), np.float32)
    short, long = (rank_users(users, 40, lambda places: scores[places], Protocol(list_length=length)) for length in (10, 1000))
    assert {len(items) for items in short["items"]} == {10}
    assert [list(items[:10]) for items in long["items"]] == [list(items) for items in short["items"]]
    assert {len(items) + len(seen) for items, seen in zip(long["items"], users["seen"], strict=True)} == {40}
    measured = [name for name in short if name not in ("items", "scores")]
    pd.testing.assert_frame_equal(short[measured], long[measured])


def test_lists_are_kept_with_what_is_relevant_only_where_the_dataset_does_not_say_it(repeats: Path, tmp_path: Path) -> None:
    folder = repeats
    for protocol, columns in ((Protocol(), ["user_id", "items", "scores"]), (AGAIN, ["user_id", "items", "scores", "relevant"])):
        users = users_to_rank(folder, "test", protocol=protocol)
        ranked = rank_users(users, 40, lambda places: np.zeros((len(places), 40), np.float32), protocol)
        write_ranked(ranked, tmp_path / "per_user.parquet", tmp_path / "top_k.parquet")
        kept = pd.read_parquet(tmp_path / "top_k.parquet")
        assert list(kept) == columns
        assert not {"items", "scores", "wanted"} & set(pd.read_parquet(tmp_path / "per_user.parquet"))
    assert [list(rows) for rows in kept["relevant"]] == [list(rows) for rows in users["relevant"]]


def test_a_fitted_model_is_judged_under_the_protocol_of_its_run(repeats: Path) -> None:
    from workers.evaluation.matrices import evaluate_matrix

    prepared = PreparedDataset.open(repeats)
    likes = read_likes(prepared)
    model = PopularitySpec().build()
    model.fit(likes, 0, lambda share: None)
    new, again = (evaluate_matrix(model, likes.matrix, prepared, "test", protocol=protocol) for protocol in (Protocol(), AGAIN))
    assert new.metrics["auc"] == again.metrics["auc"]  # rows are judged alike
    assert new.metrics["recall_at_10"] != again.metrics["recall_at_10"]
    assert (again.ranked["relevant"] == new.ranked["relevant"] + 3).all()


def test_the_next_and_the_last_item_are_one_of_the_later_likes(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    tiny.write(tiny.groups(), folder)
    later = users_to_rank(folder, "test")
    for target in ("next", "last"):
        one = users_to_rank(folder, "test", protocol=Protocol(target=target))
        assert one["user_id"].tolist() == later["user_id"].tolist()
        for mine, every, meant in zip(one["relevant"], later["relevant"], later[target], strict=True):
            assert list(mine) == [meant] and meant in set(every)


def test_a_list_is_measured_by_the_one_item_of_its_target(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    tiny.write(tiny.groups(), folder)
    protocol = Protocol(target="next")
    users = users_to_rank(folder, "test", protocol=protocol)
    size = len(pd.read_parquet(folder / "items.parquet"))

    def score(places: np.ndarray) -> np.ndarray:  # the next item is in the second place
        scores = np.zeros((len(places), size), np.float32)
        for at, place in enumerate(places):
            scores[at, users["relevant"].iloc[place][0] - 1] = 1
            other = next(item for item in range(1, size + 1) if item not in {users["relevant"].iloc[place][0], *users["seen"].iloc[place]})
            scores[at, other - 1] = 2
        return scores

    ranked = rank_users(users, size, score, protocol)
    assert ranked["relevant"].tolist() == [1] * len(users)
    assert ranked["ndcg_at_10"].to_numpy() == pytest.approx(np.full(len(users), 1 / np.log2(3)))
    assert ranked["mrr"].to_numpy() == pytest.approx(np.full(len(users), 0.5))
    write_ranked(ranked, tmp_path / "per_user.parquet", tmp_path / "top_k.parquet")
    assert [list(one) for one in pd.read_parquet(tmp_path / "top_k.parquet")["relevant"]] == [list(one) for one in users["relevant"]]


def test_a_dataset_without_times_knows_no_next_item(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    tiny.write(tiny.groups(), folder)
    for split in ("valid", "test"):
        path = folder / "ranking" / f"{split}.parquet"
        pd.read_parquet(path).drop(columns=["next", "last"]).to_parquet(path, index=False)
    with pytest.raises(ValueError, match="this dataset has no times"):
        users_to_rank(folder, "test", protocol=Protocol(target="next"))
    with pytest.raises(ValueError, match="this dataset has no times"):
        refuse_unfit(RunSpec(dataset="d", model=PopularitySpec(), protocol=Protocol(target="last")), PreparedDataset.open(folder))
    refuse_unfit(RunSpec(dataset="d", model=PopularitySpec()), PreparedDataset.open(folder))
