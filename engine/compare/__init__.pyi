# fmt: off
# isort: skip_file
from .advice import guide as guide
from .calibration import pooled_reliability as pooled_reliability
from .cells import protocol_of as protocol_of
from .comparison import (
    Comparison as Comparison, Contender as Contender, command_line as command_line, compare as compare, seed_groups as seed_groups,
)
from .lists_at_k import MOST_K as MOST_K, STORED_K as STORED_K, known as known
from .palette import (
    BASELINE as BASELINE, COLORS as COLORS, DASHES as DASHES, GLYPHS as GLYPHS, GRAY as GRAY, MARKERS as MARKERS, MOST_LOOKS as MOST_LOOKS,
    Look as Look, look as look,
)
from .significance import best_of as best_of, pairs as pairs, testable as testable
from .slices import FEW_IN_SLICE as FEW_IN_SLICE, slice_choices as slice_choices, slice_metrics as slice_metrics, sliced as sliced
from .tradeoff import pareto_front as pareto_front
