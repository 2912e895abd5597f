"""Causes in what a two-tower was given: too few users, rows that train cannot know, the rule of a like, what the towers read."""

from engine.diagnosis.evidence import Evidence
from engine.diagnosis.record import Diagnosis, Fix, diagnosis
from workers.evaluation import FEW_USERS
from workers.specs import HISTORY, ITEM_ID, USER_ID

UNKNOWN = 0.5  # share of test rows that train cannot know, from which they are the first thing to mend
LIKED = (0.02, 0.9)  # share of train rows that a rule on ratings may call likes
ROWS_A_VALUE = 5  # of train, below which a value of a feature is hardly met twice


def few_users(of: Evidence) -> Diagnosis | None:
    if of.users >= FEW_USERS:
        return None
    return diagnosis(
        of,
        "few users",
        "Too few users are measured",
        f"Metrics are means over {of.users} test users; with so few, another draw of users gives other numbers.",
        Fix("Prepare the dataset with a larger test share, a split per user, or more interactions."),
    )


def unknown_rows(of: Evidence) -> Diagnosis | None:
    rows = of.counts.get("interactions", {}).get("test") or 0
    cold = max(of.counts.get("cold_user_rows_test") or 0, of.counts.get("cold_item_rows_test") or 0)
    if not rows or cold / rows < UNKNOWN:
        return None
    who = "users" if cold == of.counts.get("cold_user_rows_test") else "items"
    return diagnosis(
        of,
        "unknown rows",
        f"Most test rows are of {who} that training has not met",
        f"{cold:,} of {rows:,} test rows ({cold / rows:.0%}): for them the model has nothing to go by, and few users are left to rank for.",
        Fix("Prepare the dataset with a split per user, or with more of the past; or take a ranker that reads features of newcomers."),
    )


def label_rule(of: Evidence) -> Diagnosis | None:
    rows, likes = (of.counts.get(name, {}).get("train") or 0 for name in ("interactions", "positives"))
    if not rows or of.label.get("kind") not in ("threshold", "mean", "user_mean") or LIKED[0] <= likes / rows <= LIKED[1]:
        return None
    many = likes / rows > LIKED[1]
    what = "nearly everything counts as a like" if many else "hardly anything counts as a like"
    how = "a higher threshold, or each user's own mean" if many else "a lower threshold"
    return diagnosis(
        of,
        "label rule",
        f"By the label rule {what}",
        f"{likes:,} of {rows:,} train rows are likes ({likes / rows:.1%}), so what is learnt is who meets an item, not who likes it.",
        Fix(f"Prepare the dataset with {how}."),
    )


def reads_nothing(of: Evidence) -> Diagnosis | None:
    features = of.model.user_features and any(f.side != "item" and f.name not in (USER_ID, HISTORY) for f in of.schema.categorical)
    numbers = of.model.user_features and bool(of.schema.dense_on("user", "context"))
    if of.model.user_id or features or numbers or (of.model.history and of.schema.has_history):
        return None
    return diagnosis(
        of,
        "reads nothing",
        "The user tower reads nothing that tells users apart",
        "Neither history nor user id nor features of users are read, so that everybody gets one list.",
        Fix("Read the history of likes.", model={"history": True})
        if of.schema.has_history
        else Fix("Read the user's id.", model={"user_id": True}),
    )


def noise(of: Evidence) -> Diagnosis | None:
    rows = of.counts.get("positives", {}).get("train") or 0
    read = [
        f
        for f in of.schema.categorical
        if f.name not in (USER_ID, HISTORY, ITEM_ID) and (of.model.item_features if f.side == "item" else of.model.user_features)
    ]
    rare = [f for f in read if not f.multi_valued and rows / max(1, f.num_rows - 1) < ROWS_A_VALUE]
    if not rare:
        return None
    worst = max(rare, key=lambda f: f.num_rows)
    side = "item_features" if worst.side == "item" else "user_features"
    return diagnosis(
        of,
        "noise",
        "It reads a feature that is noise",
        f"{worst.name} has {worst.num_rows - 1:,} values for {rows:,} likes: hardly one is met often enough to be learnt.",
        Fix(f"Do not read features of the {'item' if worst.side == 'item' else 'user'}.", model={side: False}),
    )
