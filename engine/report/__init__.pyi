# fmt: off
# isort: skip_file
from .bundle import export_name as export_name
from .formats import EXPORTS as EXPORTS, export as export, write_export as write_export
from .narrative import LONGEST_NARRATIVE as LONGEST_NARRATIVE, narrative as narrative, runs_of as runs_of, set_narrative as set_narrative
from .spreadsheets import csv_safe as csv_safe
