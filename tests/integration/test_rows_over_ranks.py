"""Metrics of many rows, which no rank has all of: the same on any number of ranks as in one process, and those of scikit-learn."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as oracle

from tests import ranks, tiny
from workers.artifacts import PreparedDataset
from workers.evaluation import Rows, estimates, scored_rows
from workers.evaluation.clustered import MEASURED, with_errors
from workers.models import MODELS
from workers.specs import BINARY, Task

pytestmark = pytest.mark.slow
WORLDS = [1, 2, 3]
CLASSES = Task(output="multi_class", classes=("a", "b", "c"), liked=("c",))
ACTIONS = Task(output="actions", classes=("x", "y"), liked=("x",))
TASKS = {"binary": BINARY, "regression": Task(output="regression"), "multi_class": CLASSES, "actions": ACTIONS}


def rows_of(output: str, named: bool) -> Rows:
    """Rows with many equal scores, a user with many rows, and users with one label alone; without `named`, nobody's."""
    rng = np.random.default_rng(7)
    users = np.minimum(rng.geometric(0.02, 6000), 200) * int(named)
    logits = np.round(rng.normal(0, 1, (6000, 3)) + 0.01 * users[:, None], 2)
    labels = (rng.random(6000) < 1 / (1 + np.exp(-logits[:, 0]))).astype(float)
    targets = {
        "binary": labels,
        "regression": logits[:, 0] + rng.normal(0, 1, 6000),
        "multi_class": rng.integers(0, 3, 6000).astype(float),
        "actions": np.column_stack([labels, rng.random(6000) < 0.2]).astype(float),
    }[output]
    width = {"binary": 1, "regression": 1, "multi_class": 3, "actions": 2}[output]
    return Rows(logits[:, 0], labels, users, logits[:, :width], targets, TASKS[output])


def test_metrics_of_rows_that_are_spread_over_ranks_are_those_of_all(tmp_path):
    for world in WORLDS:
        ranks.side_by_side(world, tmp_path, _measure)
        for output, task in TASKS.items():
            for named in (True, False):
                rows = rows_of(output, named)
                whole = with_errors(estimates(rows._replace(users=rows.users if named else np.arange(6000))))
                assert set(whole) > set(MEASURED[task.output]) - {"user_auc"}
                for rank in range(world):
                    seen = json.loads((tmp_path / f"{world}-{rank}-{output}-{named}.json").read_text())
                    assert seen == pytest.approx(whole, rel=1e-9), (world, rank, output, named)
    whole = rows_of("binary", True)
    assert seen_auc(tmp_path) == pytest.approx(oracle.roc_auc_score(whole.labels, whole.scores), abs=1e-12)


def seen_auc(folder: Path) -> float:
    return float(json.loads((folder / "3-0-binary-True.json").read_text())["auc"])


def _measure(rank: int, world: int, folder: Path) -> None:
    from workers.evaluation.clustered import owners
    from workers.evaluation.ranks import AllRanks, by_user

    for output, task in TASKS.items():
        for named in (True, False):
            whole = rows_of(output, named)
            # of three ranks the last begins without a row
            own = np.arange(rank, 6000, min(world, 2)) if rank < 2 else np.arange(0)
            columns = tuple(column[own] for column in (whole.scores, whole.labels, whole.users, whole.logits, whole.targets))
            scores, labels, users, logits, targets = by_user(columns[2], columns)
            over = AllRanks()
            rows = Rows(scores, labels, owners(users, over), logits, targets, task, over)
            values = with_errors(estimates(rows, None if named else [key for key in MEASURED[output] if key != "user_auc"]), over)
            (folder / f"{world}-{rank}-{output}-{named}.json").write_text(json.dumps(values))


def test_places_among_all_ranks_survive_ties_and_what_is_no_number(tmp_path):
    for world in WORLDS:
        ranks.side_by_side(world, tmp_path, _place)


def _place(rank: int, world: int, folder: Path) -> None:
    from workers.evaluation.ranks import AllRanks, lowest

    rng = np.random.default_rng(3)
    for values in (np.zeros(300), rng.normal(size=300), rng.integers(0, 5, 300) * 1.0, np.zeros(0), np.r_[np.inf, -np.inf, -0.0, 0.0]):
        own = np.arange(rank, len(values), world)
        np.testing.assert_array_equal(AllRanks().midranks(values[own]), pd.Series(values).rank().to_numpy()[own])
    broken = np.array([1.0, np.nan, 0.5])
    places = AllRanks().midranks(broken)  # of all ranks, each of which has these three
    assert np.isnan(places[1]) and places[2] < places[0]
    hashes = rng.integers(0, 1 << 63, 1000).astype(np.uint64) * np.uint64(2)
    for count in (0, 1, 400, 1000, 2000):
        kept = lowest(hashes[rank::world], count)
        np.testing.assert_array_equal(kept, np.isin(hashes[rank::world], np.sort(hashes)[:count]))


@pytest.mark.parametrize(("kind", "output"), [("two_tower", "binary"), ("deepfm", "multi_class"), ("sasrec", "binary")])
def test_many_rows_are_measured_as_few_are_and_the_same_are_kept(kind, output, tmp_path):
    dataset = tmp_path / "dataset"
    tiny.write(tiny.with_target(tiny.groups(users=300, items=40), output), dataset, output=output)
    for world in WORLDS:
        ranks.side_by_side(world, tmp_path, partial(_evaluate, kind))
    few = json.loads((tmp_path / "few-1-0.json").read_text())
    rows = pd.read_parquet(tmp_path / "few-1-0.parquet")
    outputs = {} if output == "binary" else {"logits": np.array(rows["logits"].tolist()), "target": rows["targets"].to_numpy()}
    columns = [rows[name].to_numpy() for name in ("users", "items", "labels", "known", "preference")]
    expected = scored_rows(*columns, outputs, most=MOST)
    for world in WORLDS:
        for rank in range(world):
            assert json.loads((tmp_path / f"many-{world}-{rank}.json").read_text()) == pytest.approx(few, rel=1e-4), (world, rank)
            kept = pd.read_parquet(tmp_path / f"many-{world}-{rank}.parquet")
            assert len(kept) < len(rows) and kept["places"].is_monotonic_increasing
            assert kept[["users", "items", "labels"]].equals(rows.loc[kept["places"], ["users", "items", "labels"]].reset_index(drop=True))
            ids = kept.sort_values(["users", "items", "labels"], kind="stable")
            np.testing.assert_array_equal(ids[["users", "items"]], expected[["user", "item"]])
            np.testing.assert_allclose(ids["preference"], expected["score"], atol=1e-5)


MOST = 200  # scores and outputs that are kept


def _evaluate(kind: str, rank: int, world: int, folder: Path) -> None:
    import torch

    from workers.evaluation import kept
    from workers.evaluation.networks import evaluate_network

    dataset = PreparedDataset.open(folder / "dataset")
    torch.manual_seed(0)
    network = MODELS[kind].model_validate({"kind": kind}).build(dataset.schema, dataset.task)
    in_one = kept.ROWS_IN_ONE
    for name, most in (("few", in_one), ("many", 100)):
        kept.ROWS_IN_ONE, kept.SCORED_NUMBERS = most, MOST
        found = evaluate_network(network, dataset, "test", predicts_label=True)
        scored = found.scored
        columns = {column: getattr(scored, column) for column in ("users", "items", "labels", "targets", "known", "places")}
        frame = pd.DataFrame(columns).assign(logits=list(scored.logits), preference=found.preference)
        frame.to_parquet(folder / f"{name}-{world}-{rank}.parquet")
        (folder / f"{name}-{world}-{rank}.json").write_text(json.dumps(found.metrics))
