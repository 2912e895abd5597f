# fmt: off
# isort: skip_file
from .columns import PROBLEM as PROBLEM, How as How, Output as Output, as_text as as_text, refused_type as refused_type, shape as shape
from .files import (
    DAMAGED as DAMAGED, WIDE as WIDE, ColumnsReader as ColumnsReader, Compression as Compression, LinesReader as LinesReader, Part as Part,
    PartsReader as PartsReader, open_part as open_part, read as read,
)
from .fields import Layout as Layout, plain as plain, quoted as quoted, ready as ready
from .lines import json_text as json_text
from .listed import PAIR as PAIR, Listed as Listed
from .values import FORMS as FORMS, MISSING_WORDS as MISSING_WORDS, Numbers as Numbers, plain_numbers as plain_numbers
