# fmt: off
# isort: skip_file
from . import export as export, people as people, spread as spread
from .spec import CHOSEN as CHOSEN, TOP_CSV as TOP_CSV, TOP_PARQUET as TOP_PARQUET, ListExportSpec as ListExportSpec, staging as staging
from .spreadsheet import OPENS_A_FORMULA as OPENS_A_FORMULA
