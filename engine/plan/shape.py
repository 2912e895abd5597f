"""The shape of a dataset: rows of its vocabularies, and values of a feature in a row, now and with counts changed."""

from collections.abc import Mapping
from pathlib import Path

from engine.datasets import Dataset
from engine.plan.counting import count_of
from engine.plan.spec import Counts
from workers.artifacts import FEATURE, ITEMS, USERS
from workers.specs import HISTORY, ITEM_ID, USER_ID, FeatureSchema

SAMPLED = 200_000  # rows of a table that lengths are averaged over


def sizes_now(dataset: Dataset) -> dict[str, int]:
    """Vocabulary -> values, the unknown one left out, in schema order; `user_id` and `item_id` are the users and items."""
    return {feature.vocabulary: feature.num_rows - 1 for feature in dataset.schema.categorical}


def counts_from(dataset: Dataset, texts: Mapping[str, str]) -> dict[str, object]:
    """The fields of Counts from what people write, such as 300M or 10x.

    Args:
        texts: users, items, interactions, or the name of a vocabulary -> text; an empty one leaves the count as it is.

    Raises:
        ValueError: a text is no count, or it is of something that the dataset does not have.
    """
    now = sizes_now(dataset)
    others = {name: count for name, count in now.items() if name not in (USER_ID, ITEM_ID)}
    known = {"users": now.get(USER_ID), "items": now.get(ITEM_ID), "interactions": dataset.rows, **others}
    found, features = dict[str, object](), dict[str, int]()
    for name, text in texts.items():
        if not text.strip():
            continue
        before = known.get(name)
        if before is None:
            has = ", ".join(one for one, count in known.items() if count is not None)
            raise ValueError(f"This dataset has no {name[:60]!r} to count; it has {has}.")
        count = count_of(text, before, name)
        if name in ("users", "items", "interactions"):
            found[name] = count
        else:
            features[name] = count
    return found | {"features": features}


def shape_of(dataset: Dataset, counts: Counts) -> FeatureSchema:
    """The dataset's schema with other counts.

    Raises:
        ValueError: a count is of something that the dataset does not have.
    """
    now = sizes_now(dataset)
    wanted = dict(counts.features)
    for name, vocabulary, count in (("users", USER_ID, counts.users), ("items", ITEM_ID, counts.items)):
        if count is None:
            continue
        if vocabulary not in now:
            raise ValueError(f"{name} is {count:,}, and this dataset has no {name}; leave it out.")
        wanted[vocabulary] = count
    if foreign := [name for name in wanted if name not in now]:
        raise ValueError(f"This dataset has no vocabulary {foreign[0][:60]!r}; it has {', '.join(now)}.")
    changed = [f.model_copy(update={"num_rows": wanted.get(f.vocabulary, f.num_rows - 1) + 1}) for f in dataset.schema.categorical]
    return dataset.schema.model_copy(update={"categorical": tuple(changed)})


def lengths_of(dataset: Dataset, shape: FeatureSchema, interactions: int) -> dict[str, float]:
    """Values of a feature in a row of train, on average; 1 for a feature with one value, and for bags whose values no table has.

    A history grows with the interactions of a user, up to the length that the dataset keeps.
    """
    lengths: dict[str, float] = {}
    for feature in dataset.schema.categorical:
        known = _measured(dataset.path, feature.name, feature.side) if feature.multi_valued else None
        lengths[feature.name] = known or 1.0
    if HISTORY in lengths and dataset.schema.has_users:
        users = sizes_now(dataset)[USER_ID], shape.feature(USER_ID).num_rows - 1
        more = (interactions / users[1]) / max(1e-9, dataset.rows / users[0])
        most = dataset.manifest.get("spec", {}).get("history") or float("inf")
        lengths[HISTORY] = max(1.0, min(float(most), lengths[HISTORY] * more))
    return lengths


def _measured(folder: Path, name: str, side: str) -> float | None:
    """Mean length of the bags of a feature over rows of train, from the table of its side; None where that does not tell."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path, weight = {"user": (folder / USERS, "interactions"), "item": (folder / ITEMS, "train_count")}.get(side, (None, ""))
    if path is None or not path.is_file():
        return None
    file = pq.ParquetFile(path)
    if not {FEATURE + name, weight} <= set(file.schema_arrow.names):
        return None
    batch = next(file.iter_batches(SAMPLED, columns=[FEATURE + name, weight]), None)
    if batch is None:
        return None
    long, often = pc.fill_null(pc.list_value_length(batch.column(0)), 0), pc.fill_null(batch.column(1), 0)
    rows = pc.sum(often).as_py()
    return float(pc.sum(pc.multiply(pc.cast(long, "int64"), pc.cast(often, "int64"))).as_py() / rows) if rows else None
