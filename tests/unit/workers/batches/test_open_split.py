"""A split is read through StreamingDataset, whose private parts are only changed where they are as expected."""

import logging
from pathlib import Path

import pytest
from streaming import StreamingDataset
from streaming.base.shared import prefix

from tests import tiny
from workers.batches import batches, open_split


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    tiny.write(tiny.groups(), tmp_path / "dataset")
    return tmp_path / "dataset"


def rows_of(stream: StreamingDataset) -> int:
    return sum(len(block["label"]) for block in stream)


def test_names_are_numbered_from_one_number_and_a_shard_is_prepared_once(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "_each_prefix_int", prefix._each_prefix_int)  # put back behind the test
    calls: list[int] = []
    stock = StreamingDataset.prepare_shard

    def prepare_shard(self: StreamingDataset, shard_id: int, blocking: bool = True) -> None:
        calls.append(shard_id)
        stock(self, shard_id, blocking)

    monkeypatch.setattr(StreamingDataset, "prepare_shard", prepare_shard)
    stream = open_split(dataset, "train")
    assert next(prefix._each_prefix_int()) == next(prefix._each_prefix_int())  # every stream of a run counts from the same number
    rows = (tiny.groups()["split"] == "train").sum()
    assert rows_of(stream) == rows_of(stream) == rows
    assert sorted(calls) == sorted(set(calls))


def test_another_release_of_streaming_is_left_as_it_is(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stock = StreamingDataset.prepare_shard

    def prepare_shard(self: StreamingDataset, shard_id: int, blocking: bool = True, retries: int = 0) -> None:
        stock(self, shard_id, blocking)

    monkeypatch.setattr(StreamingDataset, "prepare_shard", prepare_shard)
    with caplog.at_level(logging.INFO):
        stream = open_split(dataset, "train")
    assert "prepare_shard" not in vars(stream)
    assert rows_of(stream) == (tiny.groups()["split"] == "train").sum()
    monkeypatch.delattr(prefix, "_each_prefix_int")
    batches._number_names_from(7)
    assert not hasattr(prefix, "_each_prefix_int")
    messages = [record.getMessage() for record in caplog.records if record.name == batches.__name__]
    assert len(messages) == 2
    assert "prepare_shard takes other arguments" in messages[0]
    assert "do not start two runs at the same moment" in messages[1]
