"""What each possible split leaves to measure, and the one that is proposed in place of the chosen one."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

import engine
from engine.datasets import SplitFacts
from engine.preview import Preview
from ui.data.rules import SPLIT_NAMES
from ui.shared import tables, words

ANSWERS = {
    "time": "what happens next month, new users and items included",
    "per_user": "what each user does next; leaks other users' future",
    "last": "which item each user likes last; leaks other users' future",
    "random": "which rows are missing; leaks the future",
    "column": "what your column holds out",
}
TOOLTIPS = {
    "users to rank": "Users of train who like an item of train anew in test. Ranking metrics are means over them.",
    "test users": "Different users in test.",
    "cold users": "Share of test users that training does not have: models know nothing about them.",
    "cold items": "Share of test items that training does not have: no model can rank them.",
    "shows": "The smallest difference in NDCG@10 between two models that so many users can show, at 5 % with a power of 80 %: "
    "2.80 × 0.17 / √users, 0.17 being the standard deviation of users' differences on MovieLens 100K.",
    "answers": "The question that a model's test metrics answer.",
}


def outcome(seen: Preview, chosen: str, pick: Callable[[str], None], key: str) -> None:
    """A warning where the chosen split leaves little to measure, a button that picks a better one, and the figures of all splits.

    Args:
        pick: chooses a split by its kind, when the button is clicked.
    """
    if chosen not in seen.splits:
        return
    own, better = seen.splits[chosen], engine.preview.better_split(seen.splits, chosen)
    estimate = "About " if seen.audit.truncated else ""
    if engine.preview.is_thin(own):
        st.warning(_thin(own, seen, better), icon=":material/group_off:", title=f"{estimate}{_left(own, seen)}")
    elif better is not None:
        st.info(_other(seen.splits[better], better), icon=":material/call_split:", title="Another split leaks less")
    if better is not None:
        label = f"Split it this way: {SPLIT_NAMES[better]}"
        st.button(label, type="primary", icon=":material/call_split:", key=f"{key}.better", on_click=pick, args=(better,))
    st.markdown("**What each split leaves to measure**")
    tables.show(tables.small_table(frame(seen, chosen), "split", left=True, tooltips=TOOLTIPS))
    if notes := _notes(seen, chosen):
        st.caption(" ".join(notes))


def _left(facts: SplitFacts, seen: Preview) -> str:
    return f"{words.count(facts.users_to_rank)} of {words.count(seen.audit.users)} users are left to rank"


def _thin(facts: SplitFacts, seen: Preview, better: str | None) -> str:
    cold = f"{words.count(facts.cold_users)} of {words.count(facts.users)} test users are not in training: no model knows them."
    shown = engine.preview.seen_from(facts)
    power = (
        "No ranking metric can be measured." if words.missing(shown) else f"Two models that differ by less than {_two(shown)} look equal."
    )
    return " ".join([cold, power, *([_other(seen.splits[better], better)] if better else ["Use more interactions, or a larger test."])])


def _other(facts: SplitFacts, kind: str) -> str:
    shown = _two(engine.preview.seen_from(facts))
    return (
        f"**{SPLIT_NAMES[kind]}** leaves {words.count(facts.users_to_rank)} users to rank, which show differences from {shown} on. "
        f"It answers {ANSWERS[kind]}."
    )


def _two(number: float) -> str:
    return f"{number:.3f}" if number < 0.02 else f"{number:.2f}"


def frame(seen: Preview, chosen: str) -> pd.DataFrame:
    """Ready text: a row for each split, the chosen one first."""
    rows = {}
    for kind in sorted(seen.splits, key=lambda kind: kind != chosen):
        facts = seen.splits[kind]
        shown = engine.preview.seen_from(facts)
        rows[f"{SPLIT_NAMES[kind]} (chosen)" if kind == chosen else SPLIT_NAMES[kind]] = {
            "users to rank": words.count(facts.users_to_rank),
            "test users": words.count(facts.users),
            "cold users": _share(facts.cold_users, facts.users),
            "cold items": _share(facts.cold_items, facts.items),
            "shows": words.DASH if words.missing(shown) else f"from {_two(shown)}",
            "answers": ANSWERS[kind],
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _share(part: int | None, whole: int | None) -> str:
    return words.percent(part / whole) if part is not None and whole else words.DASH


def _notes(seen: Preview, chosen: str) -> list[str]:
    notes = []
    if seen.audit.truncated:
        notes.append(f"An estimate of the first {words.count(seen.audit.rows_read)} rows; by time, all rows may differ much.")
    if seen.splits_of > 1:
        notes.append(f"Splits other than {SPLIT_NAMES[chosen]} are estimated from one user in {words.count(seen.splits_of)}.")
    return notes
