"""The driver's side: asks, launches, watches, reads back. These are all the names that a page may use.

`engine.recommender` brings torch and `engine.driver` is a process: neither is imported here.
"""

from engine.comparison import Comparison, Contender, command_line, compare
from engine.datasets import (
    Dataset,
    baseline_results,
    get_dataset,
    items,
    list_datasets,
    search_users,
    user_interactions,
    verify,
)
from engine.jobs import cancel, cancel_request, submit, submit_tour
from engine.preview import Preview, SplitPreview, preview, preview_split
from engine.runs import Progress, Run, RunState, events, get_run, history, list_runs, log_tail
from engine.settings import Settings, settings
from engine.sources import SOURCES, SourceSpec
from engine.specs import DatasetSpec, MeanLabel, PerUserSplit, ThresholdLabel, TimeSplit
from workers.models import MODELS
from workers.results import METRICS, Metric
from workers.specs import ModelSpec, RunSpec, Spec, TrainSpec, explain
from workers.specs import settings as settings_of

__all__ = [
    "METRICS", "MODELS", "SOURCES", "Comparison", "Contender", "Dataset", "DatasetSpec", "MeanLabel", "Metric", "ModelSpec",
    "PerUserSplit", "Preview", "Progress", "Run", "RunSpec", "RunState", "Settings", "SourceSpec", "Spec", "SplitPreview",
    "ThresholdLabel", "TimeSplit", "TrainSpec", "baseline_results", "cancel", "cancel_request", "command_line", "compare",
    "events", "explain", "get_dataset", "get_run", "history", "items", "list_datasets", "list_runs", "log_tail", "preview",
    "preview_split", "search_users", "settings", "settings_of", "submit", "submit_tour", "user_interactions", "verify",
]  # fmt: skip
