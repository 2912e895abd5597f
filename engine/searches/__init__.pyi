# fmt: off
# isort: skip_file
from .importance import FEWEST as FEWEST, importance as importance
from .record import Search as Search, SearchTrial as SearchTrial, of_run as of_run
