# fmt: off
# isort: skip_file
from .entry import environment as environment, train_rank as train_rank
