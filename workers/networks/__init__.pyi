# fmt: off
# isort: skip_file
from .choice import proposal as proposal
from .feature_rankers import DCNRanker as DCNRanker, DLRMRanker as DLRMRanker, DeepFMRanker as DeepFMRanker
from .heads import Head as Head
from .plain_towers import (DENSE as DENSE, VECTOR as VECTOR, PlainTower as PlainTower, item_tower as item_tower, padded as padded,
    user_tower as user_tower)
from .ranker import Batch as Batch, Order as Order, Ranker as Ranker, tables_on_meta as tables_on_meta
from .sasrec import SASRec as SASRec
from .two_tower import TwoTower as TwoTower
