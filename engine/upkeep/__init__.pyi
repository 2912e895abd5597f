# fmt: off
# isort: skip_file
from .disk import DiskUse as DiskUse, dataset_bytes as dataset_bytes, disk_use as disk_use, free_bytes as free_bytes
from .orphans import Orphan as Orphan, orphans as orphans, sweep_orphans as sweep_orphans
from .support import NEWEST as NEWEST, product_version as product_version, support_bundle as support_bundle
from .trash import Deleted as Deleted, TrashedRun as TrashedRun, delete_trashed as delete_trashed, trashed_runs as trashed_runs
