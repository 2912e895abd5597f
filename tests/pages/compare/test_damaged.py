"""Results that were edited or cut: named in a sentence on every page and by the command line, while the other runs still compare."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import engine
from tests.commands import asked
from tests.pages.reading import Says, Visit, plainly
from tests.workspace import Workspace
from workers.artifacts import DONE, MANIFEST, PER_USER, RESULTS, SCORED, TOP_K, sealed, write_json

SAYS = "differs from what the run wrote"


def edit(path: Path) -> None:
    """Give a table values that it was not written with: of a column of numbers, all of them 1."""
    frame = pd.read_parquet(path)
    column = next(name for name in frame if frame[name].dtype.kind == "f") if path.name != TOP_K else "user_id"
    frame[column] = 1.0 if path.name != TOP_K else frame[column].to_numpy()[::-1]
    frame.to_parquet(path, index=False)


@pytest.mark.fault("F38")
@pytest.mark.parametrize("name", [PER_USER, TOP_K, SCORED])
def test_an_edited_result_wins_nothing_and_the_others_still_compare(own: Workspace, name: str) -> None:
    edit(own.path("ease10") / RESULTS / name)
    found = asked("compare", own.runs["ease10"], own.runs["ease"], own.runs["ials"])
    assert [one["run_id"] for one in found["contenders"] if one["run_id"]] == [own.runs["ease"], own.runs["ials"]]
    ((title, reason),) = found["apart"]
    assert title == own.run("ease10").title
    assert f"{RESULTS}/{name} of run {own.runs['ease10']} {SAYS}" in reason
    refused = asked("compare", own.runs["ease10"], fails=True)
    assert SAYS in refused["error"] and "restore it from a backup" in refused["error"]


@pytest.mark.fault("F38")
def test_every_page_says_which_run_was_changed(own: Workspace, visit: Visit, says: Says) -> None:
    path = own.path("ease10") / DONE
    path.write_text(path.read_text()[:200])
    edit(own.path("ials") / RESULTS / PER_USER)
    compare = plainly(says(visit("compare", runs=own.ids("ease10", "ease", "ials", "item_knn"))))
    assert "done.json is cut or no JSON" in compare and own.runs["ease10"] in compare
    assert f"{PER_USER} of run {own.runs['ials']} {SAYS}".replace("_", "") in compare.replace("_", "")
    assert "NDCG@10" in compare, "the others still compare"
    alone = plainly(says(visit("compare", runs=own.ids("ease10"))))
    assert "Nothing to compare" in alone and "done.json is cut" in alone
    assert "done.json is cut" in plainly(says(visit("runs", run=own.runs["ease10"])))
    recommend = plainly(says(visit("recommend", runs=own.ids("ials", "ease"))))
    assert "left out" in recommend and SAYS in recommend


def test_a_damaged_run_does_not_keep_others_from_being_judged_by_their_seeds(own: Workspace) -> None:
    """What is not compared is read too: repeats of the dataset say what seeds do."""
    (own.path("seed2") / DONE).write_text("{")
    comparison = engine.compare.compare([own.runs["ease"], own.runs["ials"]])
    assert comparison.apart == []
    assert len(next(one.metrics for one in comparison.repeats if one.model == "two_tower")) == 2


def test_outputs_and_predictions_that_were_changed_are_not_drawn(own: Workspace, visit: Visit, says: Says) -> None:
    path = own.path("dlrm") / RESULTS / "outputs.json"
    write_json(path, json.loads(path.read_text()) | {"output": "regression"})
    shown = plainly(says(visit("runs", run=own.runs["dlrm"])))
    assert "outputs.json of run" in shown and SAYS in shown


@pytest.mark.fault("F38")
def test_an_edited_manifest_is_refused_and_names_its_dataset(own: Workspace, visit: Visit, says: Says) -> None:
    path = own.folder / "datasets" / own.films / MANIFEST
    record = json.loads(path.read_text())
    write_json(path, sealed(record))
    assert engine.datasets.get_dataset(own.films).rows > 0
    record = json.loads(path.read_text())
    record["counts"]["interactions"]["train"] += 1
    write_json(path, record)
    with pytest.raises(LookupError, match=rf"manifest of dataset {own.films} .*changed after it was written.*prepare it again"):
        engine.datasets.get_dataset(own.films)
    assert own.films not in [one.id for one in engine.datasets.list_datasets()]
    says(visit("data"))
    assert np.isfinite(engine.compare.compare([own.runs["ease"]]).table["value"]).any()
