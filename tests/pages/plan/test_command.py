"""recbench plan: what a run would take elsewhere, as a person types it."""

from tests.commands import asked
from tests.workspace import Workspace


def test_a_finished_run_is_planned_with_other_counts_and_settings(shared: Workspace) -> None:
    run = shared.runs["two_tower"]
    counts = ("--users", "300M", "--items", "10M", "--interactions", "10x")
    changed = ("--set", "model.embedding_dim=128", "model.user_id=true")
    answer = asked("plan", run, *counts, *changed, "--hosts", "8", "--price", "30")
    plan = answer["plan"]
    tables = {table["name"]: table for table in plan["tables"]}
    assert (tables["user_id"]["rows"], tables["user_id"]["width"]) == (300_000_001, 128)
    assert tables["history"]["rows"] == 10_000_001
    assert len(plan["ranks"]) == 64 and "Fits on 64 GPUs" in answer["verdict"]
    done = shared.run("two_tower")
    each = done.resources["rows_per_s"]
    hours = plan["cost"]["rows"] * done.resources["epochs"] / (each * 64) / 3600
    assert abs(plan["cost"]["hours"] - hours) < 1e-9 * hours + 1e-12
    assert abs(plan["cost"]["money"] - hours * 8 * 30) < 1e-6
    assert plan["quality"]["run_id"] == run
    assert plan["quality"]["metrics"]["ndcg_at_10"] == done.metrics["ndcg_at_10"]


def test_what_does_not_fit_ends_with_1_and_what_cannot_be_planned_with_a_sentence(shared: Workspace) -> None:
    run = shared.runs["dlrm"]
    small = asked("plan", run, "--memory", "0.0001", fails=True)
    assert "nothing left" in small["verdict"]
    assert "devices is 0" in asked("plan", run, "--devices", "0", fails=True)["error"]
    assert "users is '-5'" in asked("plan", run, "--users=-5", fails=True)["error"]
    assert "no 'colours' to count" in asked("plan", run, "--rows", "colours=3", fails=True)["error"]
    assert "embedding_dim is 3" in asked("plan", run, "--set", "model.embedding_dim=3", fails=True)["error"]
    assert "write model or train" in asked("plan", run, "--set", "epochs=3", fails=True)["error"]
    assert "fitted in one process" in asked("plan", shared.runs["ease"], fails=True)["error"]
    assert "absent.json" in asked("plan", "absent.json", fails=True)["error"]
