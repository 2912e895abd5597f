"""Finding users by a part of their id: the order is that of a plain sort, and text is text."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from engine import datasets
from engine.datasets import read


@pytest.fixture
def users(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    ids = [*{f"{rng.integers(3000)}{rng.choice(['', 'a', 'A', '%', '.*', '_', ' '])}" for _ in range(900)}, "", "é", "a.b"]
    frame = pd.DataFrame(
        {
            "user_id": ids,
            "row": range(1, len(ids) + 1),
            "interactions": rng.integers(1, 6, len(ids)),
            "test_positives": rng.integers(0, 2, len(ids)),
            "f:age": 0.5,
            "job": "x",
        }
    )
    frame.to_parquet(tmp_path / read.USERS, row_group_size=100)
    monkeypatch.setattr(read, "get_dataset", lambda id: SimpleNamespace(path=tmp_path))
    return frame.drop(columns=[name for name in frame if name.startswith(read.FEATURE)])


@pytest.mark.parametrize("held_out", [True, False])
@pytest.mark.parametrize("text", ["", "1", "12", "a", "A", ".*", "%", "É", "nobody", "a.b"])
@pytest.mark.parametrize("limit", [1, 50, 5000])
def test_users_come_in_the_order_of_a_plain_sort(users, text, held_out, limit):
    rows = [row for row in users.to_dict("records") if text.lower() in row["user_id"].lower() and (row["test_positives"] or not held_out)]
    rows.sort(key=lambda row: (row["user_id"] != text, not row["user_id"].startswith(text), -row["interactions"], row["user_id"]))
    found = datasets.search_users("any", text, limit, held_out)
    assert list(found.columns) == list(users.columns)
    assert found.to_dict("records") == rows[:limit]
