"""What `recbench compare` says beside its table."""

import json
from datetime import UTC, datetime

import pandas as pd
import pytest

import engine
from engine.cli import main
from tests.records import DATASET, run


def test_trashed_runs_are_named_on_stderr_and_compared_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {run_id: run(run_id) for run_id in ("a", "b")}
    known["b"] = known["b"].model_copy(update={"trashed_at": datetime(2026, 11, 1, tzinfo=UTC)})
    table = pd.DataFrame({"metric": ["auc"], "contender": ["A"], "value": [0.7], "low": [0.6], "high": [0.8], "best": [False]})
    contenders = [engine.compare.Contender(letter="A", run_id="a", name="A", model="m", color_index=0)]
    found = engine.compare.Comparison(
        contenders=contenders, dataset=DATASET, apart=[], table=table, curves=table, differences=table, costs=table, users=1
    )
    asked = []
    monkeypatch.setattr(engine.runs, "get_run", known.__getitem__)
    monkeypatch.setattr(
        engine.compare, "compare", lambda run_ids, baseline, k, threshold, target: asked.append((list(run_ids), k, threshold)) or found
    )
    main(["compare", "a", "b", "--k", "7", "--matters", "5", "--json"])
    told = capsys.readouterr()
    assert asked == [(["a", "b"], 7, 0.05)]
    assert "In the trash, and compared all the same:" in told.err and "(b)" in told.err and "(a)" not in told.err
    assert json.loads(told.out.splitlines()[-1])["dataset"] == DATASET
    main(["compare", "a", "a"])
    assert "In the trash" not in capsys.readouterr().err
