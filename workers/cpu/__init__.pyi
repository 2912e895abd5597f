# fmt: off
# isort: skip_file
from . import collections as collections, features as features, gradients as gradients, products as products
