# fmt: off
# isort: skip_file
from .objects import (
    HEAD as HEAD, PLACES as PLACES, READ_AHEAD as READ_AHEAD, address_of as address_of, endpoint as endpoint, explained as explained,
    is_stored as is_stored, open_file as open_file, open_parquet as open_parquet, reach as reach, soon as soon, system_of as system_of,
)
