# fmt: off
# isort: skip_file
from . import audit as audit
from .actions import strong_and_frequent as strong_and_frequent, usual_likes as usual_likes
from .audit import DENSE_BINS as DENSE_BINS, MOST_VALUES as MOST_VALUES, RATING_BINS as RATING_BINS, SPLITS as SPLITS, TOP as TOP
from .findings import list_findings as list_findings
from .first_rows import Preview as Preview, preview as preview, preview_rows as preview_rows
from .leaks import LEAK_ROWS as LEAK_ROWS, with_label_auc as with_label_auc
from .order import MOST_LIKES as MOST_LIKES, order_facts as order_facts, order_in_words as order_in_words
from .labels import (
    MOST_CLASSES as MOST_CLASSES, Rule as Rule, check_given as check_given, is_given as is_given, liked_classes as liked_classes,
    usual_threshold as usual_threshold,
)
from .rows import (
    COPY as COPY, CORE as CORE, LATER as LATER, NOT_CONTENT as NOT_CONTENT, PAIRS as PAIRS, Pairs as Pairs, leak as leak,
    merges_actions as merges_actions, quantile_place as quantile_place,
)
from .split_choice import (
    better_split as better_split, compare_splits as compare_splits, is_thin as is_thin, one_user_in as one_user_in, seen_from as seen_from,
)
