# fmt: off
# isort: skip_file
from .commands import main as main
