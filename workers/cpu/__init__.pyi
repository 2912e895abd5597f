# fmt: off
# isort: skip_file
from .collections import placed as placed
from .door import use_shared_tables as use_shared_tables
