# fmt: off
# isort: skip_file
from . import rates as rates
from .histories import HISTORY as HISTORY, with_earlier_histories as with_earlier_histories
from .judgement import Item as Item, Level as Level, Preflight as Preflight, Table as Table, size as size
from .machine import Machine as Machine, machine as machine
from .preparation import preparation as preparation, refuse_small as refuse_small
from .training import training as training, time_of as time_of
