# fmt: off
# isort: skip_file
from .learning_curves import (
    SHARES as SHARES, CurvePoint as CurvePoint, Growth as Growth, LearningCurve as LearningCurve, Reading as Reading,
    growth_metrics as growth_metrics, learning_curves as learning_curves, missing_runs as missing_runs, siblings as siblings)
from .words import (
    LAW_NOTE as LAW_NOTE, POINTS_NOTE as POINTS_NOTE, growth_sentences as growth_sentences, measured_growth as measured_growth,
    reading as reading, shares_text as shares_text)
