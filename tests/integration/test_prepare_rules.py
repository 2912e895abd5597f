"""Preparing what is not the plain case, held against the preview: both must say the same of the same rows, figure by figure."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine import datasets
from engine.datasets.spec import DatasetSpec
from engine.prepare.pipeline import prepare
from engine.preview.first_rows import preview
from engine.preview.rows import COPY, CORE
from engine.sources.base import SourceSpec
from tests.given import given
from tests.integration.test_prepare import assert_same, stored

pytestmark = [pytest.mark.usefixtures("spark"), pytest.mark.thorough]


@pytest.fixture(autouse=True)
def _own_workspace(workspace: Path) -> Iterator[None]:
    yield


def messy(seed: int = 0, rows: int = 900) -> pd.DataFrame:
    """Raw text rows with every kind of feature, repeats, copies, gaps and rows that cannot be used."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "user_id": [f"0{k}" for k in rng.zipf(1.6, rows) % 40],
            "item_id": [f"i{k}" for k in rng.zipf(1.5, rows) % 60],
            "rating": rng.choice(["1", "2", "3.5", "4", "5"], rows),
            "timestamp": (880_000_000 + rng.integers(0, 5000, rows)).astype(str),
            "shop": rng.choice(["p", "q", "r", "rare1", "rare2", ""], rows, p=[0.5, 0.3, 0.15, 0.01, 0.01, 0.03]),
            "city": [f"city {k}" for k in rng.integers(0, 80, rows)],
            "tags": rng.choice(["a|b", "b", "c|a|c", "", "d"], rows),
            "price": np.where(rng.random(rows) < 0.1, "", np.round(rng.lognormal(2, 1, rows), 2).astype(str)),
            "age": rng.choice(["20", "30", "", "41"], rows),
            "brand": rng.choice(["x", "y", None], rows),
            "title": rng.choice(["Film", None], rows),
        }
    )
    table.loc[[5, 6], "user_id"] = ["", None]
    table.loc[7, "rating"] = "much"
    table.loc[8, "timestamp"] = "yesterday"
    return pd.concat([table, table.iloc[20:30]], ignore_index=True)


TOLD = (("shop", "context", "single"), ("city", "context", "single"), ("tags", "context", "multi"), ("price", "context", "dense"),
        ("age", "user", "dense"), ("brand", "item", "single"))  # fmt: skip
FINER = "milliseconds, weights and a table of users, per user"
CASES: dict[str, dict[str, Any]] = {
    "exact, by time": {},
    "latest, k-core, before": {"duplicates": "latest", "min_user_interactions": 3, "min_item_interactions": 2, "history_order": "before"},
    "mean, user mean": {"duplicates": "mean", "label": {"kind": "user_mean"}},
    "first, per user": {"duplicates": "first", "split": {"kind": "per_user"}},
    "leave one out": {"split": {"kind": "last"}, "duplicates": "keep"},
    "regression": {"label": {"kind": "regression"}, "missing_flags": False, "history": 0},
    "multi-class": {"label": {"kind": "multi_class", "liked": ["4", "5"]}},
    FINER: {"split": {"kind": "per_user"}, "history_order": "before", "duplicates": "latest"},
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> DatasetSpec:
    common = {"name": "messy", "min_count": 8, "hashed": ["city"], "hash_rows": 50, "log1p": ["price"]}
    source = finer(tmp_path / "source") if request.param == FINER else given(tmp_path / "source", messy(), told=TOLD)
    return DatasetSpec.model_validate({**common, "source": source, **CASES[request.param]})


def finer(folder: Path) -> SourceSpec:
    """Messy rows within few seconds, to the millisecond; weights, some of which are none; users, of whom few are written alike."""
    rng, table = np.random.default_rng(1), messy()
    table["timestamp"] = [f"{880_000_000_000 + 500 * ms}" if time.isdigit() else time for ms, time in
                          zip(rng.integers(0, 40, len(table)), table["timestamp"], strict=True)]  # fmt: skip
    table["weight"] = rng.choice(["1", "0.5", "900", "0", "", "-1", "much", "nan"], len(table), p=[0.6, 0.2, 0.1, 0.06, *[0.01] * 4])
    users = pd.DataFrame({"user_id": [f"0{k}" for k in range(5)] + [f"{k}.0" for k in range(5, 40)], "age": range(40)})
    return given(folder, table.drop(columns="age"), users=users, told=TOLD, reads={"time": "ms"})


@pytest.mark.fault("F50")
def test_preparing_finds_what_the_preview_promised(case: DatasetSpec) -> None:
    promised = preview(case)
    dataset = datasets.get_dataset(prepare(case).name)
    found = datasets.audit(dataset.id)
    assert found is not None
    assert_same(promised.audit.as_json(), found.as_json())
    assert found.rows_used + sum(found.set_aside.values()) == found.rows_read == 910
    aside = datasets.set_aside(dataset.id)
    pd.testing.assert_frame_equal(aside[["row", "reason"]], promised.set_aside[["row", "reason"]])
    assert dataset.manifest["label"]["output"] == found.output
    datasets.verify(dataset.id)
    _blocks_say_the_same(dataset, case, promised.audit.rows_used)
    if case.duplicates == "exact" and case.label.kind == "threshold":
        _every_column_is_documented(dataset)
        _a_stock_reader_reads_it(dataset)


def _blocks_say_the_same(dataset: Any, case: DatasetSpec, rows: int) -> None:
    parts = {name: stored(dataset.path, name) for name in ("train", "valid", "test")}
    assert sum(map(len, parts.values())) == rows
    schema = dataset.schema
    names = [f.name for f in schema.dense]
    assert ("price_missing" in names) == case.missing_flags
    train = parts["train"]
    price = train[f"dense{names.index('price')}"]
    if case.missing_flags:
        known = train[f"dense{names.index('price_missing')}"] == 0
        assert 0 < (~known).sum() < len(train)
        assert (price[~known] == 0).all()
        assert (price[known].mean(), price[known].std(ddof=0)) == (pytest.approx(0, abs=1e-4), pytest.approx(1, abs=1e-3))
    assert train["city"].between(1, 50).all()
    assert schema.feature("shop").num_rows == 4, "p, q, r and the unknown row: what is rare has none"
    assert (train["shop"] == 0).sum() > 0
    if case.label.kind == "regression":
        assert set(np.round(train["target"], 1)) == {1, 2, 3.5, 4, 5}
    if case.label.kind == "multi_class":
        classes = dataset.manifest["label"]["classes"]
        assert classes == ["1", "2", "3.5", "4", "5"]
        assert ((train["target"] >= 3) == (train["label"] > 0)).all()


def _every_column_is_documented(dataset: Any) -> None:
    import pyarrow.dataset as ds

    documented = dataset.manifest["columns"]
    for path in dataset.path.rglob("*.parquet"):
        name = path.relative_to(dataset.path).as_posix()
        told = (
            documented[next(key for key in documented if name.startswith((key.removesuffix(".parquet"), key)))]
            if "baselines" not in name
            else {}
        )
        known = {one for key in told for one in key.split(", ")}
        for column in ds.dataset(path).schema.names if told else []:
            assert column in known or (column.startswith("feature.") and "feature.<name>" in known) or "<other>" in known, (
                f"{name}: {column}"
            )
    index = json.loads((dataset.path / "train" / "index.json").read_text())
    told = documented["train, valid, test"]
    features = {f.name: f.multi_valued for f in dataset.schema.categorical}
    for column in index["shards"][0]["column_names"]:
        feature = column.removesuffix(".values").removesuffix(".lengths")
        kind = f"<{'multi' if features.get(feature) else 'single'}-valued feature>"
        assert column in told or (feature in features and column.replace(feature, kind) in told), column


def _a_stock_reader_reads_it(dataset: Any) -> None:
    """A process of its own with nothing of this project: streaming alone."""
    script = """
import sys
from streaming import StreamingDataset
rows, labels = 0, 0.0
for split in ("train", "valid", "test"):
    for block in StreamingDataset(local=f"{sys.argv[1]}/{split}", batch_size=1, shuffle=split == "train"):
        assert len(block["label"]) == len(block["user_id"]) == len(block["dense"]) == len(block["history.lengths"])
        assert block["history.lengths"].sum() == len(block["history.values"])
        rows, labels = rows + len(block["label"]), labels + float(block["label"].sum())
assert not {"engine", "workers", "ui"} & set(sys.modules)
print(rows, int(labels))
"""
    words = [sys.executable, "-c", script, str(dataset.path)]
    ended = subprocess.run(words, cwd=dataset.path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    counts = dataset.counts
    assert ended.stdout.split()[-2:] == [str(dataset.rows), str(sum(counts["positives"].values()))]


def test_several_actions_become_a_target_each(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {"user_id": [f"u{k}" for k in rng.integers(0, 30, 700)], "item_id": [f"i{k}" for k in rng.integers(0, 20, 700)],
         "category": rng.choice(["view", "cart", "buy"], 700, p=[0.6, 0.25, 0.15]), "timestamp": rng.integers(10**9, 2 * 10**9, 700)}
    )  # fmt: skip
    source = given(tmp_path / "s", rows, reads={"value": "category"})
    spec = DatasetSpec(name="events", source=source, label={"kind": "actions"})
    promised, path = preview(spec).audit, prepare(spec)
    found = datasets.audit(path.name)
    assert found is not None
    assert_same(promised.as_json(), found.as_json())
    assert found.classes == ["view", "cart", "buy"]
    happened = rows.groupby(["user_id", "item_id"])["category"].agg(set)
    blocks = _targets(path)
    assert len(blocks) == len(happened) == found.rows_used
    for place, name in enumerate(found.classes):
        assert blocks[:, place].sum() == happened.map(lambda kinds, name=name: name in kinds).sum()


def _targets(path: Path) -> np.ndarray:
    from workers.batches.blocks import blocks_of

    return np.concatenate([block["target"] for split in ("train", "valid", "test") for block in blocks_of(path, split)])


def test_a_source_of_context_alone_is_prepared_without_users_and_items(tmp_path: Path) -> None:
    rows = messy().drop(columns=["user_id", "item_id", "timestamp", "title", "age", "brand"])
    rows["rating"] = np.where(rows["rating"].isin(["4", "5"]), "1", "0")
    source = given(tmp_path / "s", rows, told=TOLD[:4], reads={"user": False, "item": False, "time": None, "low": 0, "high": 1})
    preset = {"label": {"kind": "given"}, "split": {"kind": "random", "test": 0.2}}
    dataset = datasets.get_dataset(prepare(DatasetSpec.model_validate({"name": "ads", "source": source, **preset})).name)
    assert [f.name for f in dataset.schema.categorical] == ["shop", "city", "tags"]
    assert {f.side for f in dataset.schema.categorical} == {"context"}
    assert "no user and no item" in (datasets.why_no_ranking(dataset) or "")
    assert not (dataset.path / "items.parquet").exists()
    found = datasets.audit(dataset.id)
    assert found is not None
    assert found.rows_used + sum(found.set_aside.values()) == 910
    assert (found.users, found.items, found.first) == (None, None, None)
    assert found.splits["test"].rows == pytest.approx(0.2 * found.rows_used, rel=0.35)
    assert set(datasets.baseline_results(dataset.id)) == {"random"}


@pytest.mark.fault("F61")
def test_a_row_on_both_sides_is_refused_and_nothing_is_left(tmp_path: Path, workspace: Path) -> None:
    rows = messy().assign(
        split=lambda t: np.where(np.arange(len(t)) % 3 == 0, "test", np.where(np.arange(len(t)) % 3 == 1, "train", "valid"))
    )
    spec = DatasetSpec(name="leak", source=given(tmp_path / "s", rows, told=TOLD, reads={"split": True}), split={"kind": "column"})
    with pytest.raises(ValueError, match="20 rows have a copy in another part of the split"):
        prepare(spec)
    assert not list((workspace / "datasets").iterdir())
    clean = rows.iloc[:900]
    spec = DatasetSpec(name="sound", source=given(tmp_path / "t", clean, told=TOLD, reads={"split": True}), split={"kind": "column"})
    counts = datasets.get_dataset(prepare(spec).name).counts
    assert counts["interactions"]["test"] == 300 - sum(k % 3 == 0 for k in (5, 6, 7, 8))


@pytest.mark.fault("F49", "F51", "F52")
def test_what_is_set_aside_keeps_its_number_its_reason_and_its_text(tmp_path: Path) -> None:
    spec = DatasetSpec(name="aside", source=given(tmp_path / "s", messy(), told=TOLD), min_item_interactions=3)
    aside = datasets.set_aside(prepare(spec).name).set_index("row")
    assert aside["reason"].loc[[6, 7, 8, 9]].tolist() == [
        "no user id", "no user id", "the rating is not a number", "the timestamp cannot be read",
    ]  # fmt: skip
    assert '"rating": "much"' in aside["raw"].loc[8]
    assert aside["reason"].eq(COPY).sum() == 10
    assert aside["raw"].str.contains('"item_id"').all()
    assert aside["reason"].eq(CORE).sum() > 0


def test_a_set_that_is_also_trained_on_stands_whole_on_one_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    sets = pd.DataFrame(
        {"user_id": [f"u{k % 25}" for k in range(400)],
         "item_ids": [[f"i{k}" for k in rng.choice(80, 5, replace=False)] for _ in range(400)],
         "rating": rng.integers(1, 6, 400).astype(float), "timestamp": 880_000_000 + rng.permutation(400) * 60}
    )  # fmt: skip
    rows = sets.explode("item_ids").rename(columns={"item_ids": "item_id"}).assign(weight=0.2)
    for kind in ("per_user", "random"):
        source = given(tmp_path / kind, rows, sets=sets, reads={"parts": True})
        spec = DatasetSpec(name=kind.replace("_", "-"), source=source, split={"kind": kind})
        assert_same(preview(spec).audit.as_json()["rows_used"], 2000)
        dataset = datasets.get_dataset(prepare(spec).name)
        parts = pd.read_parquet(dataset.path / "interactions").groupby(["user_id", "timestamp"])["split"].agg(["nunique", "first"])
        assert (parts["nunique"] == 1).all()
        found, raters = (pd.read_parquet(dataset.path / "sets" / f"{name}.parquet") for name in ("sets", "users"))
        assert len(found) == 400
        taught = parts["first"].value_counts().to_dict()
        assert found["split"].value_counts().to_dict() == taught
        assert raters["user_id"].is_unique
        assert {"train", "valid", "test"} == set(taught)
        blocks = stored(dataset.path, "train")
        assert np.allclose(blocks["weight"], 0.2)


@pytest.mark.parametrize("later", [0, 100_000], ids=["among the ratings", "after all ratings"])
def test_ratings_of_sets_are_held_out_with_the_users_who_gave_them(tmp_path: Path, later: int) -> None:
    rows = messy().drop(columns=["shop", "city", "tags", "price", "age", "brand", "title"])
    rng = np.random.default_rng(2)
    users = sorted(set(rows["user_id"].dropna()) - {""})
    sets = pd.DataFrame(
        {"user_id": rng.choice(users, 200), "item_ids": [[f"i{k}" for k in rng.integers(0, 70, 5)] for _ in range(200)],
         "rating": rng.integers(1, 6, 200).astype(float), "timestamp": 880_000_000 + later + rng.integers(0, 5000, 200)}
    )  # fmt: skip
    spec = DatasetSpec(name="sets", source=given(tmp_path / "s", rows, sets=sets))
    dataset = datasets.get_dataset(prepare(spec).name)
    found, raters = (pd.read_parquet(dataset.path / "sets" / f"{name}.parquet") for name in ("sets", "users"))
    split = dataset.manifest["split"]
    expected = np.select([sets["timestamp"] >= split["test_from"], sets["timestamp"] >= split["valid_from"]], ["test", "valid"], "train")
    assert found["split"].value_counts().to_dict() == dataset.counts["sets"]
    if later:  # by chance, for some to put scores on the rating scale
        assert dataset.counts["sets"]["train"] > 120
        assert dataset.counts["sets"]["test"] > 5
        return
    assert dataset.counts["sets"] == pd.Series(expected).value_counts().to_dict()
    train = sets[expected == "train"]
    interactions = pd.read_parquet(dataset.path / "interactions").query("split == 'train'").astype({"rating": float})
    overall = train["rating"].mean() if len(train) else interactions["rating"].mean()
    means = interactions.groupby("user_id")["rating"].mean().to_dict() | train.groupby("user_id")["rating"].mean().to_dict()
    items = pd.read_parquet(dataset.path / "items.parquet").set_index("item_id")["row"]
    known = {
        (user, tuple(int(items.get(item, 0)) for item in bag), rating, round(float(means.get(user, overall)), 6))
        for user, bag, rating in zip(sets["user_id"], sets["item_ids"], sets["rating"], strict=True)
    }
    there = {
        (raters["user_id"].iloc[row.place], tuple(row.items), row.rating, round(row.user_mean, 6))
        for row in found.itertuples()
    }  # fmt: skip
    assert there == known
    assert any(0 in bag for _, bag, _, _ in there)
    assert {"user", "feature.history"} <= set(raters)
    assert datasets.baseline_results(dataset.id)["user_mean"]["set_rmse"] > 0
