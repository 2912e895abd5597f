"""Spark: the train rows by which features are found that alone tell the label. `engine.preview.leaks` measures them."""

from typing import TYPE_CHECKING

from engine.prepare.results import Preparation, Results
from engine.prepare.rows import by_chance
from engine.preview import LEAK_ROWS
from workers.artifacts import TRAIN
from workers.specs import ITEM_ID, USER_ID

if TYPE_CHECKING:
    import pandas as pd


def sample(preparation: Preparation, results: Results) -> "pd.DataFrame":
    """Train rows with their label and every feature. Of many rows a part by chance comes to the driver: about LEAK_ROWS."""
    from pyspark.sql import functions as F

    rows, total = results.labelled.rows.where(F.col("split") == TRAIN), results.labelled.sizes[TRAIN]
    if total > LEAK_ROWS:
        rows = rows.where(by_chance(["row"], preparation.spec.seed) < LEAK_ROWS / total)
    for one in results.vocabularies.entities:
        elsewhere = [f.name for f in preparation.features_of(one.side) if f.name not in rows.columns]
        if elsewhere:
            rows = rows.join(one.table.select(one.key, *elsewhere), one.key, "left")
    keys = [name for name in (USER_ID, ITEM_ID, "timestamp") if name in rows.columns]
    columns = [F.col(f.name).cast("double" if f.kind == "dense" else "string").alias(f.name) for f in preparation.features]
    return rows.select("label", *keys, *columns).toPandas()
