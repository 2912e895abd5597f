# fmt: off
# isort: skip_file
from .protocol import TARGETS as TARGETS, TIE_SEED as TIE_SEED, Protocol as Protocol, Target as Target
from .schema import (
    BINARY as BINARY, HISTORY as HISTORY, ITEM_ID as ITEM_ID, USER_ID as USER_ID, Categorical as Categorical, Dense as Dense,
    FeatureSchema as FeatureSchema, Output as Output, Side as Side, Task as Task,
)
from .search import (
    Choice as Choice, Choices as Choices, Range as Range, SearchSpec as SearchSpec, Space as Space, searched as searched, way_of as way_of,
)
from .secrets import MaskSecrets as MaskSecrets, has_credentials as has_credentials, mask as mask, refuse_credentials as refuse_credentials
from .spec import MORE as MORE, TUNED as TUNED, Spec as Spec, explain as explain
from .training import Sampling as Sampling, TrainSpec as TrainSpec
