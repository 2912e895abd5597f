# fmt: off
# isort: skip_file
from .encode import Encoder as Encoder
from .history import HistoryBags as HistoryBags
from .rows import (
    RESERVED as RESERVED, SHOWN as SHOWN, Reading as Reading, RowReader as RowReader, SourceFeature as SourceFeature, TimeUnit as TimeUnit,
    MOMENT as MOMENT, WHOLE_ID as WHOLE_ID, read_frame as read_frame, schema as schema,
)
