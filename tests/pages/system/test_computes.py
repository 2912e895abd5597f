"""System, Train and Data: where runs compute."""

import json

import pytest

import engine
from engine.compute import Compute, save
from tests.pages.reading import Visit
from tests.workspace import Workspace

CLUSTER = Compute(name="eight <b>hosts</b>", master="spark://host:7077", executors=8, cores=16, memory_gb=64)


def test_a_compute_is_kept_changed_and_deleted_on_the_page(own: Workspace, visit: Visit) -> None:
    at = visit("system")
    at.text_area[0].set_value("{").run()
    at.button("system.compute.keep").click().run()
    assert at.error[0].value and not engine.compute.list_computes()
    at.text_area[0].set_value(json.dumps({"name": "one", "master": "mesos://x"})).run()
    at.button("system.compute.keep").click().run()
    assert "is no Spark master" in at.error[0].value.replace("\\", "")
    at.text_area[0].set_value(CLUSTER.model_dump_json(exclude_defaults=True)).run()
    at.button("system.compute.keep").click().run()
    assert engine.compute.list_computes() == [CLUSTER]
    at.selectbox("system.compute.from").set_value(CLUSTER.name).run()
    at.button("system.compute.delete").click().run()
    assert not engine.compute.list_computes() and not at.exception


def test_train_and_data_offer_what_is_kept_and_judge_by_it(own: Workspace, visit: Visit) -> None:
    assert not [one for one in visit("train", dataset=own.films).selectbox if one.label == "Where it computes"]
    save(CLUSTER)
    at = visit("train", dataset=own.films)
    assert "turn local_mode off" not in _said(at)
    (choice,) = [one for one in at.selectbox if one.label == "Where it computes"]
    choice.set_value(CLUSTER.name).run()
    assert at.query_params["compute"] in (CLUSTER.name, [CLUSTER.name])
    assert "turn local_mode off" in _said(at)
    assert [one for one in visit("data", view="new", source="sample").selectbox if one.label == "Where it computes"]


def test_the_runs_of_a_learning_curve_compute_where_it_is_said(own: Workspace, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    save(CLUSTER)
    asked: list[Compute] = []

    def submit(*_: object, **__: object) -> str:
        asked.append(engine.compute.current())
        raise ValueError("It is enough to know where.")

    monkeypatch.setattr("engine.runs.submit", submit)
    at = visit("compare", runs=own.ids("ease10", "item_knn"), growth_compute=CLUSTER.name)
    at.button("compare.growth.train.launch").click().run()
    assert "It is enough to know where" in at.error[0].value
    assert asked == [CLUSTER]


def _said(at) -> str:
    return " ".join(one.value for one in (*at.warning, *at.error)).replace("\\", "")
