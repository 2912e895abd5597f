# fmt: off
# isort: skip_file
from .entry import environment as environment, train_rank as train_rank
from .planned import (
    Layout as Layout, NoPlanError as NoPlanError, PlannedPart as PlannedPart, PlannedTable as PlannedTable, TablePlan as TablePlan,
)
from .table_planner import TablePlanner as TablePlanner
