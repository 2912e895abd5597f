# fmt: off
# isort: skip_file
from .pipeline import prepare as prepare
