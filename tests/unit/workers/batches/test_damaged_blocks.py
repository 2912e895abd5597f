"""Damage to a file of blocks is an error that names the block, whoever reads it, or changes no row: never other rows in silence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from workers.artifacts import DamagedError
from workers.batches import blocks_of
from workers.batches.batches import open_split
from workers.batches.checked import CHECK, read_block, with_check

Blocks = list[dict[str, np.ndarray]]


def by_index(dataset: Path) -> Blocks:
    return list(blocks_of(dataset, "train"))


def by_streaming(dataset: Path) -> Blocks:
    stream = open_split(dataset, "train")
    return [{name: column for name, column in stream[at].items() if name != "_block"} for at in range(len(stream))]


def same(one: Blocks, other: Blocks) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a) for a, b in zip(one, other, strict=True)
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged") / "sample-1"
    tiny.write_clicks(folder, rows=3000)
    return folder


@pytest.fixture(scope="module")
def shard(dataset: Path) -> Path:
    return next((dataset / "train").rglob("*.mds"))


@pytest.mark.parametrize("read", [by_index, by_streaming])
def test_a_flipped_bit_is_never_read_as_rows(read: Callable[[Path], Blocks], dataset: Path, shard: Path) -> None:
    content, whole = shard.read_bytes(), by_index(dataset)
    assert same(read(dataset), whole) and CHECK not in whole[0]
    start = int(np.frombuffer(content[4:8], np.uint32)[0])  # of the first block; the header before it says nothing that is read
    rng, caught = np.random.default_rng(0), 0
    try:
        for at in [4, 5, 8, start, start + 1, len(content) - 1, *rng.integers(start, len(content), 40 if read is by_index else 4)]:
            shard.write_bytes(content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :])
            with pytest.raises(DamagedError, match=r"Block \d+ of train .*dataset sample-1 was changed after it was prepared"):
                read(dataset)
            caught += 1
    finally:
        shard.write_bytes(content)
    assert caught > 8
    assert same(read(dataset), whole)


@pytest.mark.parametrize("read", [by_index, by_streaming])
@pytest.mark.parametrize("harm", ["truncated", "missing"])
def test_a_file_that_is_cut_or_gone_is_an_error(read: Callable[[Path], Blocks], harm: str, dataset: Path, shard: Path) -> None:
    content = shard.read_bytes()
    try:
        shard.unlink() if harm == "missing" else shard.write_bytes(content[: len(content) - 9])
        with pytest.raises((DamagedError, FileNotFoundError, RuntimeError), match="train"):
            read(dataset)
    finally:
        shard.write_bytes(content)


def test_a_check_is_of_names_types_shapes_and_values() -> None:
    block = with_check({"a": np.arange(6, dtype=np.int32), "b": np.zeros(0, np.int32)})
    assert read_block(lambda: block, Path("d/train"), 3).keys() == {"a", "b"}
    a = block["a"]
    for changed in (a[::-1], a.astype(np.int64), a.reshape(2, 3), a[:5]):
        with pytest.raises(DamagedError, match="Block 3 of train is not what was written"):
            read_block(lambda changed=changed: block | {"a": changed}, Path("d/train"), 3)  # type: ignore[misc]
    assert read_block(lambda: {"a": a}, Path("d/train"), 0)["a"] is a  # of an earlier version
