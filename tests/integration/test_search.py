"""A search by real ranks: one setting after another in the same processes, the best measured once, and killed ranks that go on."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import ranks, tiny
from workers.artifacts import checkpoint
from workers.run import RunSpec, read_journal
from workers.search import Study, space_of, usual_space
from workers.specs import SearchSpec

pytestmark = pytest.mark.slow
EPOCHS = {"epochs": 4, "batch_size": 256, "patience": None}
SPACE = {
    "train.table_learning_rate": {"low": 0.0001, "high": 0.3, "log": True},
    "model.embedding_dim": {"choices": [8, 16]},
}
SPEC = {
    "model": {"kind": "two_tower", "embedding_dim": 8},
    "train": {**EPOCHS, "table_learning_rate": 0.0001},
    "search": {"trials": 7, "space": SPACE},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "dataset"
    tiny.write(tiny.groups(users=120, items=60), folder)
    return folder


@pytest.fixture(scope="module")
def searched(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of a search that nobody disturbs, on two ranks, and its done.json."""
    run = tmp_path_factory.mktemp("searched") / "run"
    done = ranks.train(run, dataset, SPEC, processes=2)
    assert "metrics" in done, done
    return run, done


def tried(run: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((run / "results" / "tuning.json").read_text())["tried"]
    return rows


def test_the_first_trial_is_the_form_and_the_best_on_validation_is_measured(searched: tuple[Path, dict[str, Any]]) -> None:
    run, done = searched
    rows = tried(run)
    assert len(rows) == done["trials"] == 7
    assert rows[0]["settings"] == {"train.table_learning_rate": pytest.approx(0.0001), "model.embedding_dim": 8}
    assert len({json.dumps(row["settings"]) for row in rows}) == 7
    best = max((row for row in rows if row["value"] is not None), key=lambda row: row["value"])
    assert done["chosen"] == best["settings"] and best["settings"]["train.table_learning_rate"] > 0.001
    assert best["value"] == pytest.approx(best["valid"]["ndcg_at_10"])
    assert done["metrics"]["recall_at_10"] > 0.9 > 0.5 > rows[0]["valid"]["recall_at_10"]  # a rate of 1e-4 learns nothing in four epochs
    facts = checkpoint.facts(checkpoint.best(run / "checkpoint"))
    assert facts["spec"]["model"]["embedding_dim"] == best["settings"]["model.embedding_dim"]
    assert facts["spec"]["search"] is None
    assert not list((run / "trials").glob("*/checkpoint")), "only the weights of the best are kept"


def test_its_cost_is_that_of_all_trials_and_its_curve_has_a_point_a_trial(searched: tuple[Path, dict[str, Any]]) -> None:
    run, done = searched
    rows = tried(run)
    assert done["training_s"] == pytest.approx(sum(row["training_s"] for row in rows))
    assert done["rows"] == sum(row["rows"] for row in rows)
    assert done["search_s"] >= done["training_s"] > done["fit_s"] > 0
    points = [record for record in read_journal(run / "journal.jsonl")[0] if "values" in record]
    assert [record["step"] for record in points] == [row + 1 for row in range(7) if rows[row]["value"] is not None]
    assert read_journal(run / "trials" / "000" / "journal.jsonl")[0]


def test_the_same_seed_tries_the_same_and_ends_alike_also_when_killed_in_between(
    searched: tuple[Path, dict[str, Any]], dataset: Path, tmp_path: Path
) -> None:
    unbroken, done = searched
    run = tmp_path / "run"
    ranks.prepare(run, SPEC | {"train": SPEC["train"] | {"checkpoint_steps": 2}}, processes=2)
    started, end = ranks.attempt(run, dataset, 2), time.monotonic() + 120
    while not list((run / "trials" / "003" / "checkpoint").glob("step-*")) and time.monotonic() < end:
        time.sleep(0.005)
    for one in started:
        one.kill()
    ranks.finish(started, 20)
    assert not (run / "done.json").exists()
    ranks.finish(ranks.attempt(run, dataset, 2), 120)
    again = json.loads((run / "done.json").read_text())
    assert [row["settings"] for row in tried(run)] == [row["settings"] for row in tried(unbroken)]
    for mine, theirs in zip(tried(run), tried(unbroken), strict=True):
        assert mine["value"] == pytest.approx(theirs["value"], abs=1e-6)
    assert again["metrics"]["ndcg_at_10"] == pytest.approx(done["metrics"]["ndcg_at_10"], abs=1e-6)


def test_a_trial_that_diverges_is_a_failed_trial_and_the_search_goes_on(dataset: Path, tmp_path: Path) -> None:
    space = {"train.dense_learning_rate": {"choices": [0.01, 10.0]}, "train.table_learning_rate": {"choices": [0.1, 10.0]}}
    spec = {
        "model": {"kind": "dlrm", "embedding_dim": 8, "over_layers": [16]},
        "train": EPOCHS | {"table_optimizer": "sgd", "epochs": 2},
        "search": {"trials": 6, "sampler": "random", "space": space},
    }
    done = ranks.train(tmp_path / "run", dataset, spec)
    assert "metrics" in done, done
    assert done["trials"] == 6 and np.isfinite(done["metrics"]["auc"])


def test_a_model_that_reads_sequences_is_searched_as_well(dataset: Path, tmp_path: Path) -> None:
    space = {"model.length": {"choices": [10, 20]}, "model.dropout": {"low": 0, "high": 0.5}}
    spec = {"model": {"kind": "sasrec", "embedding_dim": 8, "blocks": 1}, "train": {"epochs": 2, "batch_size": 128}}
    done = ranks.train(tmp_path / "run", dataset, spec | {"search": {"trials": 3, "space": space}}, processes=2)
    assert "metrics" in done, done
    assert done["trials"] == 3 and {row["state"] for row in tried(tmp_path / "run")} <= {"done", "pruned"}


def test_measuring_it_as_it_is_tries_no_more(dataset: Path, tmp_path: Path) -> None:
    from workers.run import attempts

    run = tmp_path / "run"
    ranks.prepare(run, SPEC | {"search": {"trials": 500, "space": SPACE}})
    started, end = ranks.attempt(run, dataset), time.monotonic() + 120
    while not (run / "trials" / "002").exists() and time.monotonic() < end:
        time.sleep(0.005)
    (run / "cancel").write_text("keep")
    ranks.finish(started, 60)
    stopped = json.loads((run / "stopped.json").read_text())
    assert stopped["attempt"] == 1 and not (run / "done.json").exists()
    (run / "cancel").unlink()
    attempts.begin(run, 1, concludes=True)
    ranks.finish([ranks.start(_train, str(run), str(dataset), 2, environment=ranks.places(1)[0])], 60)
    done = json.loads((run / "done.json").read_text())
    assert 2 <= done["trials"] < 10


def _train(run: str, dataset: str, number: int) -> None:
    from workers.training.entry import train_rank

    train_rank(run, dataset, number)


def test_the_usual_space_leaves_out_what_does_nothing() -> None:
    plain = RunSpec.model_validate({"dataset": "d", "model": {"kind": "two_tower"}})
    assert "train.dense_learning_rate" not in usual_space(plain.model)
    assert {"train.table_learning_rate", "model.embedding_dim", "model.history_dropout"} <= usual_space(plain.model).keys()
    own = RunSpec.model_validate({"dataset": "d", "model": {"kind": "two_tower", "embedding_dim": 48}, "search": {}})
    assert 48 in space_of(own)["model.embedding_dim"].choices  # type: ignore[union-attr]


def test_minutes_end_a_search(tmp_path: Path) -> None:
    space = {"model.l2": SearchSpec.model_validate({"space": {"model.l2": {"low": 1, "high": 9}}}).space["model.l2"]}  # type: ignore[index]
    study = Study(tmp_path, SearchSpec(trials=100, minutes=1e-9), space, {"model.l2": 3.0}, 1)
    first = study.next()
    assert first is not None and first.settings == {"model.l2": 3.0}
    study.end(0, "done", 0.5, {"seconds": 1.0})
    assert study.next() is None
