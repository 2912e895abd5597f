"""Ratings of sets of five films: which are valid, and the item ratings they become. With pandas and with Spark, alike."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column, DataFrame

LOW, HIGH = 0.5, 5.0  # stars
SIZE = 5
WEIGHT = 1 / SIZE
ITEMS = [f"item_{k}" for k in range(1, SIZE + 1)]
COLUMNS = ("user_id", *ITEMS, "rating", "timestamp")
HEADER = "userId," + "".join(f"movieId_{k}," for k in range(1, SIZE + 1)) + "rating,timestamp"
NUMBER = r"^ *[0-9]+(\.[0-9]+)? *$"
MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}$"
PROBLEMS = (
    "a set without a user",
    f"a set with fewer than {SIZE} items",
    "a set whose rating is not a number",
    f"a set whose rating is outside {LOW:g} to {HIGH:g}",
    "a set whose timestamp cannot be read",
)


def judged_frame(raw: "pd.DataFrame") -> "pd.DataFrame":
    """Set ratings as read (`COLUMNS`, problem, raw), with `problem` set too where a required value is missing or invalid."""
    import numpy as np
    import pandas as pd

    ids = raw[["user_id", *ITEMS]].apply(lambda column: column.fillna("").str.strip(" \t").eq(""))
    number = raw["rating"].fillna("").str.match(NUMBER)
    value = pd.to_numeric(raw["rating"].where(number), errors="coerce")
    moment = raw["timestamp"].where(raw["timestamp"].fillna("").str.match(MOMENT))
    faults = [
        ids["user_id"],
        ids[ITEMS].any(axis=1),
        ~number,
        ~value.between(LOW, HIGH),
        pd.to_datetime(moment, format="ISO8601", errors="coerce").isna(),
    ]
    first_problem = np.select([raw["problem"].notna(), *faults], [raw["problem"].astype(object), *PROBLEMS], "")
    problem = pd.Series(first_problem, raw.index, dtype=object)
    problem = problem.where(problem.ne(""), None)  # type: ignore[call-overload]  # pandas takes None
    lines = raw["raw"].astype(object)
    without_text = problem.notna() & lines.isna()
    lines[without_text] = [",".join(row) for row in raw.loc[without_text, list(COLUMNS)].fillna("").to_numpy()]  # no field holds a comma
    return raw.assign(problem=problem, raw=lines)


def judged(raw: "DataFrame") -> "DataFrame":
    """`judged_frame` in Spark."""
    from pyspark.sql import functions as F

    blank = {name: F.coalesce(F.trim(F.col(name), F.lit(" \t")) == "", F.lit(True)) for name in ("user_id", *ITEMS)}
    number = F.coalesce(F.col("rating").rlike(NUMBER), F.lit(False))
    faults = [
        blank["user_id"],
        F.greatest(*(blank[name] for name in ITEMS)),
        ~number,
        ~F.trim("rating").try_cast("double").between(LOW, HIGH),
        ~F.coalesce(F.col("timestamp").rlike(MOMENT), F.lit(False)) | _seconds().isNull(),
    ]
    problem = F.when(F.col("problem").isNotNull(), F.col("problem"))
    for fault, text in zip(faults, PROBLEMS, strict=True):
        problem = problem.when(fault, F.lit(text))
    line = F.coalesce(F.col("raw"), F.concat_ws(",", *(F.coalesce(F.col(name), F.lit("")) for name in COLUMNS)))
    others = [name for name in raw.columns if name not in ("problem", "raw")]
    return raw.select(*others, problem.alias("problem"), F.when(problem.isNotNull(), line).alias("raw"))


def exploded_frame(ratings: "pd.DataFrame") -> "pd.DataFrame":
    """A set as five rows of weight 1/5 with the set's rating; an invalid one as one row with its problem."""
    bad = ratings["problem"].notna()
    items = [[None] if no else ids for no, ids in zip(bad, ratings[ITEMS].to_numpy().tolist(), strict=True)]
    listed = ratings.drop(columns=ITEMS).assign(item_id=items, weight=WEIGHT)  # type: ignore[arg-type]  # a list in each cell
    return listed.explode("item_id", ignore_index=True)


def exploded(ratings: "DataFrame") -> "DataFrame":
    """`exploded_frame` in Spark."""
    from pyspark.sql import functions as F

    items = F.when(F.col("problem").isNull(), F.array(*ITEMS))
    return ratings.withColumn("item_id", F.explode_outer(items)).drop(*ITEMS).withColumn("weight", F.lit(WEIGHT))


def sound(ratings: "DataFrame") -> "DataFrame":
    """The valid sets: user_id, item_ids, rating, timestamp (unix seconds)."""
    from pyspark.sql import functions as F

    return ratings.where(F.col("problem").isNull()).select(
        "user_id", F.array(*ITEMS).alias("item_ids"), F.trim("rating").cast("double").alias("rating"), _seconds().alias("timestamp")
    )


def _seconds() -> "Column":
    from pyspark.sql import functions as F

    return F.unix_timestamp(F.try_to_timestamp(F.concat(F.col("timestamp"), F.lit("Z"))))
