# fmt: off
# isort: skip_file
from . import backtest as backtest, growth as growth
from .advice import StageFacts as StageFacts, guide as guide
from .budgets import budget_words as budget_words
from .calibration import pooled_reliability as pooled_reliability, reliability_of as reliability_of
from .cells import protocol_of as protocol_of
from .comparison import command_line as command_line, compare as compare, seed_groups as seed_groups
from .contenders import Comparison as Comparison, Contender as Contender, names as names, short_names as short_names
from .descriptions import (BEST as BEST, CLOSE as CLOSE, FAMILIES as FAMILIES, PAIR_HEADS as PAIR_HEADS, SETTINGS as SETTINGS,
    RELIABILITY_NOTE as RELIABILITY_NOTE, SLICE_NOTES as SLICE_NOTES, mark_legend as mark_legend, mark_of as mark_of, pairs_basis as
    pairs_basis, protocol_sentence as protocol_sentence, protocol_setting as protocol_setting, protocol_settings as protocol_settings)
from .expected_best import (BudgetCurve as BudgetCurve, Over as Over, budget_curves as budget_curves,
    budget_metrics as budget_metrics, reading_notes as reading_notes, takeover_sentence as takeover_sentence)
from .gate import Gate as Gate, Outcome as Outcome, gate as gate
from .judging import judge as judge, verdict_of as verdict_of
from .lists_at_k import (MOST_K as MOST_K, STORED_K as STORED_K, ListFacts as ListFacts, ListMetrics as ListMetrics,
    list_facts as list_facts, targets_of as targets_of)
from .numbers import (DASH as DASH, count as count, decimals as decimals, duration as duration, missing as missing, number as number,
    percent as percent, rough as rough, signed as signed, signed_with_half as signed_with_half, with_half as with_half)
from .palette import (BASELINE as BASELINE, COLORS as COLORS, DASHES as DASHES, GLYPHS as GLYPHS, GRAY as GRAY, MARKERS as MARKERS,
    MOST_LOOKS as MOST_LOOKS, Look as Look, look as look)
from .phrases import (Part as Part, Sentence as Sentence, half as half, p_value as p_value, pair_answer as pair_answer,
    pair_difference as pair_difference, pair_needed as pair_needed, plain as plain, sentences as sentences)
from .seed_noise import MoreSeeds as MoreSeeds, more_seeds as more_seeds
from .significance import OVER_ROWS as OVER_ROWS, pairs as pairs, testable as testable
from .slices import FEW_IN_SLICE as FEW_IN_SLICE, slice_choices as slice_choices, slice_metrics as slice_metrics, sliced as sliced
from .stress import can_stress as can_stress, stress_test as stress_test
from .stress_record import StressRow as StressRow, StressTest as StressTest, not_here as not_here, stress_sentence as stress_sentence
from .tradeoff import pareto_front as pareto_front
from .verdict import (THRESHOLD as THRESHOLD, Answer as Answer, Baseline as Baseline, Budget as Budget, MetricVerdict as MetricVerdict,
    PairVerdict as PairVerdict, Reason as Reason, Verdict as Verdict)
