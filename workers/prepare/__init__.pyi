# fmt: off
# isort: skip_file
from .encode import Encoder as Encoder
from .history import HistoryBags as HistoryBags
from .rows import (
    RESERVED as RESERVED, SHOWN as SHOWN, Reading as Reading, RowReader as RowReader, SourceFeature as SourceFeature,
    MOMENT as MOMENT, WHOLE_ID as WHOLE_ID, read_frame as read_frame, schema as schema,
)
from .sequences import SEQUENCES_WRITTEN as SEQUENCES_WRITTEN, SequenceWriter as SequenceWriter
from .times import UNITS as UNITS, check_unit as check_unit, is_pattern as is_pattern, moments as moments
