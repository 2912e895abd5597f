# fmt: off
# isort: skip_file
from .ease import EASE as EASE
from .ials import IALS as IALS
from .item_knn import ItemKNN as ItemKNN
from .markov_chain import MarkovChain as MarkovChain
from .matrix import MatrixModel as MatrixModel
from .popularity import Popularity as Popularity
