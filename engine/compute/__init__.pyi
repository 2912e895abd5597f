# fmt: off
# isort: skip_file
from .code import code_archive as code_archive
from .databricks import write_databricks_bundle as write_databricks_bundle
from .kept import delete as delete, get as get, list_computes as list_computes, save as save
from .packing import pack_environment as pack_environment
from .run import (
    COMPUTE as COMPUTE, current as current, files as files, given as given, of_run as of_run, using as using, variables as variables,
)
from .spec import Compute as Compute
