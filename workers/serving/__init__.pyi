# fmt: off
# isort: skip_file
from . import measure as measure
from .filters import EVERYTHING as EVERYTHING, Filter as Filter, genres_of as genres_of
from .list_maker import ListMaker as ListMaker
from .measure import KnownLikes as KnownLikes
from .opened_funnel import Candidates as Candidates, OpenedFunnel as OpenedFunnel, blended as blended
from .opened_matrix import OpenedMatrix as OpenedMatrix
from .opened_model import OpenedModel as OpenedModel, State as State, UserItems as UserItems, newcomer as newcomer
from .opened_network import OpenedNetwork as OpenedNetwork
from .opening import funnel_weight as funnel_weight, index_of as index_of, open_checkpoint as open_checkpoint, open_run as open_run
from .titles import matches as matches
