"""A stock `mlflow models serve` gives the lists of the pages, to the last digit, and says what is wrong with a request."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import engine
from tests import prepared, stores, workspace
from tests.served import Served, serving
from workers.artifacts import USERS
from workers.run import RunSpec

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
USERS_ASKED, K, AT_ONCE = 200, 10, 20
MODELS = {
    "ease": ({"kind": "ease", "l2": 10}, {}),
    "two_tower": ({"kind": "two_tower", "embedding_dim": 8}, workspace.LONGER),
    "dlrm": ({"kind": "dlrm", "embedding_dim": 8}, workspace.LONGER),
    "lightgbm": ({"kind": "lightgbm"}, {}),
}


@pytest.fixture(scope="module")
def films(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Runs by kind, on films that 240 users rated."""
    folder = stores.copy(empty_store, tmp_path_factory.mktemp("films") / "workspace")
    with workspace.entered(folder):
        dataset = prepared.prepare(folder, prepared.films_spec(prepared.write_films(folder / "source", users=240, items=60)))
        with workspace.trainer() as train:
            runs = {
                kind: train(RunSpec.model_validate({"dataset": dataset, "model": model, "train": settings}))
                for kind, (model, settings) in MODELS.items()
            }
            runs["funnel"] = train(engine.runs.funnel(runs["two_tower"], runs["dlrm"], candidates=20))
        yield runs


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.mark.parametrize("kind", [*MODELS, "funnel"])
def test_a_server_gives_the_lists_of_the_page(films: dict[str, str], environments: Path, kind: str) -> None:
    made = engine.registry.register(films[kind], "films", alias=kind.replace("_", "-"))
    page = engine.recommend.open_model(films[kind])
    users = pd.read_parquet(engine.datasets.get_dataset(made.dataset).path / USERS)["user_id"].tolist()[:USERS_ASKED]
    assert len(users) == USERS_ASKED
    candidates = page.items["item_id"].tolist()[::3]
    rows = [{"user_id": user} | ({"candidates": candidates} if kind == "dlrm" else {}) for user in users]
    with serving(f"models:/films@{made.aliases[0]}", environments) as served:
        lists = [one for start in range(0, len(rows), AT_ONCE) for one in _answers(served, rows[start : start + AT_ONCE])]
        for user, one in zip(users, lists, strict=True):
            shown = page.recommend(user, K, candidates=candidates if kind == "dlrm" else None)
            assert [item["item_id"] for item in one["items"]] == shown["item_id"].tolist(), user
            assert [np.float32(item["score"]) for item in one["items"]] == shown["score"].tolist(), user
        liked = page.items["title"].iloc[0]
        new = _answers(served, [{"liked": [liked, "no such film"]}])[0]
        assert [one["item_id"] for one in new["items"]] == page.recommend_new([page.items["item_id"].iloc[0]], K)["item_id"].tolist()
        assert new["left_out"] == ["no such film"] and not new["known_user"]
        for row, params, words in (
            ({"candidates": ["i1"]}, {}, "Neither user_id nor liked is given"),
            ({"user_id": "1"}, {"k": 0}, "k"),
            ({"user_id": "1"}, {"k": "many"}, "k"),
            ({"liked": "Alien"}, {}, "liked"),
        ):
            status, error = served.ask([row], **params)
            assert (status, "Traceback" in str(error)) == (400, False) and words in error["message"], error


def _answers(served: Served, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    status, predictions = served.ask(rows, k=K)
    assert status == 200, predictions
    return predictions
