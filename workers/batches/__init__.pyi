# fmt: off
# isort: skip_file
from .batches import (
    Columns as Columns, join as join, num_rows as num_rows, open_split as open_split, table_columns as table_columns, take as take,
    to_batch as to_batch,
)
from .blocks import (
    PARTITION as PARTITION, SPLIT as SPLIT, WRITTEN as WRITTEN, BlockWriter as BlockWriter, FolderWriter as FolderWriter,
    blocks_of as blocks_of, sequence_blocks as sequence_blocks,
    import_streaming as import_streaming, known_to_train as known_to_train,
)
from .epochs import POOL_BLOCKS as POOL_BLOCKS, EpochReader as EpochReader, Position as Position, divided as divided
from .likes import Likes as Likes, SplitRows as SplitRows, read_likes as read_likes, read_rows as read_rows
from .negatives import Sampler as Sampler
from .sequences import newest as newest, sequences_of as sequences_of, to_targets as to_targets
from .numbered import NumberedBlocks as NumberedBlocks
from .shares import (
    LearnedRows as LearnedRows, count_learned as count_learned, in_share as in_share, of_share as of_share,
    users_in_share as users_in_share,
)
