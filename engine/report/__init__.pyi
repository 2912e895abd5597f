# fmt: off
# isort: skip_file
from .bundle import export_name as export_name
from .figures import (Figure as Figure, figures as figures, learning_curves as learning_curves, metric_intervals as metric_intervals,
    over_epochs as over_epochs, pair_differences as pair_differences, quality_and_cost as quality_and_cost, reliability as reliability)
from .formats import EXPORTS as EXPORTS, export as export, write_export as write_export
from .narrative import LONGEST_NARRATIVE as LONGEST_NARRATIVE, narrative as narrative, runs_of as runs_of, set_narrative as set_narrative
from .spreadsheets import csv_safe as csv_safe
from .tables import (Table as Table, as_frame as as_frame, contenders_table as contenders_table, costs_table as costs_table,
    metrics_table as metrics_table, pair_tables as pair_tables, settings_table as settings_table)
from .view import View as View
