"""The scored test rows that every run leaves: two runs' files stand row by row beside each other, however they were read."""

import numpy as np
import pandas as pd
import pytest

from workers.artifacts import spread
from workers.evaluation import scored_rows

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def rows(count: int, users: int = 50, items: int = 40) -> Rows:
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, users, count), rng.integers(0, items, count)
    return user, item, rng.integers(0, 2, count).astype(np.float32), (user > 0) & (item > 0)


def test_rows_are_sorted_and_typed_and_keep_what_belongs_together() -> None:
    user, item, label, known = rows(500)
    score = (1000 * user + item + label / 2).astype(np.float64)  # says which row it is of
    found = scored_rows(user, item, label, known, score)
    assert found.dtypes.astype(str).to_dict() == {
        "user": "int32", "item": "int32", "label": "float32", "known": "bool", "score": "float32",
    }  # fmt: skip
    assert len(found) == 500
    ids = found[["user", "item", "label"]]
    pd.testing.assert_frame_equal(ids, ids.sort_values(["user", "item", "label"], ignore_index=True))
    np.testing.assert_array_equal(found["score"], 1000 * found["user"] + found["item"] + found["label"] / 2)
    np.testing.assert_array_equal(found["known"], (found["user"] > 0) & (found["item"] > 0))


@pytest.mark.parametrize("most", [1, 100, 499])
def test_of_many_rows_every_run_keeps_the_same(most: int) -> None:
    """The second run read the rows in another order, and scored them otherwise."""
    user, item, label, known = rows(500, users=8, items=8)
    other = np.random.default_rng(1).permutation(500)
    first = scored_rows(user, item, label, known, np.arange(500.0), most=most)
    second = scored_rows(user[other], item[other], label[other], known[other], -np.arange(500.0), most=most)
    assert len(first) == most
    ids = ["user", "item", "label", "known"]
    pd.testing.assert_frame_equal(first[ids], second[ids])
    fewer = scored_rows(user, item, label, known, np.arange(500.0), most=most // 2)
    assert fewer["score"].isin(first["score"]).all()


def test_what_is_kept_is_a_fair_sample_also_of_rows_without_user_and_item() -> None:
    user, item, label, known = rows(20_000)
    kept = scored_rows(user, item, label, known, np.zeros(20_000), most=5000)
    share = kept.groupby("user").size() / pd.Series(user).value_counts().sort_index()
    assert abs(share.mean() - 0.25) < 0.01 and share.between(0.15, 0.35).all()
    none = np.zeros(20_000, np.int32)
    kept = scored_rows(none, none, label, known, np.arange(20_000.0), most=5000)
    assert len(kept) == 5000
    assert abs(kept["label"].mean() - label.mean()) < 0.02
    ones = kept.loc[kept["label"] == 1, "score"]
    assert ones.is_monotonic_increasing  # rows alike keep the order of the dataset


def test_the_hash_is_that_of_splitmix64() -> None:
    """The first outputs of the reference generator, whose state 0 grows by the constant that the hash adds."""
    state = np.array([0, 0x9E3779B97F4A7C15], np.uint64)
    assert [hex(value) for value in spread(state)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]
    assert len(np.unique(spread(np.arange(100_000, dtype=np.uint64)))) == 100_000


def test_no_rows_are_no_trouble() -> None:
    assert scored_rows(*(np.zeros(0),) * 5).empty


def test_outputs_are_kept_beside_their_rows_and_count_in_what_is_kept_at_most() -> None:
    rng = np.random.default_rng(0)
    users, labels, logits = rng.integers(1, 30, 300), rng.integers(0, 2, 300), rng.normal(size=(300, 3))
    items = np.arange(300)  # tells rows apart
    outputs = {"logits": logits, "target": labels * 2.0}
    every = scored_rows(users, items, labels, labels > 0, logits[:, 0], outputs)
    assert np.array(every["logits"].tolist()) == pytest.approx(logits[every["item"]], abs=1e-6)
    assert every["target"].tolist() == (2 * every["label"]).tolist()
    assert len(scored_rows(users, items, labels, labels > 0, logits[:, 0], outputs, most=500)) == 100  # a score and four outputs a row
