# fmt: off
# isort: skip_file
from . import (
    compare as compare, compute as compute, datasets as datasets, diagnosis as diagnosis, features as features, plan as plan,
    preflight as preflight, prepare as prepare, presets as presets, preview as preview, recommend as recommend, registry as registry,
    report as report, runs as runs, searches as searches, settings as settings, sources as sources, spark as spark, specs as specs,
    tables as tables, upkeep as upkeep,
)
