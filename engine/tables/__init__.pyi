# fmt: off
# isort: skip_file
from . import plain_lines as plain_lines, reader as reader
from .actions import strength_of as strength_of
from .answers import answered as answered
from .archive import extracted as extracted, names_in as names_in
from .guessed import ColumnGuess as ColumnGuess, TableGuess as TableGuess
from .inspect import inspect_table as inspect_table
from .meaning import Answer as Answer, Question as Question
from .paths import TABLES as TABLES, local as local, named as named
from .plain_lines import Layout as Layout
from .specs import (
    DISPLAY as DISPLAY, NUMERIC as NUMERIC,
    ENCODINGS as ENCODINGS, FEATURES as FEATURES, ColumnRole as ColumnRole, Feature as Feature, TableFile as TableFile,
    features_of as features_of, sanitised as sanitised, with_side as with_side,
)
from .uploads import keep_upload as keep_upload
