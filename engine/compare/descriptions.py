"""What was measured and tested, and how, in words: the same for pages, the command line and reports."""

from collections.abc import Sequence

from engine.compare.contenders import Comparison
from engine.compare.numbers import count, percent
from engine.compare.significance import OVER_ROWS
from engine.compare.verdict import MetricVerdict, PairVerdict
from workers.specs import TARGETS, Protocol

FAMILIES = {
    "ranking": "Ranking the whole catalogue",
    "lists": "Diversity and novelty of the lists",
    "pointwise": "Predicting likes of given items",
    "value": "Predicting the value",
    "classes": "Predicting the class",
    "actions": "Predicting actions",
    "sets": "Rating sets of items",
}  # of metrics
SLICE_NOTES = {
    "popularity": "Recall of the relevant items of a group, over users who have one. Head, middle and tail hold a third of all likes in "
    "training each.",
    "genre": "Recall of the relevant items of a genre, over users who have one. An item counts in each of its genres.",
    "recency": "Time between the user's last interaction in training and the last of all users.",
    "activity": "Interactions of the user in training.",
    "cold": "Test rows by whether their user and item occur in training.",
}  # what a slice is, by what is sliced
PAIR_HEADS = {
    "difference": "The first minus the second, with half of its 95 % interval. What another seed may change is counted in it.",
    "p": "Probability of a difference at least this large if there were none, corrected for the number of pairs (Holm).",
    "visible from": "The smallest difference that 80 % of such tests would show with as many users and seeds.",
    "users needed": "How many users it takes to show the difference, or that it is below what matters, in 80 % of such tests.",
}  # what the columns of tested pairs mean
RELIABILITY_NOTE = (
    "Of rows predicted at 70 %, 70 % should be liked: the dotted line. Below it a model predicts too much. Larger points: more rows."
)
BEST, CLOSE = "★", "☆"
SETTINGS = {
    "candidates": "what is ranked",
    "exclude_seen": "items seen before left out",
    "target": "what a list should hold",
    "list_length": "items kept of each list",
    "tie_seed": "seed of the order of ties",
}  # of a protocol, for people


def mark_of(judged: MetricVerdict | None, letter: str) -> str:
    """A star for the winner of a metric, a hollow one for who leads, but not surely, or by too little to matter; empty for all others."""
    if judged is None or judged.leader != letter:
        return ""
    return CLOSE if judged.unsure_of else BEST


def mark_legend(comparison: Comparison) -> str:
    """What the marks of a table of metrics mean."""
    against = next((c.name if c.run_id is None else c.letter for c in comparison.contenders if c.letter == comparison.against), "")
    seeds = ["σ standard deviation between seeds"] if any(len(c.run_ids) > 1 for c in comparison.contenders) else []
    marks = [f"{BEST} best", f"{CLOSE} best value, but perhaps by chance, or by too little to matter", "± half of the 95 % interval"]
    return " · ".join([*marks, *seeds, f"below: difference to {against}"])


def protocol_setting(name: str) -> str:
    """The name of a protocol's setting for people."""
    return SETTINGS.get(name, name.replace("_", " "))


def protocol_sentence(measured: Protocol, items: int | None, users: int) -> str:
    """How lists were measured; `items`: of the catalogue, None where they were not counted."""
    catalogue = "the full catalogue" if items is None else f"the full catalogue of {count(items)} items"
    seen = "without items that the user has seen before" if measured.exclude_seen else "with items that the user has seen before"
    people = f"{count(users)} test user{'' if users == 1 else 's'}"
    order = f"equal scores are put in one random order, the same for all (seed {measured.tie_seed})"
    hits = "" if measured.target == "later" else f", by {TARGETS[measured.target]} of each user"
    return f"Measured on lists out of {catalogue}, {seen}, for {people}{hits}; {order}."


def protocol_settings(measured: Protocol) -> list[tuple[str, str, str]]:
    """Every setting of a protocol: its name for people, its value as text, and what it means."""
    return [
        (protocol_setting(name), _text(getattr(measured, name)), f"{field.description}.")
        for name, field in type(measured).model_fields.items()
    ]


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def pairs_basis(tested: Sequence[PairVerdict], comparison: Comparison) -> str:
    """How pairs, one or more, were tested, and the difference that matters."""
    unit = tested[0].unit
    together = ", all rows of a user together" if unit == "users" and tested[0].metric in OVER_ROWS else ""
    many = f"{len(tested)} pairs" if len(tested) > 1 else "1 pair"
    matters = f" · what matters: {percent(comparison.threshold)} of a value"
    return (
        f"Paired t-tests over {count(max(pair.n or 0 for pair in tested))} test {unit}{together}, with what seeds may change · "
        f"p corrected for {many} (Holm) · significant: p below 0.05{matters}"
    )
