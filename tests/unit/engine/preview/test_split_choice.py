"""What each split leaves to measure: against a count by hand, and on MovieLens 100K."""

import math
from pathlib import Path

import pandas as pd
import pytest

from engine.datasets import SplitFacts
from engine.datasets.spec import DatasetSpec
from engine.preview import split_choice
from engine.preview.first_rows import preview
from tests.given import given
from workers.evaluation.power import PAIRED_SD, smallest_difference


def facts(ranked: int, users: int = 1000, cold: int = 0) -> SplitFacts:
    return SplitFacts(rows=1, positives=1, users=users, cold_users=cold, users_to_rank=ranked)


def newcomers(folder: Path, users: int = 60) -> DatasetSpec:
    """Users come one after the other, ten rows each: the last ones are in no earlier part of the time."""
    rows = [(f"u{n:02}", f"i{(n + k) % 25}", 5, 10 * n + k) for n in range(users) for k in range(10)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])
    return DatasetSpec(name="g", source=given(folder / "s", table))


def test_each_possible_split_is_counted(tmp_path: Path) -> None:
    seen = preview(newcomers(tmp_path))
    assert set(seen.splits) == {"time", "per_user", "last", "random"}
    by_time, per_user = seen.splits["time"], seen.splits["per_user"]
    assert (by_time.users, by_time.cold_users, by_time.users_to_rank) == (6, 6, 0), "the last tenth of the rows: new users alone"
    assert (per_user.users, per_user.cold_users, per_user.users_to_rank) == (60, 0, 60)
    assert seen.splits["time"] == seen.audit.splits["test"]
    assert seen.splits_of == 1


def test_a_source_without_ids_or_time_offers_what_it_can(tmp_path: Path) -> None:
    table = pd.DataFrame({"user_id": list("abcd") * 25, "item_id": list("vwxyz") * 20, "rating": [1, 5] * 50})
    timeless = DatasetSpec(name="g", source=given(tmp_path / "s", table, reads={"time": None}), split={"kind": "random"})
    assert set(preview(timeless).splits) == {"random"}
    reads = {"user": False, "item": False, "time": None}
    nameless = DatasetSpec(name="g", source=given(tmp_path / "n", table[["rating"]], reads=reads), split={"kind": "random"})
    assert preview(nameless).splits == {}


def test_many_rows_are_estimated_from_some_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = newcomers(tmp_path, users=600)
    monkeypatch.setattr(split_choice, "MOST_ROWS", 2000)
    seen = preview(spec)
    assert seen.splits_of == 3
    assert seen.splits["time"] == seen.audit.splits["test"], "the spec's own split is not estimated"
    assert seen.splits["per_user"].users_to_rank == pytest.approx(600, rel=0.1)


def test_a_thin_split_by_time_gives_way_to_the_last_rows_of_each_user() -> None:
    better = split_choice.better_split
    assert better({"time": facts(52, 166, 97), "per_user": facts(828)}, "time") == "per_user"
    assert better({"time": facts(500, 1000, 600), "per_user": facts(1200)}, "time") == "per_user", "mostly cold"
    assert better({"time": facts(500), "per_user": facts(1200)}, "time") is None, "enough"
    assert better({"time": facts(52), "per_user": facts(60)}, "time") is None, "not better"
    assert better({"time": facts(500), "per_user": facts(900), "random": facts(900)}, "random") == "time"
    assert better({"time": facts(5), "per_user": facts(900), "random": facts(900)}, "random") == "per_user"
    assert better({"random": facts(9)}, "random") is None
    assert better({"time": facts(500), "per_user": facts(9)}, "per_user") is None
    assert better({}, "time") is None


def test_the_smallest_difference_is_that_of_a_paired_test() -> None:
    assert smallest_difference(100, 0.5) == pytest.approx(0.14)
    assert smallest_difference(52) == pytest.approx(2.8 * PAIRED_SD / math.sqrt(52))
    assert math.isnan(smallest_difference(0))


def test_movielens_by_time_is_said_to_leave_few_users(ml100k: Path) -> None:
    seen = preview(DatasetSpec(name="ml", source={"kind": "movielens", "path": str(ml100k)}))  # type: ignore[arg-type]
    by_time, per_user = seen.splits["time"], seen.splits["per_user"]
    assert (by_time.users_to_rank, by_time.users, by_time.cold_users) == (52, 166, 97)
    assert per_user.cold_users == 0 and (per_user.users_to_rank or 0) > 800
    assert split_choice.better_split(seen.splits, "time") == "per_user"
    said = " ".join(finding.text for finding in seen.audit.findings if finding.level == "warn")
    assert "Only 52 of the 166 test users" in said and "about 0.07 in NDCG@10" in said
    assert "97 of 166 test users (58%) are not in train" in said
