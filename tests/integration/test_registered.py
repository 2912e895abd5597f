"""Registered models: every kind of model leaves the workbench whole, and gives the lists of the pages wherever it is opened."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import engine
from engine.registry import registration
from engine.runs import store
from tests import stores, workspace
from tests.workspace import Workspace
from workers.artifacts import USERS, PreparedDataset
from workers.registry import KnownPeople, Package, Query, ServedModel
from workers.registry.people import IDS
from workers.run import RunSpec

pytestmark = pytest.mark.slow
MORE = [pytest.param(kind, marks=pytest.mark.thorough) for kind in ("popularity", "item_knn", "ials", "deepfm", "dcnv2")]
KINDS = ["ease", "two_tower", "dlrm", "funnel", *MORE]
WITHOUT_TORCH = """
import sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from workers.registry import Query, ServedModel
print(ServedModel.open(Path(sys.argv[1])).answer(Query(user_id=sys.argv[3], k=5)).model_dump_json())
"""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    kept = stores.once(tmp_path_factory, "films", lambda folder: workspace.keep(workspace.build(folder / "workspace"), folder))
    copied = workspace.copy(workspace.kept(kept), tmp_path_factory.mktemp("registered") / "workspace")
    with workspace.entered(copied.folder):
        yield copied


def folder_of(made: engine.registry.Registered) -> Path:
    """The MLflow model of a version, downloaded from where the registry says that it is."""
    where = store.client().get_model_version(made.name, str(made.version)).source
    return Path(where.removeprefix("file://"))


def users_of(films: Workspace) -> list[str]:
    return pd.read_parquet(films.folder / "datasets" / films.films / USERS)["user_id"].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_registered_model_gives_the_lists_of_the_page(films: Workspace, kind: str) -> None:
    made = engine.registry.register(films.runs[kind], "films", alias="champion", compared_with=[films.runs["popularity"]])
    served, page = ServedModel.open(folder_of(made) / "artifacts" / "package"), engine.recommend.open_model(films.runs[kind])
    candidates = page.items["item_id"].tolist()[::3]
    for user in users_of(films):
        for query, shown in (
            (Query(user_id=user, k=7), page.recommend(user, 7)),
            (Query(user_id=user, k=7, exclude_seen=False), page.recommend(user, 7, exclude_seen=False)),
            (Query(user_id=user, k=7, candidates=tuple(candidates)), page.recommend(user, 7, candidates=candidates)),
        ):
            answer = served.answer(query)
            assert [item.item_id for item in answer.items] == shown["item_id"].tolist(), (kind, user, query)
            assert [item.score for item in answer.items] == shown["score"].tolist()
            assert answer.known_user and not answer.left_out
    liked = candidates[:3]
    new = served.answer(Query(liked=tuple(liked)))
    assert [item.item_id for item in new.items] == page.recommend_new(liked)["item_id"].tolist() and not new.known_user
    assert "champion" in made.aliases and engine.registry.run_of("champion") == films.runs[kind]


def test_a_version_says_what_it_was_chosen_by(films: Workspace) -> None:
    beside = [films.runs["ease"], films.runs["popularity"]]
    made = engine.registry.register(films.runs["two_tower"], "Chosen", compared_with=beside)
    again = engine.registry.register(films.runs["ease"], "Chosen", alias="champion")
    assert [one.version for one in engine.registry.list_registered("Chosen")] == [again.version, made.version] == [2, 1]
    done = engine.runs.done(films.runs["two_tower"])["metrics"]
    assert made.metrics["ndcg_at_10"]["value"] == pytest.approx(done["ndcg_at_10"], rel=1e-6)
    low, high = made.metrics["ndcg_at_10"]["low"], made.metrics["ndcg_at_10"]["high"]
    assert low is not None and high is not None and low <= done["ndcg_at_10"] <= high
    dataset = engine.datasets.get_dataset(films.films)
    assert (made.fingerprint, made.dataset, set(made.compared_with)) == (dataset.fingerprint, films.films, set(beside))
    assert made.comparison == f"compare?runs={films.runs['two_tower']},{','.join(beside)}"
    assert made.verdict.startswith("A: ") and "NDCG@10" in made.verdict
    tags = store.client().get_model_version("Chosen", "1").tags
    assert tags["recbench.metric.ndcg_at_10"].startswith(f"{done['ndcg_at_10']:.4f} [")
    engine.registry.set_alias("Chosen", "champion", 1)
    assert engine.registry.run_of("Chosen@champion") == films.runs["two_tower"]
    assert engine.registry.run_of("models:/Chosen/2") == films.runs["ease"]
    engine.registry.set_alias("Chosen", "champion", None)
    with pytest.raises(LookupError, match="its aliases: none"):
        engine.registry.get_registered("Chosen", "champion")


def test_the_folder_names_no_machine_and_holds_no_pickle_and_nobodys_details(
    films: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("uv.lock", "pyproject.toml"):  # as in a checkout: MLflow would take both along, and install from them
        (tmp_path / name).write_text('[project]\nname = "x"\nversion = "1"\n')
    monkeypatch.chdir(tmp_path)
    folder = folder_of(engine.registry.register(films.runs["funnel"], "Whole"))
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert not {"uv.lock", "pyproject.toml"} & set(names)
    assert not [name for name in names if name.endswith((".pkl", ".pyc", ".pt", ".pickle"))]
    for word in (str(films.folder), str(Path.home()), sys.prefix, str(Path(engine.__file__).parents[1]), os.uname().nodename):
        assert not [name for name in names if word.encode() in (folder / name).read_bytes()], word
    package = folder / "artifacts" / "package"
    people = KnownPeople.open(package)
    assert people is not None and len(people) == len(users_of(films))
    row = people.find(users_of(films)[0])
    assert row is not None and all(name.startswith("feature.") for name in row.row)  # what pages show of people stays at home
    record = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
    assert (record["model_code_path"], record["artifacts"]["package"]["uri"]) == ("mlflow_model.py", "artifacts/package")
    assert {path.name for path in (folder / "code").iterdir()} == {"workers"}
    wheel = next((folder / "wheels").glob("*.whl"))
    assert f"./wheels/{wheel.name}" in (folder / "requirements.txt").read_text().splitlines()
    with zipfile.ZipFile(wheel) as file:
        assert not [name for name in file.namelist() if ".dist-info/" not in name]


@pytest.mark.parametrize("kind", ["ease", *MORE[:3]])
def test_a_fitted_model_is_served_without_torch(films: Workspace, kind: str) -> None:
    folder = folder_of(engine.registry.register(films.runs[kind], "Light"))
    pinned = [line.split("==")[0] for line in (folder / "requirements.txt").read_text().split()]
    absent = "torch,torchrec,fbgemm_gpu,tensordict,streaming,implicit,lightgbm,faiss,psutil,mlflow,pyspark,optuna,sklearn,requests,tqdm"
    assert not set(pinned) & (set(absent.split(",")) - {"mlflow"})
    user, environment = users_of(films)[0], {**os.environ, "PYTHONPATH": str(folder / "code")}
    command = [sys.executable, "-P", "-c", WITHOUT_TORCH, str(folder / "artifacts" / "package"), absent, user]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    items = json.loads(done.stdout)["items"]
    assert [item["item_id"] for item in items] == engine.recommend.open_model(films.runs[kind]).recommend(user, 5)["item_id"].tolist()


def test_without_users_a_model_takes_likes_alone(films: Workspace) -> None:
    sizes = engine.registry.sizes(films.runs["ease"]), engine.registry.sizes(films.runs["ease"], users=False)
    made = engine.registry.register(films.runs["ease"], "Nobody", users=False)
    package = folder_of(made) / "artifacts" / "package"
    assert (made.users, sizes[1].people, (package / IDS).exists()) == (0, 0, False) and sizes[0].people > 0
    signature = yaml.safe_load((folder_of(made) / "MLmodel").read_text())["signature"]["inputs"]
    assert [column["name"] for column in json.loads(signature)] == ["liked", "candidates"]
    item = engine.recommend.open_model(films.runs["ease"]).items["item_id"].iloc[0]
    assert ServedModel.open(package).answer(Query(liked=(item,))).items


def test_bad_requests_and_unknown_names_are_sentences(films: Workspace) -> None:
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    model = mlflow.pyfunc.load_model(str(folder_of(engine.registry.register(films.runs["ease"], "Asked"))))
    page = engine.recommend.open_model(films.runs["ease"])
    item, title = page.items[["item_id", "title"]].iloc[0]

    def ask(row: dict[str, object], **params: object) -> dict[str, object]:
        return model.predict(pd.DataFrame([row]), params=params).to_dict("records")[0]

    by_id, by_title = ask({"liked": [item]}), ask({"liked": [title.upper()]})
    assert by_id == by_title and [one["item_id"] for one in by_id["items"]] == page.recommend_new([item])["item_id"].tolist()
    stranger = ask({"user_id": "nobody at all"}, k=3)
    assert (stranger["known_user"], len(stranger["items"])) == (False, 3)
    assert ask({"liked": [item, "no such film"]})["left_out"] == ("no such film",)
    assert ask({"liked": [item], "candidates": ["nothing"]})["items"] == ()
    for row, params, words in (
        ({"candidates": [item]}, {}, "Neither user_id nor liked"),
        ({"user_id": "1", "liked": [item]}, {}, "Both user_id and liked"),
        ({"user_id": "1"}, {"k": 0}, "k is 0|k: "),
        ({"user_id": "1"}, {"k": 10**9}, "k"),
        ({"liked": [item]}, {"least_likes": -1}, "least_likes"),
    ):
        with pytest.raises(MlflowException, match=words) as raised:
            ask(row, **params)
        assert raised.value.get_http_status_code() == 400


def test_what_cannot_be_registered_is_said_and_nothing_is_left(films: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(engine.registry.list_registered())
    for run, name, alias, words in (
        ("failed", "x", None, "only finished trainings"),
        ("clicks", "x", None, "."),
        ("ease", "a/b", None, "is no name"),
        ("ease", "x", "latest", "is no alias"),
        ("ease", "x", "v2", "is no alias"),
    ):
        with pytest.raises(ValueError, match=words):
            engine.registry.register(films.runs[run], name, alias)

    def cancelled(what: str, done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.registry.register(films.runs["ease"], "x", report=cancelled)
    monkeypatch.setattr(registration, "write_package", scrambled)
    with pytest.raises(ValueError, match="gives other lists than the run itself"):
        engine.registry.register(films.runs["ease"], "x")
    assert len(engine.registry.list_registered()) == before
    assert not list((films.folder / "cache").glob("registering-*"))


def scrambled(run: Path, dataset: PreparedDataset, folder: Path, *rest: object) -> Package:
    """A package whose weights are not the run's."""
    from safetensors.numpy import load_file, save_file

    from workers.registry import write_package

    package = write_package(run, dataset, folder, *rest)  # type: ignore[arg-type]
    path = folder / "weights0" / "weights.safetensors"
    save_file({name: np.ascontiguousarray(array[::-1]) for name, array in load_file(path).items()}, path)
    return package


def test_a_gate_takes_an_alias(films: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    from engine.cli import main

    engine.registry.register(films.runs["ease10"], "Gated", alias="live")
    for against in ("live", "Gated@live", "models:/Gated@live", films.runs["ease10"]):
        with pytest.raises(SystemExit) as ended:
            main(["gate", films.runs["popularity"], "--against", against, "--json"])
        record = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (record["against"], ended.value.code) == (films.runs["ease10"], record["exit_code"]) and record["exit_code"] > 0
    with pytest.raises(SystemExit) as ended:
        main(["gate", films.runs["popularity"], "--against", "nobody", "--json"])
    assert ended.value.code == 3


@pytest.mark.thorough
@pytest.mark.parametrize(
    "model", [{"kind": "lightgbm"}, {"kind": "sasrec", "embedding_dim": 8}, {"kind": "markov_chain"}], ids=lambda model: model["kind"]
)
def test_trees_and_models_that_read_order_are_served_as_the_page_shows_them(films: Workspace, model: dict[str, object]) -> None:
    train = workspace.QUICK if model["kind"] == "sasrec" else {}
    with workspace.trainer() as trained:
        run_id = trained(RunSpec.model_validate({"dataset": films.films, "model": model, "train": train}))
    made = engine.registry.register(run_id, "More")
    served, page = ServedModel.open(folder_of(made) / "artifacts" / "package"), engine.recommend.open_model(run_id)
    for user in users_of(films):
        answer, shown = served.answer(Query(user_id=user)), page.recommend(user)
        assert [item.item_id for item in answer.items] == shown["item_id"].tolist()
        assert [item.score for item in answer.items] == shown["score"].tolist()
    lines = (folder_of(made) / "requirements.txt").read_text()
    assert ("lightgbm==" in lines) == (model["kind"] == "lightgbm") and ("torch==" in lines) == (model["kind"] != "markov_chain")
