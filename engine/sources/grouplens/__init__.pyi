# fmt: off
# isort: skip_file
from . import sets as sets
from .catalogue import read_items as read_items, read_users as read_users
from .releases import CSV as CSV, FILES as FILES, RELEASES as RELEASES, Release as Release
