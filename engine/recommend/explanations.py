"""Why an item stands in a person's list, and which items are like one, as far as a model can tell.

Brings torch, as `engine.recommend.recommender` does.

Letters: N items, n liked items, k items asked about, S width of a vector.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workers.artifacts import FEATURE
from workers.matrices import EASE, ItemKNN
from workers.serving import OpenedFunnel, OpenedMatrix, OpenedModel, OpenedNetwork, UserItems, newcomer
from workers.specs import HISTORY, ITEM_ID, FeatureSchema

NAMED = 2  # liked items that are given as the reason for one
NEAREST = "The liked items whose vectors point most nearly the same way as this item's (cosine)."
ADDED = "The liked items that add most to this item's score."
WEIGHED = "What a like of the item adds to the score of another."
COSINE = "Cosine of the items' vectors: 1 is the same direction."
ORDERS = "Of the ranker, which orders what was retrieved."
LEFT_OUT = (
    "How much lower the score is without a group of features: the history empty, the user's id and features unknown, or the item's "
    "features unknown. One group is left out at a time, so what two say only together is in neither or in both."
)


class Reasons(NamedTuple):
    """Of each of k items, either liked items or parts of the score; both empty where the model has nothing to say."""

    method: str  # a sentence on how they were found
    liked: list[np.ndarray]  # places of liked items, the strongest first, int64 [<= NAMED] each
    parts: list[dict[str, float]]  # group of features -> score with it minus score without it


def reasons(opened: OpenedModel, schema: FeatureSchema, row: pd.DataFrame, met: UserItems, places: np.ndarray) -> Reasons:
    """Why some items, at places int64 [k], were ranked as they were for one person.

    Args:
        row: the person's encoded features. met: what they met.
    """
    if isinstance(opened, OpenedFunnel):  # its order is the ranker's, or for the most part
        found = reasons(opened.ranker, schema, row, met, places)
        whose = "Of the ranker's part of the score, to which the retriever's is added." if opened.weight else ORDERS
        return found._replace(method=f"{whose} {found.method}" if found.method else "")
    liked, at = np.unique(met.liked, return_inverse=True)
    weights = np.bincount(at, met.weights, len(liked))
    if (added := item_weights(opened)) is not None:
        among = added[liked][:, places]
        dense = among.toarray() if hasattr(among, "toarray") else among
        return Reasons(ADDED, _strongest(liked, places, weights[:, None] * dense), [])
    if (vectors := unit_vectors(opened)) is not None:
        return Reasons(NEAREST, _strongest(liked, places, vectors[liked] @ vectors[places].T), [])
    if isinstance(opened, OpenedNetwork):
        return Reasons(LEFT_OUT, [], _left_out(opened, schema, row, met, places))
    return Reasons("", [], [])


def likeness(opened: OpenedModel, place: int) -> tuple[np.ndarray, str] | None:
    """How like the item at a place all items are, float32 [N], -inf for itself and for what has nothing in common; and how it was found.

    None of a model that has neither vectors nor weights of items. Of a funnel: its retriever's.
    """
    if isinstance(opened, OpenedFunnel):
        return likeness(opened.retriever, place)
    if (added := item_weights(opened)) is not None:
        row = added[[place]]
        found = np.array(row.toarray() if hasattr(row, "toarray") else row, np.float32)[0]
        found[found <= 0] = -np.inf
        method = WEIGHED
    elif (vectors := unit_vectors(opened)) is not None:
        found, method = (vectors @ vectors[place]).astype(np.float32), COSINE
    else:
        return None
    found[place] = -np.inf
    return found, method


def item_weights(opened: OpenedModel) -> Any | None:
    """What a like of one item (row) adds to the score of another (column): [N, N], dense or sparse; None of models without."""
    model = opened.model if isinstance(opened, OpenedMatrix) else None
    if isinstance(model, EASE):
        return model.weights
    return model.nearest if isinstance(model, ItemKNN) else None


def unit_vectors(opened: OpenedModel) -> np.ndarray | None:
    """Item vectors of length 1, float32 [N, S], without the bias that a tower's items carry last; None of models without."""
    vectors = opened.vectors
    if vectors is None:
        return None
    if isinstance(opened, OpenedNetwork):
        vectors = vectors[:, :-1]
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _strongest(liked: np.ndarray, places: np.ndarray, strength: np.ndarray) -> list[np.ndarray]:
    """Of each column of [n, k] the liked places of the greatest positive strengths; no item is its own reason."""
    strength = np.where(liked[:, None] == places, 0, strength)
    order = np.argsort(-strength, axis=0, kind="stable")[:NAMED]
    return [liked[rows[strength[rows, column] > 0]] for column, rows in enumerate(order.T)]


def _left_out(
    opened: OpenedNetwork, schema: FeatureSchema, row: pd.DataFrame, met: UserItems, places: np.ndarray
) -> list[dict[str, float]]:
    person = opened.people(row, [met])[0]
    whole = opened.scores(person, places)
    bag = row[FEATURE + HISTORY].iloc[0] if schema.has_history else ()
    without = {"user": opened.scores(opened.people(newcomer(schema, bag), [met])[0], places)}
    if schema.has_history:
        nothing = row.assign(**{FEATURE + HISTORY: [np.zeros(0, np.int32)]})
        without = {"history": opened.scores(opened.people(nothing, [met])[0], places)} | without
    bare = OpenedNetwork(_without_features(opened.items.iloc[places], schema), opened.model, schema)
    without["item"] = bare.scores(person)
    read = {name: whole - scores for name, scores in without.items() if not np.array_equal(whole, scores)}
    return [{name: float(lost[at]) for name, lost in read.items()} for at in range(len(places))]


def _without_features(items: pd.DataFrame, schema: FeatureSchema) -> pd.DataFrame:
    """Items of which nothing is known but which they are."""
    empty: dict[str, Sequence[Any]] = {}
    for feature in schema.on("item"):
        if feature.name != ITEM_ID:
            empty[FEATURE + feature.name] = [np.zeros(0, np.int32) if feature.multi_valued else 0] * len(items)
    for place in schema.dense_on("item"):
        empty[FEATURE + schema.dense[place].name] = [0.0] * len(items)
    return items.assign(**empty)
