"""Causes in what a two-tower was asked to learn, and in its size."""

from engine.diagnosis.evidence import Evidence
from engine.diagnosis.record import Diagnosis, Fix, diagnosis
from workers.evaluation import ALIKE

FEW_CHOICES, FEW_OF_CATALOGUE = 64, 0.1  # candidates of the softmax below which there are few, and as a share of the catalogue
POPULAR = 0.7  # share of the lists that the most popular items fill, from which nothing else was learnt
NARROW, DROPPED, HOT, DISLIKES = 16, 0.85, 0.3, 2.0  # width, history dropout, temperature of a cosine, weight of disliked rows


def pointwise(of: Evidence) -> Diagnosis | None:
    if of.model.objective != "pointwise":
        return None
    return diagnosis(
        of,
        "pointwise",
        "It learned to rate, not to choose: no negatives",
        "The pointwise objective learns the label of rows that exist; what a list needs is to tell these from all other items.",
        Fix("Learn by sampled softmax, against the items of the batch.", model={"objective": "softmax"}),
    )


def dislikes(of: Evidence) -> Diagnosis | None:
    if of.model.explicit_negatives < DISLIKES:
        return None
    return diagnosis(
        of,
        "dislikes",
        "Disliked rows count for more than choosing",
        f"Their loss has a weight of {of.model.explicit_negatives:g} beside that of the softmax, and items that were met at all are "
        "pushed down.",
        Fix("Leave them out.", model={"explicit_negatives": 0.0}),
    )


def few_negatives(of: Evidence) -> Diagnosis | None:
    items = of.counts.get("train_items") or of.counts.get("items") or 0
    if of.model.objective != "softmax" or of.candidates >= min(FEW_CHOICES, FEW_OF_CATALOGUE * items):
        return None
    return diagnosis(
        of,
        "few negatives",
        "Each like was told from a few items only",
        f"The softmax chose among {of.candidates} items of a catalogue of {items:,}: easy choices, of which little is learnt.",
        Fix("Take batches of 1,024 rows, each of which is a candidate.", train={"batch_size": 1024}),
    )


def temperature(of: Evidence) -> Diagnosis | None:
    if of.model.similarity != "cosine" or of.model.temperature < HOT:
        return None
    return diagnosis(
        of,
        "temperature",
        "The temperature keeps scores alike",
        f"Cosines lie between -1 and 1; over a temperature of {of.model.temperature:g} the likeliest of {of.candidates:,} items can hardly "
        "stand out, however well it fits.",
        Fix("Divide by 0.1.", model={"temperature": 0.1}),
    )


def collapsed(of: Evidence) -> Diagnosis | None:
    if not of.alike > ALIKE:
        return None
    return diagnosis(
        of,
        "collapsed",
        "Item vectors have collapsed",
        f"The mean cosine between two items is {of.alike:.3f}: to the index all items look the same.",
        Fix("Begin with smaller weights, and without hidden layers.", model={"init_std": of.model.init_std / 4, "item_layers": ()}),
    )


def dropout(of: Evidence) -> Diagnosis | None:
    if not (of.model.history and of.schema.has_history and of.model.history_dropout > DROPPED):
        return None
    return diagnosis(
        of,
        "dropout",
        "Nearly all of the history is left out in training",
        f"Each step sees {1 - of.model.history_dropout:.0%} of a user's likes, where lists are made from all of them.",
        Fix("Leave out half.", model={"history_dropout": 0.5}),
    )


def narrow(of: Evidence) -> Diagnosis | None:
    if of.model.embedding_dim >= NARROW:
        return None
    return diagnosis(
        of,
        "narrow",
        "Its vectors are too narrow",
        f"Users and items have {of.model.embedding_dim} numbers each to meet in.",
        Fix("Give them 64.", model={"embedding_dim": 64}),
    )


def popularity_alone(of: Evidence) -> Diagnosis | None:
    if not of.shared > POPULAR:
        return None
    return diagnosis(
        of,
        "popularity alone",
        "It learned what is popular, and little else",
        f"{of.shared:.0%} of its lists are the most popular items that the user has not met; its NDCG@10 is {of.ndcg:.3f}"
        + (f", theirs {of.popularity:.3f}." if of.popularity is not None else "."),
        Fix("Draw candidates from the whole catalogue as well, so that popular ones are not the only ones.", {"uniform_negatives": 1024}),
    )
