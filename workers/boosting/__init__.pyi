# fmt: off
# isort: skip_file
from .features import Features as Features
from .fit import Fitted as Fitted, Grown as Grown, fit as fit
from .ground import SETTINGS as SETTINGS, Ground as Ground, lay as lay
from .network import BoostedRanker as BoostedRanker, importance as importance
from .stored import load as load, save as save
