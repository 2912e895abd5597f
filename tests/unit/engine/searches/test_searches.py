"""Searches as they are read back, and the importance of a setting that alone decides."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import runs, searches
from engine.settings import settings
from tests.records import DATASET, run
from workers.search import trial_folder

DLRM = {"dataset": DATASET, "model": {"kind": "dlrm"}, "search": {"trials": 30, "space": {
    "train.table_learning_rate": {"low": 0.001, "high": 1, "log": True}, "model.over_layers": {"choices": [[8], [16, 8]]},
    "model.dropout": {"low": 0, "high": 0.5},
}}}  # fmt: skip


@pytest.fixture
def searched(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write the trials of a run, which need no store; returns its id."""

    def write(run_id: str, trials: list[dict[str, Any]], **spec: Any) -> str:
        found = run(run_id, "dlrm", spec=DLRM | spec)
        monkeypatch.setattr(runs, "get_run", lambda asked: found)
        for number, one in enumerate(trials):
            folder = trial_folder(settings().runs / run_id, number)
            folder.mkdir(parents=True)
            (folder / "trial.json").write_text(json.dumps({"number": number, "state": "done", "facts": {}} | one))
        return run_id

    return write


def one(rate: float, dropout: float, layers: list[int], value: float | None) -> dict[str, Any]:
    tried = {"train.table_learning_rate": rate, "model.over_layers": layers, "model.dropout": dropout}
    return {"settings": tried, "value": value, "state": "failed" if value is None else "done"}


def decided_by_rate(many: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rates, drops = 10 ** rng.uniform(-3, 0, many), rng.uniform(0, 0.5, many)
    return [one(r, d, [8] if d < 0.25 else [16, 8], 1 - abs(np.log10(r) + 1.5)) for r, d in zip(rates, drops, strict=True)]


def test_the_setting_that_decides_is_the_most_important(searched: Any) -> None:
    shares = searches.importance(searched("a" * 32, decided_by_rate(25, seed=1)))
    assert {share.setting for share in shares} == set(DLRM["search"]["space"])  # type: ignore[index]
    assert shares[0].setting == "train.table_learning_rate" and shares[0].share > 0.8
    assert sum(share.share for share in shares) == pytest.approx(1)


def test_too_few_trials_with_values_or_equal_ones_have_no_importance(searched: Any) -> None:
    failed = [one(0.1, 0.1, [8], None)] * 5
    assert searches.importance(searched("b" * 32, [*decided_by_rate(7, seed=1), *failed])) == ()
    assert searches.importance(searched("c" * 32, [one(0.1 + at / 100, 0.1, [8], 0.5) for at in range(9)])) == ()


def test_a_search_is_read_with_its_best_and_the_metric_that_chooses(searched: Any) -> None:
    learned = {"facts": {"learned": {"metric": "auc"}, "valid": {"auc": 0.7, "ndcg_at_10": 0.1}, "seconds": 4.0}}
    trials = [one(0.1, 0.1, [8], None), one(0.2, 0.1, [8], 0.7) | learned, one(0.3, 0.1, [8], 0.7) | learned]
    found = searches.of_run(searched("d" * 32, trials))
    assert found and (found.of, found.metric, len(found.trials), found.best and found.best.number) == (30, "auc", 3, 2)
    assert found.trials[1].seconds == 4.0


def test_a_run_that_searches_nothing_has_no_search(searched: Any) -> None:
    assert searches.of_run(searched("e" * 32, [], search=None)) is None
    assert searches.importance("e" * 32) == ()
