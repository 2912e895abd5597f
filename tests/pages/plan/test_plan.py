"""The Plan page: what a run would take, with counts and machines of one's own."""

import pytest
from streamlit.testing.v1 import AppTest

from engine.plan import make_plan, plan_spec
from tests.pages.reading import Says, Visit, foreign_markup, labelled, links, plainly
from tests.workspace import Workspace
from ui.plan import figures
from ui.shared import words
from ui.train.before import PLAN


def tiles(at: AppTest) -> dict[str, str]:
    return {metric.label: str(metric.value) for metric in at.metric}


def test_the_newest_run_is_planned_as_it_is_and_then_with_what_is_typed(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("plan", dataset=shared.films, of=shared.runs["two_tower"])
    assert "A plan, not a measurement" in says(at)
    assert "Fits on 8 GPUs" in says(at)
    assert tiles(at)["Fewest devices"] == "1"
    at.text_input(f"plan.count.{shared.films}.users").set_value("300M").run()
    at.text_input(f"plan.count.{shared.films}.items").set_value("10M").run()
    labelled(at.number_input, "Hosts").set_value(8).run()
    labelled(at.number_input, "Price").set_value(30.0).run()
    assert not at.exception
    said = plainly(says(at))
    assert "Fits on 64 GPUs" in said and "10,000,001 × 8" in said
    assert tiles(at)["Price"].startswith("≥") and tiles(at)["Training"].startswith("≥")
    assert "as measured by Two-tower" in said and "says little of a GPU" in said
    assert (at.query_params["users"], at.query_params["hosts"]) == ("300M", "8")
    command = next(block.value for block in at.code if block.value.startswith("recbench plan"))
    assert command.startswith("recbench plan two_tower.json --users 300000000 --items 10000000 --hosts 8 --price 30 --measured")


def test_an_address_holds_a_plan(shared: Workspace, visit: Visit, says: Says) -> None:
    query = {"users": "300M", "items": "10M", "hosts": "1", "devices": "2", "memory_gb": "16", "device": "cuda", "epochs": "1"}
    at = visit("plan", dataset=shared.films, of="dlrm", **query)
    assert "The tables and their optimizer take 2" in plainly(says(at))
    assert tiles(at)["Fullest device"] == words.DASH and int(tiles(at)["Fewest devices"].replace(",", "")) > 2


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"users": "-5"}, "users is '-5'"),
        ({"items": "many"}, "items is 'many'"),
        ({"devices": "0"}, "devices is '0'"),
        ({"hosts": "1024"}, "8,192 ranks"),
    ],
)
def test_bad_input_is_a_sentence(shared: Workspace, visit: Visit, says: Says, query: dict[str, str], said: str) -> None:
    at = visit("plan", dataset=shared.films, of="two_tower", **query)
    assert said in plainly(says(at))
    assert not foreign_markup(at)


def test_a_model_that_a_dataset_refuses_is_named_with_the_reason(shared: Workspace, visit: Visit, says: Says) -> None:
    assert "has no user and no item" in plainly(says(visit("plan", dataset=shared.clicks, of="two_tower")))
    assert "There is no run or model 'nobody'" in plainly(says(visit("plan", dataset=shared.films, of="nobody")))


def test_a_setting_of_the_model_changes_the_tables(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("plan", dataset=shared.films, of="dlrm")
    labelled(at.number_input, "Embedding dim").set_value(32).run()
    assert "× 32" in plainly(says(at)) and not at.exception
    assert "It had embedding_dim 8" in plainly(says(at))  # the measured run


def test_a_dataset_without_users_and_items_is_planned(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("plan", dataset=shared.clicks)
    assert [box.label for box in at.text_input if box.key.endswith("users")] == []
    assert "Fits on 8 GPUs" in says(at)


def test_the_picture_has_all_bytes_and_lookups_of_the_plan(shared: Workspace) -> None:
    spec = shared.run("two_tower").training
    plan = make_plan(plan_spec(spec, {"counts": {"items": 10_000_000}, "fleet": {"hosts": 2, "devices": 4, "memory_gb": 1}}))
    assert plan.tables
    for amount, whole in (
        ("bytes", sum(one.table_bytes + one.state_bytes for one in plan.ranks)),
        ("lookups", sum(one.lookups for one in plan.ranks)),
    ):
        drawn = figures.placement(plan, amount)  # type: ignore[arg-type]
        heat = drawn.data[0]
        assert sum(cell for row in heat.z for cell in row if cell) == pytest.approx(whole)
        assert [len(row) for row in heat.z] == [8] * len(plan.tables)
        assert len(drawn.layout.shapes) == 1  # between the two hosts
    bars = [trace for trace in figures.placement(plan, "bytes").data if trace.type == "bar"]
    assert sum(sum(trace.y) for trace in bars) * 1e6 == pytest.approx(sum(one.bytes for one in plan.ranks))
    assert "room for tables" in [trace.name for trace in figures.placement(plan, "bytes").data]


def test_the_train_page_leads_to_the_plan_of_a_network_alone(shared: Workspace, visit: Visit) -> None:
    assert PLAN in links(visit("train", dataset=shared.films, models="dlrm"))
    assert PLAN not in links(visit("train", dataset=shared.films, models="ease"))


def test_a_run_that_searched_is_planned_with_the_settings_that_it_chose(own: Workspace, visit: Visit, says: Says) -> None:
    own.respecify("dlrm", search={"trials": 3})
    own.change(own.path("dlrm") / "done.json", chosen={"model.embedding_dim": 24})
    assert "× 24" in plainly(says(visit("plan", dataset=own.films, of=own.runs["dlrm"])))
