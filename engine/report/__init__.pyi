# fmt: off
# isort: skip_file
from .formats import EXPORTS as EXPORTS, export as export, export_name as export_name, write_export as write_export
from .spreadsheets import csv_safe as csv_safe
