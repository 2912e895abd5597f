"""Commands that find and recommend, on a workspace with a prepared dataset and trained runs."""

import json
from typing import Any

import pytest

import engine
from engine.cli import main
from tests.workspace import Workspace


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], shared: Workspace) -> Any:
    def ask(*words: str) -> tuple[dict[str, Any], str]:
        capsys.readouterr()
        main([*words, "--json"])
        out = capsys.readouterr().out
        return json.loads(out.splitlines()[-1]), out

    return ask


def test_users_and_items_are_found(said: Any, shared: Workspace) -> None:
    dataset = shared.run("two_tower").dataset or ""
    answer, printed = said("search", "items", "--dataset", dataset, "--limit", "3")
    assert answer["dataset"] == dataset and len(answer["items"]) == 3
    title = answer["items"][0]["title"]
    assert title in printed
    again, _ = said("search", "ITEMS", *title.split(), "--dataset", dataset)
    assert again["items"][0]["item_id"] == answer["items"][0]["item_id"]
    users, printed = said("search", "USERS", "--dataset", dataset)
    assert users["users"] and "likes in train" in printed
    none, printed = said("search", "users", "nobody at all", "--dataset", dataset)
    assert none["users"] == [] and "has no user like 'nobody at all'" in printed


def test_somebody_new_is_recommended_to_by_titles(said: Any, shared: Workspace) -> None:
    run = shared.ids("two_tower")
    dataset = engine.runs.get_run(run).dataset or ""
    some = engine.recommend.search_items(dataset, "", 2)
    answer, printed = said("recommend", run, "--k", "5", "--like", some["title"].iloc[0], some["item_id"].iloc[1])
    assert said("recommend", run, "--k", "5", "--like", some["title"].iloc[0], "--like", some["item_id"].iloc[1])[0] == answer
    items = answer["lists"][0]["items"]
    assert len(items) == 5 and not {one["item_id"] for one in items} & set(some["item_id"])
    assert f"likes {some['title'].iloc[0]}" in printed
    expected = engine.recommend.open_model(run).recommend_new(some["item_id"].tolist(), 5)
    assert [one["item_id"] for one in items] == expected["item_id"].tolist()
    with pytest.raises(SystemExit, match=r"No item of .* is called 'no such thing'; `recbench search items TEXT`"):
        main(["recommend", run, "--like", "no such thing"])
    with pytest.raises(SystemExit):
        main(["recommend", run, "--like", "x", "--user", "y"])
