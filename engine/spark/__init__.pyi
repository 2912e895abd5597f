# fmt: off
# isort: skip_file
from . import classes as classes
from .sessions import session as session
