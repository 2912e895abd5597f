# fmt: off
# isort: skip_file
from . import classes as classes
from .gpus import Gpu as Gpu, GpuRequest as GpuRequest, gpus as gpus
from .sessions import close as close, session as session
