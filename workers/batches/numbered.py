"""A StreamingDataset that says which block it gives, and leaves some out. Import it after `import_streaming`."""

from collections.abc import Container
from pathlib import Path
from typing import Any

from streaming import StreamingDataset

from workers.batches.blocks import BLOCK
from workers.batches.checked import read_block


class NumberedBlocks(StreamingDataset):
    """Blocks with their number in the split as BLOCK; None in place of each of `left_out`, which is not read.

    A resumed epoch leaves out the blocks that were read before: the stock way to resume counts samples of all ranks alike, and what ranks
    have read differs by what each has in memory.
    """

    left_out: Container[int] = frozenset()

    @property
    def split_folder(self) -> Path:
        return Path(self.streams[0].local)

    def __getitem__(self, at: int) -> dict[str, Any] | None:
        if at in self.left_out:
            return None
        read = super().__getitem__
        return {**read_block(lambda: read(at), self.split_folder, int(at)), BLOCK: int(at)}
