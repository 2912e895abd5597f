"""Spark: figures of the audit that only findings read. `engine.preview.first_rows` computes the same for a preview."""

from typing import TYPE_CHECKING, Any

from engine.datasets import JoinFacts, WeightFacts
from engine.prepare.results import Vocabularies
from engine.prepare.vocabularies import IN_TABLE

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

    found = []
    for one in vocabularies.entities:
        if IN_TABLE not in one.table.columns:
            continue
        used, listed, key = F.col("interactions") > 0, F.col(IN_TABLE).isNotNull(), F.col(one.key)
        firsts = (F.min(F.when(used & ~listed, key)), F.min(F.when(~used & listed, key)))
        row: Any = one.table.agg(F.count_if(used), F.count_if(used & listed), *firsts, F.count_if(listed)).first()
        ids, known, unknown, known_as, rows = row
        if rows:
            found.append(JoinFacts(side=one.side, ids=ids, known=known, unknown=unknown, known_as=known_as))
    return found
