"""A share of the users: nested, the same for every reader, and of about the size that is asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from workers.artifacts import PreparedDataset
from workers.batches import blocks_of, count_learned, in_share, of_share, read_likes, users_in_share
from workers.batches.blocks import BLOCK

SHARES = st.floats(0.01, 1)
ROWS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9), st.integers(0, 10**9)), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    folder: Path = tmp_path_factory.mktemp("shares") / "dataset"
    tiny.write(tiny.groups(users=200, items=40), folder)
    return PreparedDataset.open(folder)


def block_of(rows: list[tuple[int, int, int]], users: bool) -> dict[str, np.ndarray]:
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    block = {"item_id": columns[1].astype(np.int32), "timestamp": columns[2], "label": np.ones(len(rows), np.float32)}
    return ({"user_id": columns[0].astype(np.int32)} if users else {}) | block


@settings(derandomize=True, deadline=None)
@given(ROWS, SHARES, SHARES, st.booleans())
def test_a_smaller_share_is_part_of_every_larger_one(rows: list[tuple[int, int, int]], one: float, other: float, users: bool) -> None:
    block, (small, large) = block_of(rows, users), sorted((one, other))
    inside = in_share(block, small)
    assert (inside <= in_share(block, large)).all()
    assert in_share(block, 1.0).all()
    whole = np.arange(len(rows))
    alone = [bool(in_share({name: column[k : k + 1] for name, column in block.items()}, small)[0]) for k in whole]
    assert alone == inside.tolist()  # whatever stands beside a row


@settings(derandomize=True, deadline=None)
@given(ROWS, SHARES)
def test_all_rows_of_a_known_user_are_in_or_out_together(rows: list[tuple[int, int, int]], share: float) -> None:
    block = block_of(rows, True)
    inside = in_share(block, share)
    for user in set(block["user_id"].tolist()) - {0}:
        assert len(set(inside[block["user_id"] == user].tolist())) == 1


def test_a_share_is_as_large_as_it_says() -> None:
    for share in (0.01, 0.1, 0.25, 0.5, 0.9):
        assert abs(users_in_share(100_000, share) / 100_000 - share) < 4 * np.sqrt(share * (1 - share) / 100_000)
    unknown = {"user_id": np.zeros(50_000, np.int32), "item_id": np.arange(50_000, dtype=np.int32)}
    assert abs(in_share(unknown, 0.3).mean() - 0.3) < 0.01


def test_the_matrix_to_fit_is_that_of_the_users_in_the_share(dataset: PreparedDataset) -> None:
    whole = read_likes(dataset)
    kept = np.array([row > 0 and bool(in_share({"user_id": np.array([row])}, 0.3)[0]) for row in range(201)])
    for in_order in (False, True):
        some = read_likes(dataset, in_order, share=0.3)
        by_hand = read_likes(dataset, in_order).matrix.toarray() * kept[:, None]
        assert (some.matrix.toarray() == by_hand).all()
        assert (some.counts == (whole.matrix.toarray() * kept[:, None] > 0).sum(0)).all()
    assert 0 < kept.sum() < 100


def test_what_is_learned_from_is_counted_over_the_parts_of_ranks(dataset: PreparedDataset) -> None:
    rows, liked, by_item = 0, 0, np.zeros(41)
    for block in blocks_of(dataset.folder, "train"):
        kept = of_share(block | {BLOCK: np.array(7)}, 0.3)
        rows, liked = rows + len(kept["label"]), liked + int((kept["label"] > 0).sum())
        by_item += np.bincount(kept["item_id"][kept["label"] > 0], minlength=41)
        assert kept[BLOCK] == 7
        assert in_share(kept, 0.3).all()
        assert kept["history.lengths"].sum() == len(kept["history.values"])
    parts = [count_learned(dataset, 0.3, first, 3).numbers() for first in range(3)]
    found = count_learned(dataset, 0.3)
    assert (sum(parts) == found.numbers()).all()
    assert (found.rows, found.liked) == (rows, liked)
    assert (found.by_item == by_item).all()
    assert found.sequence_likes == read_likes(dataset, True, 0.3).matrix.nnz == liked
    assert found.sequences == users_in_share(200, 0.3)


def test_users_who_like_nothing_are_no_data(dataset: PreparedDataset) -> None:
    with pytest.raises(ValueError, match="user_share is 1e-06, and these users like nothing in train; choose a larger share"):
        read_likes(dataset, share=1e-6)
