# fmt: off
# isort: skip_file
from .newer import (
    measured_over_time as measured_over_time, newer_dataset as newer_dataset, newer_run as newer_run, trained_as as trained_as)
from .plan import (
    CUTS as CUTS, MOST_CUTS as MOST_CUTS, Backtest as Backtest, Cut as Cut, Entry as Entry, launch as launch, make_plan as make_plan,
    known_plan as known_plan, Plan as Plan, progress_of as progress_of, why_not as why_not)
from .staleness import (
    Aged as Aged, Staleness as Staleness, measure as measure, measured_on as measured_on, staleness_of as staleness_of,
    unmeasured as unmeasured)
from .windows import PairOverWindows as PairOverWindows, Windows as Windows, windows_of as windows_of
from .words import (
    BACKTEST_NOTE as BACKTEST_NOTE, staleness_sentence as staleness_sentence, window_name as window_name,
    window_sentences as window_sentences)
