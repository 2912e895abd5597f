# fmt: off
# isort: skip_file
from .batches import (
    POOL_BLOCKS as POOL_BLOCKS, Columns as Columns, epoch_batches as epoch_batches, join as join, num_rows as num_rows,
    open_split as open_split, table_columns as table_columns, take as take, to_batch as to_batch,
)
from .blocks import (
    PARTITION as PARTITION, SPLIT as SPLIT, WRITTEN as WRITTEN, BlockWriter as BlockWriter, blocks_of as blocks_of,
    import_streaming as import_streaming, known_to_train as known_to_train,
)
from .likes import Likes as Likes, SplitRows as SplitRows, read_likes as read_likes, read_rows as read_rows
from .negatives import Sampler as Sampler
