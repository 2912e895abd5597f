# fmt: off
# isort: skip_file
from . import classes as classes
from .cluster import ClusterError as ClusterError, end_everywhere as end_everywhere, executors as executors
from .executors import RankRequest as RankRequest
from .gpus import Gpu as Gpu, GpuRequest as GpuRequest, gpus as gpus
from .sessions import close as close, session as session
