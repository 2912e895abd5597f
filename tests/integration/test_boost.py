"""Trees as their user meets them: the process that grows them, what it leaves, and what a stop keeps."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import ranks, tiny
from workers.run import attempts

pytestmark = [pytest.mark.slow]
SMALL = {"kind": "lightgbm", "trees": 40, "learning_rate": 0.2, "leaf_rows": 5}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "dataset"
    tiny.write(tiny.groups(users=200, items=80), folder)
    tiny.write_sets(folder)
    return folder


def boost(run: Path, dataset: Path, model: dict[str, Any], attempt: int = 1, **more: Any) -> dict[str, Any]:
    """The process to its end: done.json, or what else it left."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "spec.json").write_text(json.dumps({"dataset": "tiny", "model": model, **more}))
    ranks.finish([ranks.start(_boost, str(run), str(dataset), attempt)], 300)
    left = next(path for path in (run / "done.json", run / "fit.error.json", run / "stopped.json") if path.exists())
    return json.loads(left.read_text())


def _boost_and_keep_phases(run: str, dataset: str, attempt: int) -> None:
    from workers.run import Journal

    progress = Journal.progress

    def kept(self: Journal, phase: str, *args: Any, **more: Any) -> None:
        with (Path(run) / "phases").open("a") as phases:
            phases.write(f"{phase}\n")
        progress(self, phase, *args, **more)

    Journal.progress = kept  # type: ignore[method-assign]
    _boost(run, dataset, attempt)


def _boost(run: str, dataset: str, attempt: int) -> None:
    from workers.training import boost as process

    process.main(run, dataset, attempt)


def test_trees_leave_what_a_network_leaves(dataset: Path, tmp_path: Path) -> None:
    done, results = boost(tmp_path / "run", dataset, SMALL), tmp_path / "run" / "results"
    assert "metrics" in done, done
    assert done["metrics"]["auc"] > 0.95 and 0 < done["metrics"]["log_loss"] < 0.3
    assert done["metrics"]["set_spearman"] > 0.8
    assert 0 < done["trees"] <= 40 and done["parameters"] > done["trees"] and done["checkpoint_bytes"] > 0
    assert 0 < done["fit_s"] < done["training_s"] and done["latency_p50_ms"] > 0
    gains = json.loads((results / "importance.json").read_text())
    assert sum(one["share"] for one in gains) == pytest.approx(1) and "similarity" in gains[0]["feature"]
    ranked = pd.read_parquet(results / "per_user.parquet")
    assert ranked["ndcg_at_10"].mean() == pytest.approx(done["metrics"]["ndcg_at_10"])
    assert json.loads((results / "outputs.json").read_text())["output"] == "binary"
    curve = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines() if "valid_log_loss" in line]
    assert [one["step"] for one in curve] == list(range(1, len(curve) + 1))
    assert not list((tmp_path / "run").glob(".trees-*")), "matrices are deleted"
    again = boost(tmp_path / "again", dataset, SMALL)
    assert again["metrics"] == done["metrics"], "the same seed grows the same trees"


def test_a_trial_that_is_validated_is_not_one_that_takes_no_step(dataset: Path, tmp_path: Path) -> None:
    spec = {"dataset": "tiny", "model": SMALL | {"trees": 5}, "search": {"trials": 2}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    ranks.finish([ranks.start(_boost_and_keep_phases, str(tmp_path), str(dataset), 1)], 300)
    said = [phase for phase, _ in groupby((tmp_path / "phases").read_text().split("\n"))]
    assert said.count("validating") == 2
    assert all(said[at - 1] == "training" for at, phase in enumerate(said) if phase == "validating")


def test_lambdamart_ranks_the_catalogue_and_a_search_keeps_its_best(dataset: Path, tmp_path: Path) -> None:
    choice = SMALL | {"negatives": "uniform", "num_negatives": 10}
    done = boost(tmp_path / "run", dataset, choice, search={"trials": 3})
    assert done["metrics"]["recall_at_10"] > 0.9 and "log_loss" not in done["metrics"]
    assert done["trials"] == 3 and "model.leaves" in done["chosen"]
    tried = json.loads((tmp_path / "run" / "results" / "tuning.json").read_text())["tried"]
    assert len(tried) == 3 and max(one["value"] for one in tried) == pytest.approx(
        next(one["value"] for one in tried if one["settings"] == done["chosen"])
    )


def test_a_stop_that_keeps_leaves_trees_that_can_be_measured(dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "cancel").write_text("keep")
    stopped = boost(run, dataset, SMALL | {"trees": 5000, "patience": None})
    assert stopped["attempt"] == 1 and 0 < stopped["step"] < 5000
    assert not (run / "results").exists()
    (run / "cancel").unlink()
    (run / "stopped.json").unlink()
    attempts.begin(run)
    attempts.begin(run, concludes=True)
    done = boost(run, dataset, SMALL | {"trees": 5000, "patience": None}, attempt=2)
    assert done["trees"] <= stopped["step"] and np.isfinite(done["metrics"]["auc"])
    assert any("was ended" in sentence for sentence in done["alarms"])
