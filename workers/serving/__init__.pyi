# fmt: off
# isort: skip_file
from . import measure as measure
from .measure import KnownLikes as KnownLikes
from .opened_model import (
    OpenedFunnel as OpenedFunnel, OpenedMatrix as OpenedMatrix, OpenedModel as OpenedModel, OpenedNetwork as OpenedNetwork,
    State as State, UserItems as UserItems, blended as blended, newcomer as newcomer, open_run as open_run,
)
