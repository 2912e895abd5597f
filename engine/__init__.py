"""The driver's side: asks, launches, watches, reads back. These are all the names that a page may use.

`engine.recommender` brings torch and `engine.driver` is a process: neither is imported here.
"""

from engine.audit import Audit, FeatureFacts, Finding, SplitFacts
from engine.browsing import BROWSES, Filter, browse, genres, known_items, list_agreement, search_items
from engine.calibration import pooled_reliability
from engine.comparison import Comparison, Contender, command_line, compare, seed_groups
from engine.comparison_cells import protocol_of
from engine.continuing import continued
from engine.datasets import (
    Dataset,
    audit,
    baseline_results,
    get_dataset,
    items,
    list_datasets,
    search_users,
    set_aside,
    user_interactions,
    verify,
    why_no_ranking,
)
from engine.downloads import DOWNLOADS, Download, DownloadSpec, downloaded
from engine.exports import csv_safe
from engine.foretold import sample_predictions, why_nothing_foretold
from engine.funnels import funnel
from engine.funnels import losses as funnel_losses
from engine.guide import guide
from engine.jobs import cancel, cancel_request, submit, submit_tour
from engine.keeping import (
    LONGEST_NAME,
    LONGEST_NOTE,
    LONGEST_TAG,
    MOST_TAGS,
    annotate,
    dependents,
    list_trash,
    pin,
    pinned,
    rename,
    restore,
    tag,
    trash,
    unpin,
    why_kept,
)
from engine.list_exports import ListExport, export_lists, get_list_export, list_exports, read_ids
from engine.lists import MOST as MOST_K
from engine.lists import STORED_AT as USUAL_K
from engine.preview import Preview, preview, preview_rows
from engine.report import EXPORTS, export, write_export
from engine.report import file_name as export_name
from engine.rules import LABELS_OF, MeanLabel, PerUserSplit, ThresholdLabel, TimeSplit
from engine.runs import Progress, Run, RunState, alarms, events, get_run, history, list_runs, log_tail, outputs, predictions
from engine.settings import Settings, settings
from engine.significance import Best, best_of, pairs, testable
from engine.slices import FEW_IN_SLICE, slice_choices, slice_metrics, sliced
from engine.sources import SOURCES, SourceSpec
from engine.sources.table import ColumnRole, TableFile, TableGuess, TableSource, is_remote, keep_upload
from engine.sources.table import inspect as guess_roles
from engine.specs import DatasetSpec
from engine.tradeoff import pareto_front
from engine.votes import cast, tally, votes, withdraw
from workers.models import MODELS
from workers.results import METRICS, Metric, metric
from workers.specs import MatrixSpec, ModelSpec, NetworkSpec, RunSpec, Spec, Task, TrainSpec, explain
from workers.specs import settings as settings_of

__all__ = [
    "BROWSES", "DOWNLOADS", "EXPORTS", "FEW_IN_SLICE", "LABELS_OF", "LONGEST_NAME", "LONGEST_NOTE", "LONGEST_TAG", "METRICS", "MODELS",
    "MOST_K", "MOST_TAGS", "SOURCES", "USUAL_K", "Audit", "Best", "ColumnRole", "Comparison", "Contender", "Dataset", "DatasetSpec",
    "Download", "DownloadSpec", "FeatureFacts", "Filter", "Finding", "ListExport", "MatrixSpec", "MeanLabel", "Metric", "ModelSpec",
    "NetworkSpec", "PerUserSplit", "Preview", "Progress", "Run", "RunSpec", "RunState", "Settings", "SourceSpec", "Spec", "SplitFacts",
    "TableFile", "TableGuess", "TableSource", "Task", "ThresholdLabel", "TimeSplit", "TrainSpec", "alarms", "annotate", "audit",
    "baseline_results", "best_of", "browse", "cancel", "cancel_request", "cast", "command_line", "compare", "continued", "csv_safe",
    "dependents", "downloaded", "events", "explain", "export", "export_lists", "export_name", "funnel", "funnel_losses", "genres",
    "get_dataset", "get_list_export", "get_run", "guess_roles", "guide", "history", "is_remote", "items", "keep_upload", "known_items",
    "list_agreement", "list_datasets", "list_exports", "list_runs", "list_trash", "log_tail", "metric", "outputs", "pairs", "pareto_front",
    "pin", "pinned", "pooled_reliability", "predictions", "preview", "preview_rows", "protocol_of", "read_ids", "rename", "restore",
    "sample_predictions", "search_items", "search_users", "seed_groups", "set_aside", "settings", "settings_of", "slice_choices",
    "slice_metrics", "sliced", "submit", "submit_tour", "tag", "tally", "testable", "trash", "unpin", "user_interactions", "verify",
    "votes", "why_kept", "why_no_ranking", "why_nothing_foretold", "withdraw", "write_export",
]  # fmt: skip
