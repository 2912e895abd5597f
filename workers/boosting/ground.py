"""All that trees learn from, laid out once for every fit on the same rows: features, binned training rows, and what validation judges."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch

from workers.artifacts import FEATURE, VALID, VOCABULARY, PreparedDataset
from workers.batches import Likes, read_likes, table_columns, to_batch
from workers.boosting.features import Features, counted, is_category, reads_history
from workers.boosting.rows import read_rows_of_trees, rows_of
from workers.boosting.statistics import Neighbours, count
from workers.evaluation import area, catalogue, metrics, ndcg_at_k, owners, tie_order, users_to_rank, users_to_validate
from workers.models import MANY, LightGBMSpec
from workers.specs import TIE_SEED, FeatureSchema, Protocol, Task

if TYPE_CHECKING:
    import lightgbm

AT_ONCE = 1 << 16  # rows that are given to LightGBM at a time
VALID_ROWS = 200_000  # of validation, by which the number of trees is chosen
SETTINGS = {"negatives", "objective", "num_negatives", "history", "smoothing", "neighbours", "history_length", "most_rows", "without"}
Judge = Callable[[np.ndarray], float]  # predictions of the rows of validation -> the metric
Say = Callable[[str, int, int], None]  # a phase, what is done of it, and all of it


class Ground(NamedTuple):
    """What trees learn from, by the `SETTINGS` of their spec."""

    task: Task
    features: Features
    train: "lightgbm.Dataset"
    valid: "lightgbm.Dataset | None"  # None where validation has nothing to judge by
    judge: Judge | None
    used: int  # rows of train that are learnt from
    of: int  # and that could be
    rows: int  # of the matrix, drawn items among them


def lay(dataset: PreparedDataset, spec: LightGBMSpec, protocol: Protocol, seed: int, folder: Path, say: Say, share: float = 1.0) -> Ground:
    """Read train twice, and validation.

    Args:
        folder: an empty one, for matrices that are larger than memory. share: of the users, whose rows alone are learned from.

    Raises:
        ValueError: there is nothing to learn from.
    """
    import lightgbm

    say("counting what train has", 0, 1)
    features, likes, items = _features(dataset, spec, seed, share)
    rows = read_rows_of_trees(dataset, spec, features, likes, items, folder, seed, lambda done, of: say("reading rows", done, of), share)
    say("sorting numbers into bins", 0, 1)
    parameters = {"verbosity": -1, "feature_pre_filter": False, "num_threads": torch.get_num_threads(), "seed": seed}
    # raw data are kept, since they are on disk
    binned = partial(lightgbm.Dataset, params=parameters, categorical_feature=features.categories, free_raw_data=False)
    train = binned(_parts(rows.matrix), rows.target, weight=rows.weight, group=rows.groups).construct()
    found = _catalogue(dataset, features, items, folder, protocol) if spec.learns_choice else _rows(spec, dataset, features)
    valid = None if found is None else binned(_parts(found[0]), np.zeros(len(found[0])), reference=train).construct()
    return Ground(dataset.task, features, train, valid, found and found[1], rows.used, rows.of, len(rows.matrix))


def _features(dataset: PreparedDataset, spec: LightGBMSpec, seed: int, share: float) -> tuple[Features, Likes | None, pd.DataFrame]:
    """Features, who liked what, and the catalogue; None and empty where the dataset has no users or no items."""
    schema = dataset.schema
    likes = read_likes(dataset, share=share) if schema.can_rank else None
    items = catalogue(dataset.folder) if schema.can_rank else pd.DataFrame()
    reads = likes is not None and reads_history(spec, schema)
    neighbours = Neighbours.of(likes, spec.neighbours) if likes is not None and reads else None
    shared = _shared(schema, items, spec.without) if reads else {}
    statistics = count(dataset, counted(spec, schema), spec.smoothing, seed, share)
    return Features(spec, schema, statistics, neighbours, shared, _values(dataset)), likes, items


def _shared(schema: FeatureSchema, items: pd.DataFrame, without: Collection[str]) -> dict[str, np.ndarray]:
    """Which values of each feature with few of them an item has: uint8 [N + 1, V]."""
    held = {}
    for feature in schema.on("item"):
        if feature.name in without or feature.num_rows > MANY or not (feature.multi_valued or is_category(feature)):
            continue
        table, column = np.zeros((len(items) + 1, feature.num_rows), np.uint8), items[FEATURE + feature.name]
        bags = [np.atleast_1d(np.asarray(one, np.int64)) for one in column]
        table[np.repeat(items["row"].to_numpy(), [len(bag) for bag in bags]), np.concatenate([np.zeros(0, np.int64), *bags])] = 1
        table[:, 0] = 0  # the unknown value is none
        held[feature.name] = table
    return held


def _values(dataset: PreparedDataset) -> dict[str, list[str]]:
    """Names of the values of bags that are read one by one, as far as the dataset kept them."""
    names = {}
    for feature in dataset.schema.categorical:
        path = dataset.folder / VOCABULARY / f"{feature.vocabulary}.parquet"
        if feature.multi_valued and feature.num_rows <= MANY and path.is_file():
            known = pd.read_parquet(path, columns=["row", "value"]).set_index("row")["value"]
            names[feature.name] = [str(known.get(row, row))[:60] for row in range(feature.num_rows)]
    return names


def _parts(matrix: np.ndarray) -> "lightgbm.Sequence":
    """The rows of a matrix, of which LightGBM reads a part at a time."""
    import lightgbm

    class Parts(lightgbm.Sequence):
        batch_size = AT_ONCE

        def __len__(self) -> int:
            return len(matrix)

        def __getitem__(self, at: int | slice | list[int]) -> np.ndarray:
            return np.asarray(matrix[at], np.float64)

    return Parts()


def _rows(spec: LightGBMSpec, dataset: PreparedDataset, features: Features) -> tuple[np.ndarray, Judge] | None:
    """The rows of validation, and what judges their predictions; None where validation has nothing to judge by."""
    matrix, facts = rows_of(dataset, features, VALID, VALID_ROWS)
    label, target, known = facts.label, facts.target, facts.known
    output = dataset.task.output if spec.predicts_label else "binary"
    if not known.any():
        return None
    if output == "regression":
        return matrix, lambda said: float(np.sqrt(np.mean((said - target)[known] ** 2)))
    if output == "multi_class":
        at = np.flatnonzero(known)
        return matrix, lambda said: float(-np.log(np.clip(said[at, target[at].astype(int)], 1e-15, 1)).mean())
    if len(np.unique(label[known] > 0)) < 2:
        return None
    if spec.predicts_label:
        liked = label[known] > 0
        return matrix, lambda said: float(-np.log(np.clip(np.where(liked, said[known], 1 - said[known]), 1e-15, 1)).mean())
    single = owners(np.zeros(int(known.sum()), np.int64))
    return matrix, lambda said: float(area(said[known], label[known].astype(np.float64), single).value)


def _catalogue(
    dataset: PreparedDataset, features: Features, items: pd.DataFrame, folder: Path, protocol: Protocol
) -> tuple[np.ndarray, Judge] | None:
    """All items for some users of validation, judged by NDCG@10 of their lists as the protocol has them; None without such users."""
    users = users_to_rank(dataset.folder, VALID, users_to_validate(len(items)), protocol)
    if users.empty:
        return None
    schema, many = dataset.schema, len(items)
    states = features.items(to_batch(table_columns(items, schema, "item"), schema, many))
    people = features.users(to_batch(table_columns(users, schema, "user"), schema, len(users)))
    matrix = np.memmap(folder / "validation", np.float32, "w+", shape=(len(users) * many, len(features.names)))
    relevant, hidden = np.zeros((len(users), many), bool), np.zeros((len(users), many), bool)
    for place, (liked, seen) in enumerate(zip(users["relevant"], users["seen"], strict=True)):
        matrix[place * many : (place + 1) * many] = features.grid(people[place], states)
        relevant[place, np.asarray(liked, int) - 1] = True
        hidden[place, np.asarray(seen, int) - 1] = protocol.exclude_seen
    counts, ties = relevant.sum(1), tie_order(many, TIE_SEED)

    def judge(said: np.ndarray) -> float:
        scores = np.where(hidden, np.float32(-np.inf), said.reshape(hidden.shape).astype(np.float32))
        top = metrics.top_items(metrics.sort_keys(scores, ties), 10)
        return float(ndcg_at_k(np.take_along_axis(relevant & ~hidden, top, axis=1), counts, 10).mean())

    return matrix, judge
