# fmt: off
# isort: skip_file
from . import votes as votes
from .publishing import publish as publish
from .recommender import Explanation as Explanation, Recommender as Recommender, open_model as open_model
from .search import (
    BROWSES as BROWSES, Filter as Filter, browse as browse, find_item as find_item, genres as genres, known_items as known_items,
    list_agreement as list_agreement,
    search_items as search_items,
)
from .towers import Towers as Towers, export_onnx as export_onnx
