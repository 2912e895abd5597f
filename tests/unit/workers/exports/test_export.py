"""Lists for many users at once are those that one user at a time gets; files are equal in content, whole, and safe to open."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

import engine
from engine.recommend.recommender import Recommender
from engine.runs.exports import _free, _known
from tests import exported, tiny
from workers.artifacts import PreparedDataset, index
from workers.batches import read_likes
from workers.evaluation.evaluate import catalogue
from workers.evaluation.metrics import tie_order
from workers.exports import export, files, spread
from workers.exports import people as list_people
from workers.exports.export import top_lists, write_lists
from workers.exports.spec import CHOSEN, ListExportSpec
from workers.matrices.ease import EASE
from workers.matrices.markov_chain import MarkovChain
from workers.matrices.popularity import Popularity
from workers.models import MODELS
from workers.run.context import RunContext
from workers.run.journal import Journal
from workers.serving import OpenedFunnel, OpenedMatrix, OpenedModel, OpenedNetwork, UserItems

ITEMS, RUN = 40, "a" * 32


@pytest.fixture
def dataset(workspace):
    """Sixty users; one met everything in train, two have nothing there."""
    frame = tiny.groups(items=ITEMS)
    everything = pd.DataFrame({"user_id": "all", "item_id": [f"i{n}" for n in range(ITEMS)], "label": 1.0, "split": "train"})
    new = pd.DataFrame({"user_id": ["new", "=new"], "item_id": ["i0", "i1"], "label": 1.0, "split": "test"})
    exported.write(workspace, pd.concat([frame, everything, new], ignore_index=True))
    return engine.datasets.get_dataset(exported.ID)


def opened(kind: str, dataset) -> OpenedModel:
    items, rng = catalogue(dataset.path), np.random.default_rng(3)
    if kind == "ease":
        model = EASE(1.0)
        model.load({"weights": rng.normal(0, 1, (len(items), len(items))).astype(np.float32)})
        return OpenedMatrix(items, model)
    if kind == "popularity":  # with ties
        popular = Popularity()
        popular.load({"counts": (np.arange(len(items)) // 6).astype(np.float32)})
        return OpenedMatrix(items, popular)
    if kind == "markov_chain":
        chain = MarkovChain(window=2, decay=0.5, half_life=1.0, smoothing=1.0)
        chain.fit(read_likes(PreparedDataset.open(dataset.path), in_order=True))
        return OpenedMatrix(items, chain)
    if kind.startswith("funnel"):
        first, second = (opened(part, dataset) for part in kind.split()[1:])
        return OpenedFunnel(first, second, None if first.vectors is None else index.build(first.vectors), 15, weight=0.5)
    torch.manual_seed(1)
    settings = {} if MODELS[kind].reads_order else {"history": True}
    return OpenedNetwork(items, MODELS[kind](**settings).build(dataset.schema), dataset.schema)


def context(run: Path, dataset, spec: ListExportSpec) -> RunContext[ListExportSpec]:
    return RunContext(run, PreparedDataset.open(dataset.path), spec, Journal(run))


def exports(model: OpenedModel, dataset, tmp_path, **settings) -> tuple[pd.DataFrame, dict[str, int]]:
    spec = ListExportSpec(run=RUN, dataset=dataset.id, **settings)
    run, folder = tmp_path / "run", tmp_path / "lists"
    for one in (run, folder):
        one.mkdir(exist_ok=True)
    counts = write_lists(context(run, dataset, spec), model, folder)
    assert not (run / "tmp" / "met").exists()
    return pd.read_parquet(folder / "top.parquet"), counts


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize(
    "kind",
    [
        "two_tower",
        "dlrm",
        "ease",
        "popularity",
        "funnel two_tower dlrm",
        "funnel ease two_tower",
        "sasrec",
        "markov_chain",
        "funnel ease markov_chain",
    ],
)
def test_everybody_gets_the_list_of_the_recommender(kind, exclude_seen, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(list_people, "PEOPLE", 25)  # several files of interactions, and dealt in several goes
    monkeypatch.setattr(list_people, "SPILL", 300)
    model = opened(kind, dataset)
    found, counts = exports(model, dataset, tmp_path, k=12, exclude_seen=exclude_seen)
    one, users = Recommender(dataset, model), pd.read_parquet(dataset.path / "users.parquet")["user_id"]
    assert counts["users"] == len(users) == 63
    assert counts["unknown_to_train"] == 2
    assert counts["without_items"] == int(exclude_seen)
    assert counts["rows"] == len(found)
    lists = dict(iter(found.groupby("user_id")))
    for user in users:
        wanted = one.recommend(user, k=12, exclude_seen=exclude_seen)
        if wanted.empty:
            assert user not in lists
            continue
        got = lists[user]
        assert got["rank"].tolist() == list(range(1, len(wanted) + 1))
        assert got["item_id"].tolist() == wanted["item_id"].tolist(), user
        np.testing.assert_allclose(got["score"], wanted["score"], rtol=1e-4, atol=1e-5)
    assert list(dict.fromkeys(found["user_id"])) == [user for user in users if user in lists]


@pytest.mark.parametrize("kind", ["ease", "popularity", "two_tower", "markov_chain", "funnel ease two_tower"])
def test_parts_that_are_made_in_any_order_join_to_the_same_files(kind, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(list_people, "PEOPLE", 25)
    monkeypatch.setattr(files, "ROWS", 100)
    monkeypatch.setattr(spread, "open_run", lambda *_: opened(kind, dataset))
    spread._opened.cache_clear()
    _, counts = exports(opened(kind, dataset), dataset, tmp_path, k=12)
    spec, run, joined = ListExportSpec(run=RUN, dataset=dataset.id, k=12), tmp_path / "run", tmp_path / "joined"
    (run / "spec.json").write_text(spec.model_dump_json())
    joined.mkdir()
    parts = spread.deal(context(run, dataset, spec))
    made = {number: spread.make_part(str(run), str(dataset.path), number) for number in (2, 0, 1, 0)}  # a task may be tried again
    assert parts == 3
    assert spread.join(context(run, dataset, spec), [made[number] for number in range(parts)], joined) == counts
    for name in ("top.parquet", "top.csv"):
        assert (joined / name).read_bytes() == (tmp_path / "lists" / name).read_bytes()
    assert not spread.scratch(run).exists()


def test_a_list_longer_than_the_catalogue_gives_what_there_is(dataset, tmp_path):
    found, _ = exports(opened("ease", dataset), dataset, tmp_path, k=1000, exclude_seen=False)
    assert found.groupby("user_id").size().eq(ITEMS).all()
    found, _ = exports(opened("ease", dataset), dataset, tmp_path, k=1000)
    train = pd.read_parquet(dataset.path / "interactions")[lambda rows: rows["split"] != "test"]
    met = train.groupby("user_id")["item_id"].nunique()
    assert (ITEMS - found.groupby("user_id").size()).drop(["new", "=new"]).to_dict() == met.drop("all").to_dict()
    assert not found.merge(train, on=["user_id", "item_id"]).size


@pytest.mark.fault("F59")
def test_both_files_hold_the_same_and_no_formula(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROWS", 100)
    model = opened("two_tower", dataset)
    model.items["title"] = [["@cmd", 'a "b", c', "two\nlines", None, "Ünï", "＝1"][n % 6] for n in range(ITEMS)]
    found, _ = exports(model, dataset, tmp_path, k=7)
    path = tmp_path / "lists" / "top.csv"
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    text = pd.read_csv(path, dtype={"user_id": str, "item_id": str, "title": str, "score": np.float32}, keep_default_na=False)
    safe = pd.read_csv(pd.io.common.BytesIO(engine.report.csv_safe(found)), dtype=str, keep_default_na=False)
    for name in ("user_id", "item_id", "title"):  # as every other CSV of the workbench
        assert text[name].tolist() == safe[name].tolist()
    assert "'=new" in set(text["user_id"]) and "'@cmd" in set(text["title"]) and "'＝1" in set(text["title"])
    assert text["rank"].tolist() == found["rank"].tolist()
    np.testing.assert_array_equal(text["score"], found["score"])
    groups = pq.ParquetFile(tmp_path / "lists" / "top.parquet").metadata
    assert groups.num_row_groups > 1
    assert max(groups.row_group(n).num_rows for n in range(groups.num_row_groups)) <= 100 + 64 * 7


@pytest.mark.parametrize("users", ["test", "chosen"])
def test_some_users_alone(users, dataset, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CHOSEN).write_text("u7\nu3\nnew")
    found, counts = exports(opened("dlrm", dataset), dataset, tmp_path, k=3, users=users)
    wanted = {"u7", "u3", "new"} if users == "chosen" else set(pd.read_parquet(dataset.path / "ranking" / "test.parquet")["user_id"])
    assert set(found["user_id"]) == wanted
    assert counts["users"] == len(wanted)
    whole, _ = exports(opened("dlrm", dataset), dataset, tmp_path, k=3)
    pd.testing.assert_frame_equal(found, whole[whole["user_id"].isin(wanted)].reset_index(drop=True), rtol=1e-4)


class Given(OpenedModel):
    """Scores that are given."""

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__(pd.DataFrame(index=range(scores.shape[1])))
        self.given = scores

    def people(self, frame, met):
        return list(self.given[frame.index])

    def scores(self, person, places=None):
        return person if places is None else person[places]


@pytest.mark.parametrize("k", [1, 3, 50])
def test_the_best_are_those_of_a_sort(k):
    rng = np.random.default_rng(k)
    scores = rng.integers(-3, 3, (40, 30)).astype(np.float32)  # ties everywhere, -0.0 aside
    scores[5:9, ::2] = -np.inf
    scores[9] = -np.inf
    met = [UserItems(np.zeros(0, np.int64), np.zeros(0, np.float32), rng.choice(30, rng.integers(0, 31), replace=False)) for _ in range(40)]
    ties = tie_order(30, 7)
    for (places, best), row, one in zip(top_lists(Given(scores), pd.DataFrame(index=range(40)), met, ties, k), scores, met, strict=True):
        left = [place for place in range(30) if place not in set(one.seen) and np.isfinite(row[place])]
        wanted = sorted(left, key=lambda place: (-row[place], -ties[place]))[:k]
        assert places.tolist() == wanted
        assert best.tolist() == row[wanted].tolist()


def test_a_diverged_model_is_refused():
    scores = np.zeros((1, 5), np.float32)
    scores[0, 2] = np.nan
    none = [UserItems(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))]
    with pytest.raises(ValueError, match="NaN"):
        top_lists(Given(scores), pd.DataFrame(index=[0]), none, tie_order(5, 1), 2)


def test_ids_come_one_a_line_or_first_in_a_csv():
    assert engine.runs.read_ids("\ufeffu1\r\n\n u2 \n") == ["u1", "u2"]
    assert engine.runs.read_ids('user_id,age\n"a, b",3\nu2,\n,4\n') == ["user_id", "a, b", "u2"]
    assert engine.runs.read_ids("") == []


def test_unknown_users_are_named(dataset):
    assert _known(dataset.id, ["user_id", "u1", "u2", "u1"]) == ["u1", "u2"]
    with pytest.raises(LookupError, match=r"4 of 5 users are not in .*'x1', 'x2', 'x3' …\. Nothing was written"):
        _known(dataset.id, ["u1", "x1", "x2", "x3", "x4"])
    with pytest.raises(ValueError, match="No user is named"):
        _known(dataset.id, ["user_id"])


def test_a_folder_must_be_free(tmp_path):
    assert _free(tmp_path / "new" / "one") == tmp_path / "new" / "one"
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="not empty"):
        _free(tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        _free(tmp_path / "file")


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(dataset, tmp_path, monkeypatch):
    def full(self: files.Writer, table: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.Writer, "write", full)
    monkeypatch.setattr(export, "open_run", lambda *_: opened("ease", dataset))
    run, target = tmp_path / "runs" / "e", tmp_path / "to" / "lists"
    run.mkdir(parents=True)
    spec = ListExportSpec(run=RUN, dataset=dataset.id, folder=str(target))
    with pytest.raises(ValueError, match=r"cannot be written to .*: No space left on device\. Free some space"):
        export.export(context(run, dataset, spec))
    assert list(target.parent.iterdir()) == []
    (run / "tmp" / "met").mkdir(exist_ok=True, parents=True)
    (run / "tmp" / "met" / "0").write_bytes(b"half")  # what a broken attempt left is not read
    monkeypatch.undo()
    monkeypatch.setattr(export, "open_run", lambda *_: opened("ease", dataset))
    assert export.export(context(run, dataset, spec))["folder"] == str(target)
    assert sorted(path.name for path in target.iterdir()) == ["manifest.json", "top.csv", "top.parquet"]
