"""Explanations: why an item is recommended to a user, and which items are similar, according to a model.

Imports torch, as `engine.recommend.recommender` does.

Letters: N items, n liked items, k items to explain, S width of a vector.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from workers.artifacts import FEATURE
from workers.matrices import EASE, ItemKNN, MarkovChain
from workers.serving import OpenedFunnel, OpenedMatrix, OpenedModel, OpenedNetwork, UserItems, newcomer
from workers.specs import HISTORY, ITEM_ID, FeatureSchema

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NAMED = 2  # liked items per explanation
NEAREST = "The liked items with the highest cosine similarity to this item."
ADDED = "The liked items that add most to this item's score."
FOLLOWED = "The liked items that this item follows most, the latest of them counted most."
FOLLOWS = "How often an item is liked after this one, held back by its popularity as in the model."
WEIGHED = "What a like of the item adds to the score of another item."
COSINE = "Cosine similarity of the items' vectors: 1 is the same direction."
ORDERS = "For the ranker, which orders the retrieved candidates."
ADDS = "For the ranker's part of the score, to which the retriever's part is added."
ALONE = "For the retriever, whose score alone orders the candidates."
LEFT_OUT = (
    "How much lower the score is without a group of features: the history empty, the user's id and features unknown, or the item's "
    "features unknown. One group is left out at a time, so the effect of two groups together is in neither or in both."
)


class Reasons(NamedTuple):
    """For each of k items, either liked items or parts of the score; both empty where the model offers no explanation."""

    method: str  # a sentence on the method
    liked: list[np.ndarray]  # places of liked items, the strongest first, int64 [<= NAMED] each
    parts: list[dict[str, float]]  # group of features -> score with it minus score without it


def reasons(opened: OpenedModel, schema: FeatureSchema, row: pd.DataFrame, user_items: UserItems, places: np.ndarray) -> Reasons:
    """Why some items, at places int64 [k], were ranked as they were for a user.

    Args:
        row: the user's encoded features. user_items: the items seen and liked before.
    """
    if isinstance(opened, OpenedFunnel):  # the ranker decides the order, or most of it, unless the retriever does alone
        alone = opened.weight is None
        own = reasons(opened.retriever if alone else opened.ranker, schema, row, user_items, places)
        whose = ALONE if alone else ADDS if opened.weight else ORDERS
        return own._replace(method=f"{whose} {own.method}" if own.method else "")
    chain = opened.model if isinstance(opened, OpenedMatrix) and isinstance(opened.model, MarkovChain) else None
    places_liked, counted = user_items.liked, user_items.weights
    if chain is not None:
        places_liked, counted = user_items.sequence, chain.ages_counted([len(user_items.sequence)])
    liked, at = np.unique(places_liked, return_inverse=True)
    weights = np.bincount(at, counted, len(liked))
    if (added := item_weights(opened)) is not None:
        among = added[liked][:, places]
        dense = among.toarray() if hasattr(among, "toarray") else among
        return Reasons(FOLLOWED if chain is not None else ADDED, _strongest(liked, places, weights[:, None] * dense), [])
    if (vectors := unit_vectors(opened)) is not None:
        return Reasons(NEAREST, _strongest(liked, places, vectors[liked] @ vectors[places].T), [])
    if isinstance(opened, OpenedNetwork):
        return Reasons(LEFT_OUT, [], _left_out(opened, schema, row, user_items, places))
    return Reasons("", [], [])


def likeness(opened: OpenedModel, place: int) -> tuple[np.ndarray, str] | None:
    """Similarity of all items to the item at a place, float32 [N], -inf for itself and for unrelated items; and the method, as a sentence.

    None for a model without item vectors and item weights. For a funnel: that of its retriever.
    """
    if isinstance(opened, OpenedFunnel):
        return likeness(opened.retriever, place)
    if (added := item_weights(opened)) is not None:
        row = added[[place]]
        similarity = np.array(row.toarray() if hasattr(row, "toarray") else row, np.float32)[0]
        method = WEIGHED
        if isinstance(opened, OpenedMatrix) and isinstance(opened.model, MarkovChain):
            similarity, method = similarity * opened.model.boost, FOLLOWS
        similarity[similarity <= 0] = -np.inf
    elif (vectors := unit_vectors(opened)) is not None:
        similarity, method = (vectors @ vectors[place]).astype(np.float32), COSINE
    else:
        return None
    similarity[place] = -np.inf
    return similarity, method


def item_weights(opened: OpenedModel) -> "np.ndarray | csr_matrix | None":
    """What a like of one item (row) adds to the score of another (column): [N, N], dense or sparse; None for other models."""
    model = opened.model if isinstance(opened, OpenedMatrix) else None
    if isinstance(model, EASE):
        return model.weights
    if isinstance(model, MarkovChain):
        return model.following  # of each score before it is held back, which changes no order of reasons
    return model.nearest if isinstance(model, ItemKNN) else None


def unit_vectors(opened: OpenedModel) -> np.ndarray | None:
    """Item vectors of length 1, float32 [N, S], without the bias in the last column of two-tower items; None for models without vectors."""
    vectors = opened.vectors
    if vectors is None:
        return None
    if isinstance(opened, OpenedNetwork):
        vectors = vectors[:, :-1]
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _strongest(liked: np.ndarray, places: np.ndarray, strength: np.ndarray) -> list[np.ndarray]:
    """For each column of [n, k], the liked places with the largest positive strengths, without the item itself."""
    strength = np.where(liked[:, None] == places, 0, strength)
    order = np.argsort(-strength, axis=0, kind="stable")[:NAMED]
    return [liked[rows[strength[rows, column] > 0]] for column, rows in enumerate(order.T)]


def _left_out(
    opened: OpenedNetwork, schema: FeatureSchema, row: pd.DataFrame, user_items: UserItems, places: np.ndarray
) -> list[dict[str, float]]:
    person = opened.people(row, [user_items])[0]
    whole = opened.scores(person, places)
    bag = row[FEATURE + HISTORY].iloc[0] if schema.has_history else ()
    without = {"user": opened.scores(opened.people(newcomer(schema, bag), [user_items])[0], places)}
    if schema.has_history:
        nothing = row.assign(**{FEATURE + HISTORY: [np.zeros(0, np.int32)]})  # type: ignore[arg-type]  # an array in the cell
        without = {"history": opened.scores(opened.people(nothing, [user_items])[0], places)} | without
    bare = OpenedNetwork(_without_features(opened.items.iloc[places], schema), opened.model, schema)
    without["item"] = bare.scores(person)
    read = {name: whole - scores for name, scores in without.items() if not np.array_equal(whole, scores)}
    return [{name: float(lost[at]) for name, lost in read.items()} for at in range(len(places))]


def _without_features(items: pd.DataFrame, schema: FeatureSchema) -> pd.DataFrame:
    """Items with unknown features; their ids stay."""
    empty: dict[str, Sequence[Any]] = {}
    for feature in schema.on("item"):
        if feature.name != ITEM_ID:
            empty[FEATURE + feature.name] = [np.zeros(0, np.int32) if feature.multi_valued else 0] * len(items)
    for place in schema.dense_on("item"):
        empty[FEATURE + schema.dense[place].name] = [0.0] * len(items)
    return items.assign(**empty)
