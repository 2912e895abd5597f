"""Two-tower or DLRM? What is true of both in general, beside the results of the best of each on this dataset."""

import pandas as pd
import streamlit as st

import engine
from engine.compare import Comparison, StageFacts
from ui.compare import growth
from ui.shared import tables, words

STAGES = ("retrieval", "ranking")
GENERAL = {
    "training set": ("smaller", "larger"),
    "model size": ("smaller", "larger"),
    "inputs": (
        "usually two ids (user, item), extendable to several features a side",
        "many categorical and dense features (user, gender, place, item, category, price …)",
    ),
    "outputs": (
        "mainly binary, plus embeddings for a vector store; extendable to regression, multi-class, several actions",
        "binary, multi-class, regression, more",
    ),
    "use": ("hundreds or thousands of good candidates, very cheaply", "fine-grained: the tens that matter"),
    "time": (words.DASH, words.DASH),
}
SIZE, TIME = ("parameters", "checkpoint"), ("time", "latency", "p50", "p99")
MOST = 12  # names of features


def section(comparison: Comparison) -> None:
    """The guide, folded; no section where the contenders have neither a two-tower nor a ranker."""
    found = engine.compare.guide(comparison)
    if not any(found.values()):
        return
    short = engine.compare.names(comparison.contenders)
    with st.expander("Two-tower or DLRM?", icon=":material/signpost:"):
        columns = {
            "Two-tower, in general": [two for two, _ in GENERAL.values()],
            "DLRM, in general": [rank for _, rank in GENERAL.values()],
        }
        for stage, noun in zip(STAGES, ("two-tower", "ranker"), strict=True):
            one = found[stage]
            head = f"{one.letter} {words.plain(short[one.letter], 60)}, here" if one else f"No {noun} here"
            columns[head] = _facts(one, _growth(comparison, one, stage))
        tables.show(tables.small_table(pd.DataFrame(columns, index=list(GENERAL)), left=True))
        text = "The best two-tower and the best ranker of this comparison, measured on this dataset."
        st.caption(f"{text} A dash: not measured. Sizes depend on the settings as much as on the kind of model.")


def _growth(comparison: Comparison, one: StageFacts | None, stage: str) -> str:
    """What more data gives a contender, by the first metric that it is judged by here; empty where that was not measured."""
    known = [key for key in one.metrics if key != "ndcg_at_10" or stage == "retrieval"] if one else []
    return growth.measured(comparison, one.letter, known[0]) if one and known else ""


def _facts(one: StageFacts | None, more: str = "") -> list[str]:
    """A contender's cells, in the order of GENERAL. more: what more data gives it."""
    if one is None:
        return [words.DASH] * len(GENERAL)
    quality = [
        f"{engine.specs.METRICS[key].label} {words.number(value)}" for key, value in one.metrics.items() if key in engine.specs.METRICS
    ]
    rows = " · ".join(part for part in (_rows(one), more) if part)
    return [rows, _costs(one, SIZE), _reads(one), one.outputs or words.DASH, " · ".join(quality) or words.DASH, _costs(one, TIME)]


def _rows(one: StageFacts) -> str:
    if one.train_rows is None:
        return words.DASH
    return f"{words.count(one.train_rows)} {'liked ' if one.liked_alone else ''}training rows"


def _reads(one: StageFacts) -> str:
    if one.reads is None:
        return words.DASH
    named = ", ".join(words.plain(name, 30) for name in one.reads[:MOST]) + (" …" if len(one.reads) > MOST else "")
    return f"{len(one.reads)} of {one.features} features: {named}"


def _costs(one: StageFacts, about: tuple[str, ...]) -> str:
    """The costs whose names hold one of some words."""
    costs = [(fact, value, unit) for fact, value, unit in one.costs if any(word in fact.lower() for word in about)]
    return " · ".join(f"{fact.lower()} {_quantity(value, unit)}" for fact, value, unit in costs) or words.DASH


def _quantity(value: float, unit: str) -> str:
    """12.5 s, 0.331 MB, 80,484: a unit that `words.quantity` does not write itself follows."""
    text = words.quantity(value, unit)
    return text if unit in ("s", "seconds", "B", "bytes", "") else f"{text} {unit}"
