"""Spark: figures of the audit that only findings read. `engine.preview.first_rows` computes the same for a preview."""

from functools import reduce
from typing import TYPE_CHECKING, Any

from engine.datasets import JoinFacts, WeightFacts
from engine.prepare.results import Vocabularies
from engine.prepare.vocabularies import IN_TABLE
from workers.prepare.tables import MISSING_WORDS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def weights(rows: "DataFrame") -> WeightFacts | None:
    """The median and the largest weight; None where rows have none."""
    from pyspark.sql import functions as F

    if "weight" not in rows.columns:
        return None
    median, highest = rows.agg(F.percentile_approx("weight", 0.5), F.max("weight")).first() or (0, 0)
    return WeightFacts(median=median, highest=highest)


def joins(vocabularies: Vocabularies) -> list[JoinFacts]:
    """Whom the tables of users and of items know, as far as the source has such tables with a row."""
    from pyspark.sql import functions as F

    parts = []
    for one in vocabularies.entities:
        if IN_TABLE in one.table.columns:
            used, listed, key = F.col("interactions") > 0, F.col(IN_TABLE).isNotNull(), F.col(one.key)
            firsts = (F.min(F.when(used & ~listed, key)), F.min(F.when(~used & listed, key)))
            counts = (F.count_if(listed), F.count_if(used), F.count_if(used & listed))
            parts.append(one.table.agg(F.lit(one.side), *counts, *firsts))
    rows: list[Any] = reduce(lambda a, b: a.union(b), parts).collect() if parts else []  # one job for both
    return [
        JoinFacts(side=side, ids=ids, known=known, unknown=unknown, known_as=known_as)
        for side, listed, ids, known, unknown, known_as in rows
        if listed
    ]


def odd_ids(vocabularies: Vocabularies) -> dict[str, int]:
    """Kinds of ids that other tools change when they read them -> how many different ids, or rows with such ids."""
    from pyspark.sql import functions as F

    counts: dict[str, int] = {}
    for one in vocabularies.entities:
        key = F.col(one.key)
        kinds = {
            f"{one.side} ids begin with zeros": key.rlike(r"^0\d+$"),
            f"{one.side} ids have 16 digits or more": key.rlike(r"^\d{16,}$"),
            f"{one.side} ids have spaces around them": key != F.trim(key),
        }
        rows = F.coalesce(F.sum(F.when(F.lower(F.trim(key)).isin(*MISSING_WORDS), F.col("interactions"))), F.lit(0))
        row: Any = one.table.where("interactions > 0").agg(*map(F.count_if, kinds.values()), rows).first()
        counts |= dict(zip([*kinds, f"rows have a {one.side} id that reads like a missing value"], row, strict=True))
    return {what: n for what, n in counts.items() if n}
