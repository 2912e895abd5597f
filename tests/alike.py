"""What tests of sources share: that pandas and Spark read the same, and what is set aside for which reason."""

from typing import TYPE_CHECKING

import pandas as pd

from engine.sources.base import SourceSpec
from workers.prepare.rows import read_frame

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def same_in_spark(source: SourceSpec, spark: "SparkSession", in_order: bool = True) -> pd.DataFrame:
    """The frame of a source, after a look that Spark gives the same rows, values and problems."""
    frame, loaded = source.frame(), source.load(spark).interactions.toPandas()
    if not in_order:
        names = list(frame.columns)
        frame, loaded = (f.sort_values(names).reset_index(drop=True) for f in (frame, loaded))
    pd.testing.assert_frame_equal(loaded, frame)
    return frame


def set_aside(source: SourceSpec) -> dict[str, str]:
    """The rows that are set aside, as text, and why."""
    rows = read_frame(source.frame(), source.reading(), source.features())
    bad = rows[rows["reason"].notna()]
    return dict(zip(bad["raw"], bad["reason"], strict=True))
