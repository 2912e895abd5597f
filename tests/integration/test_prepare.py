"""Preparing, held against the same rules worked out in pandas, row by row, from the source alone."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from engine import datasets
from engine.datasets.rules import MeanLabel, PerUserSplit, ThresholdLabel, TimeSplit
from engine.datasets.spec import DatasetSpec
from engine.prepare.pipeline import prepare
from engine.preview.first_rows import preview, preview_rows
from engine.sources.sample import SampleSource
from workers.artifacts import PreparedDataset
from workers.batches import read_likes, sequences_of
from workers.batches.blocks import blocks_of, import_streaming

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HISTORY, LONGEST = 4, 9
pytestmark = pytest.mark.usefixtures("spark")


class Prepared(NamedTuple):
    """A prepared dataset beside what it should hold: `rows` are the source's, with split and label from pandas."""

    spec: DatasetSpec
    path: Path
    rows: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame

    @property
    def train(self) -> pd.DataFrame:
        return self.rows[self.rows["split"] == "train"]

    def vocabulary(self, column: str, table: pd.DataFrame | None = None, key: str = "") -> dict[str, int]:
        """Value -> row by descending count in train, then value."""
        values = self.train[column] if table is None else self.train[key].map(table.set_index(key)[column]).str.split("|").explode()
        counts = values.dropna().value_counts()
        return {value: row for row, value in enumerate(sorted(counts.index, key=lambda v: (-counts[v], v)), 1)}


def movielens(folder: Path) -> Path:
    """A small 100K-like release: odd ids, an item and a user without a row of their own, ratings repeated, users too short to split."""
    rng = np.random.default_rng(5)
    users = ["007", "7", "ünknown", "short", *(f"u{k}" for k in range(39)), "NA"]
    lines, moment = [], 880_000_000
    for user in users:
        for _ in range(2 if user == "short" else int(rng.integers(3, 30))):
            moment += int(rng.integers(0, 3))  # some share a second
            lines.append(f"{user}\t{rng.integers(1, 31)}\t{rng.integers(1, 6)}\t{moment}\n")
    folder.mkdir(parents=True)
    (folder / "u.data").write_text("".join(lines), encoding="utf-8")
    flags = [["1" if rng.random() < 0.15 else "0" for _ in range(19)] for _ in range(32)]
    titles = [f"{k}|Film {k} (19{60 + k})|01-Jan-1995||x|{'|'.join(f)}\n" for k, f in enumerate(flags, 1) if k != 3]
    (folder / "u.item").write_text("".join(titles), encoding="latin-1")
    people = [f"{user}|{20 + k}|{'MF'[k % 2]}|job{k % 5}|{k}123\n" for k, user in enumerate(users) if user not in ("u1", "ünknown")]
    (folder / "u.user").write_text("".join(people) + "silent|33|M|job1|90210\n", encoding="latin-1")
    return folder


def assert_same(promised: Any, found: Any, where: str = "audit") -> None:
    """Equal but for the last digits of numbers."""
    if isinstance(promised, dict):
        assert promised.keys() == found.keys(), where
        for key in promised:
            assert_same(promised[key], found[key], f"{where}.{key}")
    elif isinstance(promised, list):
        assert len(promised) == len(found), f"{where}: {promised} is not {found}"
        for place, (one, other) in enumerate(zip(promised, found, strict=True)):
            assert_same(one, other, f"{where}[{place}]")
    else:
        assert found == (pytest.approx(promised) if isinstance(promised, float) else promised), where


def by_time(rows: pd.DataFrame) -> np.ndarray:
    valid_from, test_from = (np.quantile(rows["timestamp"], share, method="higher") for share in (0.8, 0.9))
    return np.select([rows["timestamp"] >= test_from, rows["timestamp"] >= valid_from], ["test", "valid"], "train")


def per_user(rows: pd.DataFrame) -> pd.Series:
    """valid and test of 0.2 each."""
    split = pd.Series("train", index=rows.index)
    for _, own in rows.groupby("user_id"):
        order, n = own.sort_values(["timestamp", "item_id", "rating"]).index, len(own)
        if n >= 3:
            held = max(1, int(n * 0.2))
            split[order[-held:]] = "test"
            split[order[-2 * held : -held]] = "valid"
    return split


@pytest.fixture(scope="module", params=["time", pytest.param("per_user", marks=pytest.mark.thorough)])
def prepared(request: pytest.FixtureRequest, spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """Sample ratings by time with the mean rule, and a crafted MovieLens folder per user with a threshold."""
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(folder / "workspace"))
        if request.param == "time":
            source = SampleSource(users=90, items=70, interactions=1800)
            spec = DatasetSpec(name="sample", source=source, label=MeanLabel(), history=HISTORY, sequence=LONGEST, eval_users=20)
        else:
            place = {"kind": "movielens", "path": str(movielens(folder / "ml"))}
            split = PerUserSplit(valid=0.2, test=0.2)
            spec = DatasetSpec(
                name="ml",
                source=place,
                label=ThresholdLabel(threshold=3),
                split=split,
                history=HISTORY,
                sequence=LONGEST,
                duplicates="keep",
                missing_flags=False,
            )
        rows = preview_rows(spec.source).drop(columns=["row", "reason", "raw"])
        rows["split"] = by_time(rows) if request.param == "time" else per_user(rows)
        threshold = rows.loc[rows["split"] == "train", "rating"].mean() if request.param == "time" else 3
        rows["label"] = (rows["rating"] >= threshold).astype(float)
        tables = spec.source.load(spark)
        assert tables.users is not None
        assert tables.items is not None
        yield Prepared(spec, prepare(spec), rows, tables.users.toPandas(), tables.items.toPandas())


def stored(path: Path, split: str) -> pd.DataFrame:
    """The rows of a split out of its blocks, one by one."""
    parts = []
    for block in blocks_of(path, split):
        columns = {}
        for name, values in block.items():
            if name.endswith(".lengths"):
                ends = np.cumsum(values)
                bag = block[name.replace(".lengths", ".values")]
                assert len(bag) == values.sum()
                columns[name.removesuffix(".lengths")] = [tuple(bag[end - n : end].tolist()) for end, n in zip(ends, values, strict=True)]
            elif name == "dense":
                columns |= {f"dense{k}": values[:, k] for k in range(values.shape[1])}
            elif not name.endswith(".values"):
                columns[name] = values
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.fault("F53", "F48")
def test_every_row_is_in_the_blocks_of_its_split_with_its_label_and_ids(prepared: Prepared) -> None:
    users, items = prepared.vocabulary("user_id"), prepared.vocabulary("item_id")
    for split in ("train", "valid", "test"):
        expected = prepared.rows[prepared.rows["split"] == split]
        expected = expected.assign(
            user_id=expected["user_id"].map(users).fillna(0).astype("int32"),
            item_id=expected["item_id"].map(items).fillna(0).astype("int32"),
            label=expected["label"].astype("float32"),
            rating=expected["rating"].astype("float32"),
        ).drop(columns=["split", "subsecond"])
        found = stored(prepared.path, split)[list(expected.columns)]
        order = list(expected.columns)
        pd.testing.assert_frame_equal(found.sort_values(order).reset_index(drop=True), expected.sort_values(order).reset_index(drop=True))


def _bags(prepared: Prepared, *splits: str) -> dict[str, list[int]]:
    """What each user of train liked in some splits, of the items of train, the newest last."""
    items, users = prepared.vocabulary("item_id"), prepared.vocabulary("user_id")
    rows = prepared.rows
    liked = rows[rows["split"].isin(splits) & (rows["label"] > 0) & rows["user_id"].isin(users) & rows["item_id"].isin(items)]
    liked = liked.sort_values(["timestamp", "item_id"]).drop_duplicates(["user_id", "item_id"], keep="last")
    return {user: [items[i] for i in own["item_id"]] for user, own in liked.groupby("user_id")}


def test_history_is_what_the_user_liked_before_a_split_without_the_item_itself(prepared: Prepared) -> None:
    of_train, by_test = _bags(prepared, "train"), _bags(prepared, "train", "valid")
    assert of_train != by_test, "the test would not notice that validation is left out"
    users = {row: user for user, row in prepared.vocabulary("user_id").items()}
    longest = 0
    for split in ("train", "valid", "test"):
        bags = by_test if split == "test" else of_train
        for row in stored(prepared.path, split).itertuples():
            bag = bags.get(users.get(row.user_id, ""), [])
            if split == "train":
                bag = [item for item in bag if item != row.item_id]
            assert row.history == tuple(bag[-HISTORY:])
            longest = max(longest, len(bag))
    assert longest > HISTORY, "the test would not notice a history that is never cut"


def test_sequences_of_validation_are_what_users_of_train_liked_there(prepared: Prepared) -> None:
    """Read as what is known of people before test: after the sequences of train."""
    users, items = prepared.vocabulary("user_id"), prepared.vocabulary("item_id")
    order = ["timestamp", "subsecond", "item_id"] if "subsecond" in prepared.rows else ["timestamp", "item_id"]
    liked = prepared.rows[(prepared.rows["label"] > 0) & prepared.rows["user_id"].isin(users) & prepared.rows["item_id"].isin(items)]
    liked = liked.sort_values(order, na_position="first")
    parts = [liked[liked["split"] == split] for split in ("train", "valid")]
    expected = {
        row: [items[item] for part in parts for item in part.loc[part["user_id"] == user, "item_id"]][-LONGEST:]
        for user, row in users.items()
    }
    dataset = PreparedDataset.open(prepared.path)
    assert dataset.known("test") == ("train", "valid") and dataset.known("valid") == ("train",)
    wanted = np.array(sorted(users.values()))
    found = sequences_of(dataset, wanted, LONGEST + 1, "test")
    bags = np.split(found["sequence.values"], np.cumsum(found["sequence.lengths"])[:-1])
    assert [bag[1:].tolist() if bag[0] == 0 else bag.tolist() for bag in bags] == [expected[row] for row in wanted]
    before = read_likes(dataset, in_order=True, splits=dataset.known("test")).matrix
    assert [(1 + before[row].indices).tolist() for row in wanted] == [expected[row] for row in wanted]
    assert len(parts[1])


def test_sequences_are_what_each_user_liked_in_train_in_order_of_time(prepared: Prepared) -> None:
    users, items = prepared.vocabulary("user_id"), prepared.vocabulary("item_id")
    order = ["timestamp", "subsecond", "item_id"] if "subsecond" in prepared.rows else ["timestamp", "item_id"]
    liked = prepared.train[prepared.train["label"] > 0].sort_values(order, na_position="first")
    expected = {users[user]: own["item_id"].map(items).tolist()[-LONGEST:] for user, own in liked.groupby("user_id")}
    found = {}
    for block in blocks_of(prepared.path, "sequences"):
        ends = np.cumsum(block["item_id.lengths"])
        bags = np.split(block["item_id.values"], ends[:-1])
        found |= {user: bag.tolist() for user, bag in zip(block["user_id"].tolist(), bags, strict=True)}
        assert len(block["timestamp.values"]) == ends[-1]
    assert found == expected
    assert list(found) != sorted(found), "users come in random order"
    dataset = datasets.get_dataset(prepared.path.name)
    kept = sum(map(len, expected.values()))
    assert dataset.counts["sequences"] == {"users": len(expected), "likes": kept, "left_out": len(liked) - kept}
    assert kept < len(liked), "the test would not notice a sequence that is never cut"
    assert dataset.schema.sequence == LONGEST
    for user in list(prepared.train["user_id"].unique())[:5]:  # a recommender reads one user's from the interactions
        own = datasets.user_interactions(prepared.path.name, user)
        own = own[(own["split"] == "train") & (own["label"] > 0)]
        assert own["item_id"].map(items).tolist()[::-1][-LONGEST:] == expected.get(users[user], [])


def test_features_are_rows_of_train_vocabularies_and_standardised_numbers(prepared: Prepared) -> None:
    schema = datasets.get_dataset(prepared.path.name).schema
    own = ["gender", "occupation"] + (["region"] if prepared.spec.source.kind == "movielens" else [])
    assert [f.name for f in schema.categorical] == ["user_id", *own, "history", "item_id", "genres"]
    assert [f.name for f in schema.dense] == ["age", "year"]
    assert schema.feature("history").vocabulary == "item_id"
    for name, table, key in [*((n, prepared.users, "user_id") for n in own), ("genres", prepared.items, "item_id")]:
        expected = prepared.vocabulary(name, table, key)
        found = pd.read_parquet(prepared.path / "vocabulary" / f"{name}.parquet").sort_values("row")
        assert dict(zip(found["value"], found["row"], strict=True)) == expected
        assert schema.feature(name).num_rows == len(expected) + 1
        side = pd.read_parquet(prepared.path / f"{key.removesuffix('_id')}s.parquet")
        known = side.merge(table[[key, name]], on=key, how="left", suffixes=("", "_source"))
        for row in known.itertuples():
            value = getattr(row, f"{name}_source" if f"{name}_source" in known else name)
            stored_value = known.loc[row.Index, f"feature.{name}"]
            if name == "genres":
                assert list(stored_value) == [expected.get(g, 0) for g in (value.split("|") if isinstance(value, str) else [])]
            else:
                assert stored_value == (expected.get(value, 0) if isinstance(value, str) else 0)
    for feature, table, key in zip(schema.dense, (prepared.users, prepared.items), ("user_id", "item_id"), strict=True):
        values = prepared.train[key].map(table.set_index(key)[feature.name])
        assert (feature.mean, feature.std) == pytest.approx((values.mean(), values.std(ddof=0)))


def test_dense_columns_of_the_blocks_follow_the_row_and_unknown_is_zero(prepared: Prepared) -> None:
    schema = datasets.get_dataset(prepared.path.name).schema
    ages, years = (table.set_index(key)[name] for table, key, name in
                   ((prepared.users, "user_id", "age"), (prepared.items, "item_id", "year")))  # fmt: skip
    rows = stored(prepared.path, "train")
    users = {row: user for user, row in prepared.vocabulary("user_id").items()}
    items = {row: item for item, row in prepared.vocabulary("item_id").items()}
    for found, ids, raw, feature in (
        ("dense0", rows["user_id"].map(users), ages, schema.dense[0]),
        ("dense1", rows["item_id"].map(items), years, schema.dense[1]),
    ):
        expected = ((ids.map(raw) - feature.mean) / feature.std).fillna(0).to_numpy()
        np.testing.assert_allclose(rows[found], expected, atol=1e-5)


def test_blocks_are_in_a_global_random_order_of_agreed_size(prepared: Prepared) -> None:
    rows = stored(prepared.path, "train")
    assert abs(np.corrcoef(np.arange(len(rows)), rows["timestamp"])[0, 1]) < 0.15
    assert datasets.get_dataset(prepared.path.name).manifest["block_rows"] == 256
    index = json.loads((prepared.path / "train" / "index.json").read_text())
    assert sum(shard["samples"] for shard in index["shards"]) == -(-len(rows) // 256)


def test_a_stock_streaming_dataset_reads_every_row_and_locks_others_out_once_a_shard(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.batches.batches import open_split

    import_streaming()
    from streaming import StreamingDataset

    locked, prepare = [], StreamingDataset.prepare_shard

    def counting(stream: StreamingDataset, shard_id: int, blocking: bool = True) -> None:
        locked.append(shard_id)
        prepare(stream, shard_id, blocking)

    monkeypatch.setattr(StreamingDataset, "prepare_shard", counting)
    stream = open_split(prepared.path, "train")
    for _ in range(5):
        assert sum(len(block["label"]) for block in stream) == len(prepared.train)
    assert len(locked) <= 2 * len(set(locked)) == 2 * len(stream.shards)  # at most by both of its threads


def test_tables_hold_every_user_and_item_with_its_counts(prepared: Prepared) -> None:
    items = pd.read_parquet(prepared.path / "items.parquet")
    assert set(items["item_id"]) == set(prepared.items["item_id"]) | set(prepared.rows["item_id"])
    assert items["item_id"].is_unique
    known = prepared.vocabulary("item_id")
    np.testing.assert_array_equal(items["row"], items["item_id"].map(known).fillna(0))
    assert items["row"].tolist() == [*range(1, len(known) + 1), *[0] * (len(items) - len(known))]
    np.testing.assert_array_equal(items["feature.item_id"], items["row"])
    for column, rows in (("train_count", prepared.train), ("train_positives", prepared.train[prepared.train["label"] > 0])):
        np.testing.assert_array_equal(items[column], items["item_id"].map(rows["item_id"].value_counts()).fillna(0))
    users = pd.read_parquet(prepared.path / "users.parquet")
    assert set(users["user_id"]) == set(prepared.users["user_id"]) | set(prepared.rows["user_id"])
    test = prepared.rows[(prepared.rows["split"] == "test") & (prepared.rows["label"] > 0)]
    np.testing.assert_array_equal(users["test_positives"], users["user_id"].map(test["user_id"].value_counts()).fillna(0))
    np.testing.assert_array_equal(users["interactions"], users["user_id"].map(prepared.rows["user_id"].value_counts()).fillna(0))


@pytest.mark.parametrize("split", ["valid", "test"])
def test_users_to_rank_went_on_to_like_items_of_the_catalogue_that_were_new_to_them(prepared: Prepared, split: str) -> None:
    users, items = prepared.vocabulary("user_id"), prepared.vocabulary("item_id")
    known = prepared.rows[prepared.rows["split"].isin(["train", "valid"] if split == "test" else ["train"])]
    seen = {user: {items[i] for i in own["item_id"] if i in items} for user, own in known.groupby("user_id")}
    held_out = prepared.rows[(prepared.rows["split"] == split) & (prepared.rows["label"] > 0)]
    relevant = {
        user: {items[i] for i in own["item_id"] if i in items} - seen[user] for user, own in held_out.groupby("user_id") if user in users
    }
    eligible = {user for user, found in relevant.items() if found}
    ranking = pd.read_parquet(prepared.path / "ranking" / f"{split}.parquet")
    counts = datasets.get_dataset(prepared.path.name).counts
    assert counts["users_to_rank"][split] == len(eligible) > 0
    assert len(ranking) == counts["sampled_users"][split] == min(len(eligible), prepared.spec.eval_users)
    assert set(ranking["user_id"]) <= eligible
    for row in ranking.itertuples():
        assert row.user == users[row.user_id]
        assert set(row.relevant) == relevant[row.user_id]
        assert len(row.relevant) == len(relevant[row.user_id])
        assert set(row.seen) == seen[row.user_id]
        own = held_out[(held_out["user_id"] == row.user_id) & held_out["item_id"].map(items).isin(row.relevant)]
        moments = own.groupby(own["item_id"].map(items))["timestamp"]
        assert moments.min()[row.next] == own["timestamp"].min() and moments.max()[row.last] == own["timestamp"].max()
    bags = _bags(prepared, *(("train", "valid") if split == "test" else ("train",)))
    assert [list(bag) for bag in ranking["feature.history"]] == [bags.get(user, [])[-HISTORY:] for user in ranking["user_id"]]
    if split == "test":
        whole = pd.read_parquet(prepared.path / "users.parquet").set_index("user_id")["feature.history"]
        assert {user: list(bag) for user, bag in whole.items()} == {user: bags.get(user, [])[-HISTORY:] for user in whole.index}


def test_the_manifest_counts_what_is_there(prepared: Prepared) -> None:
    manifest = datasets.get_dataset(prepared.path.name).manifest
    counts, rows = manifest["counts"], prepared.rows
    assert counts["rows_read"] == len(rows)
    assert counts["interactions"] == rows["split"].value_counts().to_dict()
    assert counts["positives"] == rows[rows["label"] > 0]["split"].value_counts().to_dict()
    assert (counts["train_users"], counts["train_items"]) == (prepared.train["user_id"].nunique(), prepared.train["item_id"].nunique())
    test = rows[rows["split"] == "test"]
    assert counts["cold_user_rows_test"] == (~test["user_id"].isin(prepared.train["user_id"])).sum()
    assert counts["cold_item_rows_test"] == (~test["item_id"].isin(prepared.train["item_id"])).sum()
    assert counts["items_without_title"] == len(set(rows["item_id"]) - set(prepared.items["item_id"]))
    assert manifest["label"]["mean"] == pytest.approx(prepared.train["rating"].mean())
    assert manifest["label"]["mean"] != pytest.approx(rows["rating"].mean(), abs=1e-9), "the mean is train's alone"
    assert DatasetSpec.model_validate(manifest["spec"]) == prepared.spec
    assert manifest["cost"]["seconds"] > 0
    assert manifest["cost"]["peak_memory_bytes"] > 200 << 20, "a JVM alone has more"


def test_the_preview_promised_the_same(prepared: Prepared) -> None:
    promised, found = preview(prepared.spec).audit, datasets.audit(prepared.path.name)
    assert found is not None
    assert_same(promised.as_json(), found.as_json())
    assert found.rows_read == found.rows_used == len(prepared.rows)


def test_what_one_user_did_is_found_newest_first(prepared: Prepared) -> None:
    id, user = prepared.path.name, prepared.rows["user_id"].iloc[-1]
    found, own = datasets.user_interactions(id, user), prepared.rows[prepared.rows["user_id"] == user]
    assert found["timestamp"].is_monotonic_decreasing
    columns = ["item_id", "timestamp", "rating", "split"]
    assert sorted(map(tuple, found[columns].to_numpy().tolist())) == sorted(map(tuple, own[columns].to_numpy().tolist()))
    assert found["title"].notna().all()
    with pytest.raises(LookupError, match="no user 'nobody'"):
        datasets.user_interactions(id, "nobody")


def test_users_are_searched_by_id(prepared: Prepared) -> None:
    id = prepared.path.name
    everybody = datasets.search_users(id, limit=10_000)
    assert everybody["interactions"].is_monotonic_decreasing
    assert not any(name.startswith("feature.") for name in everybody)
    user = everybody["user_id"].iloc[-1]
    assert datasets.search_users(id, user)["user_id"].iloc[0] == user
    assert (datasets.search_users(id, limit=10_000, held_out_only=True)["test_positives"] > 0).all()
    assert len(datasets.search_users(id, limit=3)) == 3


def test_preparing_the_same_again_does_nothing(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.prepare import pipeline

    def touched(preparation: Any) -> None:
        raise AssertionError("prepared again")

    monkeypatch.setattr(pipeline.source_rows, "load", touched)
    before = (prepared.path / "manifest.json").stat().st_mtime_ns
    assert prepare(prepared.spec) == prepared.path
    assert (prepared.path / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(AssertionError, match="prepared again"):
        prepare(prepared.spec.model_copy(update={"seed": 2}))


def test_a_preparation_that_fails_leaves_nothing_to_see(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.prepare import pipeline

    phases = []

    def half(preparation: Any) -> None:
        shutil.copytree(prepared.path, preparation.staging, dirs_exist_ok=True)
        assert [d.id for d in datasets.list_datasets()] == [prepared.path.name], "not while it is under way either"
        raise OSError("the disk is full")

    monkeypatch.setattr(pipeline.source_rows, "load", half)
    with pytest.raises(OSError, match="disk is full"):
        prepare(prepared.spec.model_copy(update={"seed": 3}), lambda phase, step, total: phases.append((phase, step, total)))
    assert phases == [("reading the source", 0, len(pipeline.STEPS)), (pipeline.STEPS[0], 1, len(pipeline.STEPS))]
    assert [path.name for path in prepared.path.parent.iterdir()] == [prepared.path.name]


def test_every_step_reports_its_phase_and_one_that_fails_publishes_nothing(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.prepare import pipeline

    def fail(*results: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(pipeline, "measure_baselines", fail)
    phases: list[tuple[str, int, int]] = []
    with pytest.raises(OSError, match="disk is full"):
        prepare(DatasetSpec(name="s", source=SampleSource(users=90, items=70, interactions=1800)), lambda *step: phases.append(step))
    total = len(pipeline.STEPS)
    assert phases == [(phase, step, total) for step, phase in enumerate(("reading the source", *pipeline.STEPS))]
    assert not list((workspace / "datasets").iterdir())


def test_what_a_dead_preparation_left_is_swept(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.prepare import pipeline as module

    left = prepared.path.parent / ".staging-x-000000000000-4194305"  # beyond the largest process id
    left.mkdir()
    os.utime(left, (0, 0))
    module._sweep(prepared.path.parent)
    assert not left.exists()


@pytest.mark.parametrize("harm", ["flipped byte", "truncated", "missing", "added"])
def test_tampering_is_noticed_and_the_file_named(prepared: Prepared, workspace: Path, harm: str) -> None:
    copy = workspace / "datasets" / prepared.path.name
    shutil.copytree(prepared.path, copy)
    datasets.verify(copy.name)
    shard = copy / "train" / "part-00000" / "shard.00000.mds"
    content = shard.read_bytes()
    if harm == "flipped byte":
        shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif harm == "truncated":
        shard.write_bytes(content[:-1])
    elif harm == "missing":
        shard.unlink()
    else:
        shard = shard.with_name("shard.00001.mds")
        shard.write_bytes(content)
    with pytest.raises(ValueError, match=f"train/part-00000/{shard.name}") as error:
        datasets.verify(copy.name)
    assert "prepare it again" in str(error.value)


def test_an_unknown_dataset_is_named_with_those_there_are(prepared: Prepared) -> None:
    with pytest.raises(LookupError, match=f"no prepared dataset 'nothing'; this workspace has: {prepared.path.name}"):
        datasets.get_dataset("nothing")
    for id in ("../x", "", ".staging-x"):
        with pytest.raises(LookupError):
            datasets.get_dataset(id)


def write_ratings(folder: Path, lines: list[str]) -> DatasetSpec:
    movielens(folder)
    (folder / "u.data").write_text("".join(lines))
    return DatasetSpec(name="ml", source={"kind": "movielens", "path": str(folder)})


def test_an_empty_split_says_which_and_what_to_do(workspace: Path, tmp_path: Path) -> None:
    spec = write_ratings(tmp_path / "ml", [f"{k}\t1\t{k % 5 + 1}\t880000000\n" for k in range(20)])
    with pytest.raises(ValueError, match="The train split is empty: 20 rows give train 0, valid 0, test 20") as error:
        prepare(spec)
    assert "split per user" in str(error.value)
    assert not list((workspace / "datasets").iterdir())


@pytest.mark.fault("F51")
def test_a_threshold_that_leaves_nothing_to_learn_is_refused(workspace: Path, tmp_path: Path) -> None:
    spec = write_ratings(tmp_path / "ml", [f"{k}\t1\t{k % 3 + 1}\t{880000000 + k}\n" for k in range(40)])
    with pytest.raises(ValueError, match="No train row of 32 is liked at a threshold of 4"):
        prepare(spec)


def test_order_statistics_are_exact_whatever_the_range(spark: "SparkSession", monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.prepare import splits

    monkeypatch.setattr(splits, "HISTOGRAM_BINS", 7)
    values = np.random.default_rng(1).integers(-50, 4000, 500) ** 2
    values[:100] = values[0]
    times = spark.createDataFrame(pd.DataFrame({"timestamp": values}))
    shares = (0.0, 0.1, 0.35, 0.8, 0.9, 1.0)
    found = splits.order_statistics(times, shares, 500, int(values.min()), int(values.max()))
    assert found == [np.quantile(values, share, method="higher") for share in shares]


def test_movielens_100k_by_time_has_the_known_counts_and_popularity(ml100k: Path, workspace: Path) -> None:
    spec = DatasetSpec(name="ml-100k", source={"kind": "movielens", "path": str(ml100k)}, split=TimeSplit())
    dataset = datasets.get_dataset(prepare(spec).name)
    datasets.verify(dataset.id)
    assert dataset.counts["interactions"] == {"train": 79_999, "valid": 10_001, "test": 10_000}
    assert dataset.counts["users_to_rank"]["test"] == 52
    assert datasets.baseline_results(dataset.id)["popularity"]["ndcg_at_10"] == pytest.approx(0.1383, abs=5e-5)
    assert len(datasets.user_interactions(dataset.id, "405")) == 737
