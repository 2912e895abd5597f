# fmt: off
# isort: skip_file
from . import metrics as metrics
from .alarms import (
    ALIKE as ALIKE, FEW_USERS as FEW_USERS, RISING as RISING, at_edge as at_edge, cut_histories as cut_histories, few_users as few_users,
    list_alarms as list_alarms, still_rising as still_rising,
)
from .baselines import write_baselines as write_baselines
from .clustered import (
    BINS as BINS, FEW as FEW, MEASURED as MEASURED, Estimate as Estimate, Rows as Rows, area as area, area_per_user as area_per_user,
    estimates as estimates, owners as owners, set_estimates as set_estimates, standard_error as standard_error,
)
from .evaluate import (
    CHUNK as CHUNK, DEFAULT as DEFAULT, catalogue as catalogue, count_users as count_users, describe as describe,
    summarise as summarise, users_to_rank as users_to_rank, users_to_validate as users_to_validate,
    write_ranked as write_ranked,
)
from .kept import scored_rows as scored_rows
from .lists import (
    DEEPEST as DEEPEST, Facts as Facts, all_lists_metrics as all_lists_metrics, facts_of as facts_of, list_metrics as list_metrics,
    padded as padded, ranking_metrics as ranking_metrics,
)
from .matrices import MatrixEvaluation as MatrixEvaluation, evaluate_matrix as evaluate_matrix
from .metrics import (
    Bools as Bools, Floats as Floats, Ints as Ints, best_places as best_places, log_losses as log_losses,
    ndcg_at_k as ndcg_at_k, tie_order as tie_order, user_areas as user_areas,
)
from .networks import NetworkEvaluation as NetworkEvaluation, evaluate_network as evaluate_network
from .outputs import evaluate_outputs as evaluate_outputs, predictions as predictions
from .power import ENOUGH_USERS as ENOUGH_USERS, PAIRED_SD as PAIRED_SD, smallest_difference as smallest_difference
from .ranking import rank_users as rank_users
from .split_rows import ScoredRows as ScoredRows
