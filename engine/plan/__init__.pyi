# fmt: off
# isort: skip_file
from .making import make_plan as make_plan, start_planner as start_planner
from .results import (
    Cost as Cost, Fewest as Fewest, Plan as Plan, Quality as Quality, RankLoad as RankLoad, Storage as Storage,
)
from .shape import counts_from as counts_from, sizes_now as sizes_now
from .spec import DEVICES as DEVICES, Counts as Counts, Fleet as Fleet, PlanSpec as PlanSpec, Speed as Speed, plan_spec as plan_spec
from .words import (
    LABEL as LABEL, command as command, counted as counted, facts as facts, quality_note as quality_note, verdict as verdict,
)
