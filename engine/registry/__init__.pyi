# fmt: off
# isort: skip_file
from .names import default_name as default_name
from .read import (
    Registered as Registered, get_registered as get_registered, list_registered as list_registered, run_of as run_of,
    serve_command as serve_command, set_alias as set_alias,
)
from .registration import register as register, sizes as sizes, why_not_registered as why_not_registered
