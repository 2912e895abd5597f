# fmt: off
# isort: skip_file
from . import rates as rates
from .disk import CHECKPOINTS as CHECKPOINTS, COPIES as COPIES
from .histories import HISTORY as HISTORY, with_earlier_histories as with_earlier_histories
from .judgement import (
    UNITS as UNITS, Item as Item, Level as Level, Preflight as Preflight, Table as Table, duration as duration, size as size,
)
from .machine import Machine as Machine, machine as machine
from .memory import BASE_BYTES as BASE_BYTES, Bytes as Bytes, bytes_of as bytes_of
from .preparation import preparation as preparation, refuse_small as refuse_small
from .training import learned_rows as learned_rows, training as training, time_of as time_of
