# fmt: off
# isort: skip_file
from .export import OPSET as OPSET, write_tower as write_tower
