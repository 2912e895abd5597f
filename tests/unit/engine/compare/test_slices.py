"""Metrics by groups of users and items, against naive loops; groups that are small, empty, equal or unknown."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import engine
from engine import datasets, runs
from engine.compare import row_metrics, slices
from engine.compare.contenders import Comparison, Contender
from engine.datasets.read import Dataset
from tests.records import SCHEMA
from workers.artifacts.results import RESULTS, TOP_K

USERS, NUM_ITEMS = 40, 20
NO = float("nan")


class World:
    """A dataset on disk, with what three runs listed and scored there."""

    def __init__(self, path: Path) -> None:
        rng = np.random.default_rng(5)
        self.path, self.rows = path / "d", np.arange(1, USERS + 1)
        counts = np.where(self.rows <= 10, 1, self.rows)
        self.users = pd.DataFrame({"user_id": [f"u{n}" for n in self.rows], "row": self.rows.astype(np.int32), "interactions": 99})
        jobs = [None if n == 1 else f"job{n % 15}" for n in self.rows]
        self.users = self.users.assign(gender=["F" if n % 3 else "M" for n in self.rows], job=jobs, age=self.rows + 0.5, same="x")
        cold = pd.DataFrame({"user_id": ["new"], "row": [0], "interactions": [1], "gender": ["F"], "age": [1.5], "same": ["x"]})
        likes = [100, 100, 100, *[10] * 10, *[5] * 7]
        genres = ["Drama|Crime" if n % 2 else ("Comedy" if n % 4 else None) for n in range(1, NUM_ITEMS + 1)]
        items = pd.DataFrame({"item_id": [f"i{n}" for n in range(1, NUM_ITEMS + 1)], "row": range(1, NUM_ITEMS + 1), "genres": genres})
        self.items = items.assign(train_positives=likes)
        self.relevant = {f"u{n}": np.sort(rng.choice(NUM_ITEMS, rng.integers(1, 6), replace=False) + 1) for n in self.rows}
        train = pd.DataFrame({"user": np.repeat(self.rows, counts).astype(np.int32), "split": "train"})
        train["timestamp"] = 10_000_000 + train["user"].astype("int64") * 86_400
        test = pd.DataFrame({"user": self.rows.astype(np.int32), "split": "test", "timestamp": 99_000_000})
        (self.path / "interactions").mkdir(parents=True)
        (self.path / "ranking").mkdir()
        pd.concat([train, test]).to_parquet(self.path / "interactions" / "part.parquet", index=False)
        pd.concat([self.users, cold]).to_parquet(self.path / "users.parquet", index=False)
        self.items.to_parquet(self.path / "items.parquet")
        ranked = pd.DataFrame({"user_id": list(self.relevant), "relevant": list(self.relevant.values())})
        ranked.to_parquet(self.path / "ranking" / "test.parquet")
        self.lists: dict[str, dict[str, np.ndarray]] = {}
        self.values: dict[str, pd.DataFrame] = {}
        self.scores: dict[str, pd.DataFrame] = {}
        rows = pd.DataFrame({"user": np.repeat(np.arange(0, USERS + 1), 12), "item": np.tile(np.arange(0, 12), USERS + 1)})
        rows = rows.assign(label=rng.integers(0, 2, len(rows)).astype(np.float32), known=(rows["user"] > 0) & (rows["item"] > 0))
        for run_id in ("a", "a2", "b"):
            folder = path / "runs" / run_id / RESULTS
            folder.mkdir(parents=True)
            self.lists[run_id] = {user: rng.permutation(NUM_ITEMS) + 1 for user in self.relevant}
            listed = self.lists[run_id]
            pd.DataFrame({"user_id": list(listed), "items": list(listed.values())}).to_parquet(folder / TOP_K)
            self.values[run_id] = pd.DataFrame(
                {"user_id": list(listed), "ndcg_at_10": rng.random(USERS), "recall_at_10": rng.random(USERS)}
            )
            self.scores[run_id] = rows.assign(score=np.round(rng.normal(size=len(rows)) + rows["label"], 1).astype(np.float32))
            self.scores[run_id].to_parquet(folder / row_metrics.SCORED)


Made = tuple[World, Comparison]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Made:
    world = World(tmp_path)
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(datasets, "get_dataset", lambda id: Dataset(id, "d", world.path, {}, SCHEMA))
    monkeypatch.setattr(runs, "per_user", world.values.__getitem__)
    contenders = [
        Contender(letter="A", run_id="a", name="A", model="x", color_index=0, run_ids=("a", "a2")),
        Contender(letter="B", run_id="b", name="B", model="y", color_index=1, run_ids=("b",)),
    ]
    rows = [(key, one, 0.5) for key in ("ndcg_at_10", "recall_at_10", "auc") for one in "AB"]
    table, nothing = pd.DataFrame(rows, columns=["metric", "contender", "value"]), pd.DataFrame()
    parts = {"table": table, "curves": nothing, "differences": nothing, "costs": nothing}
    return world, Comparison(contenders=contenders, dataset="d", apart=[], users=1, **parts)


def test_what_can_be_sliced_by_is_what_there_is(made: Made) -> None:
    _, comparison = made
    assert list(engine.compare.slice_choices(comparison)) == [
        "activity", "recency", "popularity", "genre", "cold", "user.gender", "user.job", "user.age",
    ]  # fmt: skip
    assert engine.compare.slice_metrics(comparison, "activity") == ["ndcg_at_10", "recall_at_10", "auc"]
    assert engine.compare.slice_metrics(comparison, "genre") == ["recall_at_10", "auc"]
    assert engine.compare.slice_metrics(comparison, "cold") == ["auc"]
    with pytest.raises(ValueError, match="no 'ndcg_at_10' by 'cold'"):
        engine.compare.sliced(comparison, "cold", "ndcg_at_10")


def test_users_are_sliced_by_what_they_did_in_train(made: Made) -> None:
    world, comparison = made
    found = engine.compare.sliced(comparison, "activity", "ndcg_at_10")
    assert found["slice"].unique().tolist() == ["1 interaction", "11–20 interactions", "21–30 interactions", "31–40 interactions"]
    assert found["n"].unique().tolist() == [10]
    one = found[(found["slice"] == "11–20 interactions")].set_index("contender")
    mean = np.mean([world.values[run_id]["ndcg_at_10"][10:20].mean() for run_id in ("a", "a2")])
    assert one.loc["A", "value"] == pytest.approx(mean)
    assert one.loc["A", "low"] < mean < one.loc["A", "high"]
    ages = engine.compare.sliced(comparison, "recency", "ndcg_at_10")
    assert ages["slice"].unique().tolist() == ["0–9 days ago", "10–19 days ago", "20–29 days ago", "30–39 days ago"]
    assert ages.iloc[1]["value"] == pytest.approx(world.values["b"]["ndcg_at_10"][30:].mean())


def test_users_are_sliced_by_what_is_known_of_them(made: Made) -> None:
    _, comparison = made
    gender = engine.compare.sliced(comparison, "user.gender", "recall_at_10")
    assert gender[["slice", "n"]].drop_duplicates().to_numpy().tolist() == [["F", 27], ["M", 13]]
    jobs = engine.compare.sliced(comparison, "user.job", "recall_at_10").drop_duplicates("slice").set_index("slice")["n"]
    assert (len(jobs), jobs["unknown"], jobs.sum(), jobs.index[-2]) == (13, 1, USERS, "other")
    age = engine.compare.sliced(comparison, "user.age", "recall_at_10")
    assert age["slice"].unique().tolist() == ["1.5–10.5", "11.5–20.5", "21.5–30.5", "31.5–40.5"]


@pytest.mark.parametrize("by", ["popularity", "genre"])
def test_items_are_sliced_by_how_many_of_them_were_found(made: Made, by: str) -> None:
    world, comparison = made
    found = engine.compare.sliced(comparison, by, "recall_at_10")
    names = ["head · 2 items", "middle · 1 item", "tail · 17 items"] if by == "popularity" else ["Crime", "Drama", "Comedy"]
    groups = [{1, 2}, {3}, set(range(4, 21))] if by == "popularity" else [set(range(1, 21, 2))] * 2 + [set(range(2, 21, 4))]
    assert sorted(found["slice"].unique()) == sorted(names)
    for name, group in zip(names, groups, strict=True):
        shares = []
        for user, relevant in world.relevant.items():
            own = group & set(relevant.tolist())
            seeds = [len(own & set(world.lists[run_id][user][:10].tolist())) / len(own) for run_id in ("a", "a2") if own]
            shares += [np.mean(seeds)] if own else []
        row = found[(found["slice"] == name) & (found["contender"] == "A")].iloc[0]
        assert (row["n"], row["value"]) == (len(shares), pytest.approx(np.mean(shares)))


@pytest.mark.parametrize(
    "by, name, inside",
    [
        ("cold", "new user", lambda rows: (rows["user"] == 0) & (rows["item"] > 0)),
        ("cold", "known user and item", lambda rows: rows["known"]),
        ("activity", "1 interaction", lambda rows: rows["known"] & (rows["user"] <= 10)),
        ("genre", "Comedy", lambda rows: rows["known"] & (rows["item"] % 4 == 2)),
    ],
)
def test_areas_are_those_of_the_rows_of_a_slice(made: Made, by: str, name: str, inside: Callable[[pd.DataFrame], pd.Series]) -> None:
    world, comparison = made
    found = engine.compare.sliced(comparison, by, "auc")
    row = found[(found["slice"] == name) & (found["contender"] == "A")].iloc[0]
    areas = [roc_auc_score(rows["label"][inside(rows)], rows["score"][inside(rows)]) for rows in (world.scores["a"], world.scores["a2"])]
    assert row["value"] == pytest.approx(np.mean(areas))
    assert row["n"] == inside(world.scores["a"]).sum()
    if name == "new user":  # nobody can say which of these rows are of one user
        assert np.isnan(row["low"]) and np.isnan(row["high"])
    else:
        assert 0 < row["low"] < row["value"] < row["high"] < 1


def test_equal_values_are_never_parted_and_a_lone_user_has_no_interval() -> None:
    found = slices.quantiles(pd.Series([1] * 9 + [2], index=range(10)), lambda low, high: f"{low}–{high}")
    assert sum(len(rows) for rows in found.values()) == 10
    assert list(slices.quantiles(pd.Series([3, 3, 3]), lambda low, high: f"{low}–{high}")) == ["3–3"]
    assert slices.quantiles(pd.Series([], dtype=int), lambda low, high: "") == {}
    _, _, value, low, high, n = slices._cells("one", ["A"], np.array([[0.5]]))[0]
    assert (value, n) == (0.5, 1)
    assert np.isnan(low) and np.isnan(high)
