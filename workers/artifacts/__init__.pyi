# fmt: off
# isort: skip_file
from . import checkpoint as checkpoint, index as index
from .checkpoint import OPTIMIZER as OPTIMIZER
from .dataset import PreparedDataset as PreparedDataset, lacks_target as lacks_target
from .digests import (
    DIGEST as DIGEST, FILES as FILES, DamagedError as DamagedError, checked as checked, read_done as read_done,
    read_sealed as read_sealed, sealed as sealed, write_done as write_done,
)
from .results import (
    BASELINES as BASELINES, BEST as BEST, CANCEL as CANCEL, CHECKPOINT as CHECKPOINT, DONE as DONE, FEATURE as FEATURE, FUNNEL as FUNNEL,
    IMPORTANCE as IMPORTANCE, INDEX as INDEX, ITEMS as ITEMS,
    ITEM_EMBEDDINGS as ITEM_EMBEDDINGS, JOURNAL as JOURNAL, KEEP as KEEP, LAST as LAST,
    LIST_NAMES as LIST_NAMES, LOG as LOG, MANIFEST as MANIFEST, METRICS as METRICS, NEXT as NEXT, OUTPUT as OUTPUT,
    ORACLE as ORACLE, OUTPUTS as OUTPUTS, PER_USER as PER_USER, PLAN as PLAN, PREDICTIONS as PREDICTIONS, PROGRESS as PROGRESS,
    RANKING as RANKING, RANKING_NAMES as RANKING_NAMES, RATED_SETS as RATED_SETS, RESULTS as RESULTS,
    VALID_SEQUENCES as VALID_SEQUENCES,
    SCORED as SCORED, SEQUENCES as SEQUENCES, SETS as SETS, SPEC as SPEC, STOPPED as STOPPED, TEST as TEST,
    TOP_K as TOP_K, TRAIN as TRAIN, TUNING as TUNING, USERS as USERS, VALID as VALID,
    VOCABULARY as VOCABULARY, Metric as Metric, cutoff as cutoff, metric as metric,
    write_json as write_json,
)
from .shards import own_shards as own_shards
from .waiting import patient as patient
from .weights import copy_weights as copy_weights
from .hashes import spread as spread
