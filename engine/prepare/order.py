"""The likes by which is judged whether order matters, out of the interactions as written. `engine.preview.order` judges."""

from typing import TYPE_CHECKING

from engine.datasets import INTERACTIONS, OrderFacts
from engine.prepare.results import Preparation, Results
from engine.preview import MOST_LIKES, order_facts
from workers.artifacts import TRAIN
from workers.batches import SPLIT
from workers.prepare import MOMENT
from workers.specs import ITEM_ID, USER_ID

if TYPE_CHECKING:
    import pandas as pd


def measure(preparation: Preparation, results: Results) -> OrderFacts | None:
    """How many pairs of items in sequence are lost by shuffling; None where the source has no users, items or times."""
    if not (preparation.can_rank and preparation.reading.time):
        return None
    likes, share = _likes(preparation, results.interactions.positives[TRAIN])
    return order_facts(likes, share)


def _likes(preparation: Preparation, total: int) -> "tuple[pd.DataFrame, float]":
    """Likes of train of whole users, MOST_LIKES or all that there are, and the share of the files that they are from.

    Each file holds whole users, by a hash of their ids, so some files are a sample of users; none is read twice, and no Spark job starts.
    """
    import pandas as pd
    import pyarrow.dataset as ds

    columns = [USER_ID, ITEM_ID, *MOMENT]
    liked = (ds.field(SPLIT) == TRAIN) & (ds.field("label") > 0)
    files = sorted((preparation.staging / INTERACTIONS).glob("*.parquet"))
    parts: list[pd.DataFrame] = []
    for path in files:
        source = ds.dataset(path)
        parts.append(source.to_table([name for name in columns if name in source.schema.names], filter=liked).to_pandas())
        if sum(map(len, parts)) >= MOST_LIKES:
            break
    likes = pd.concat(parts, ignore_index=True)
    return likes, 1.0 if len(likes) == total else len(parts) / len(files)
