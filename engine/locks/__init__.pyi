# fmt: off
# isort: skip_file
from .waiting import LockError as LockError, held as held
