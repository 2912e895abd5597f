"""What each split that a source allows leaves to measure, and which one is proposed. Of the rows of a preview, with pandas."""

from collections.abc import Mapping

import pandas as pd

from engine.datasets import ColumnSplit, DatasetSpec, LastSplit, PerUserSplit, RandomSplit, Split, SplitFacts, TimeSplit, waits_for_train
from engine.preview.audit import split_facts
from engine.preview.labels import label_rows
from engine.preview.rows import in_core, split_rows
from workers.artifacts import TEST
from workers.evaluation import ENOUGH_USERS, smallest_difference

MOSTLY_COLD = 0.5  # share of test users that train does not have, from which a split is thin
MOST_ROWS = 300_000  # compared in full: a second or two
SPREAD = 2_654_435_761  # a large prime (Knuth, "The art of computer programming" 3, 6.4): neighbours among users are not sampled together
SCALED = ("rows", "positives", "users", "cold_users", "cold_user_rows", "cold_item_rows", "users_to_rank")
READ = {"user_id", "item_id", "rating", "category", "timestamp", "subsecond", "split", "weight", "row"}


def possible_splits(spec: DatasetSpec) -> dict[str, Split]:
    """The splits that the source of a spec allows, by kind, with the shares of the spec's own split."""
    reading, own = spec.source.reading(), spec.split
    shares = {} if isinstance(own, ColumnSplit | LastSplit) else {"valid": own.valid, "test": own.test}
    allowed: list[tuple[Split, bool]] = [
        (TimeSplit(**shares), reading.time is not None),
        (PerUserSplit(**shares), reading.time is not None and reading.user),
        (LastSplit(), reading.time is not None and reading.user),
        (RandomSplit(**shares), True),
        (ColumnSplit(), reading.split),
    ]
    return {split.kind: split for split, possible in allowed if possible}


def compare_splits(rows: pd.DataFrame, spec: DatasetSpec) -> dict[str, SplitFacts]:
    """The facts of test under every possible split, by kind; a split that cannot be made of these rows is left out. Empty without users
    and items. Of many rows they are estimated from one user in `one_user_in(rows)`, items excepted, which are those of the sample.

    Args:
        rows: those that a split is made of: before the minimums, which count train rows alone.
    """
    if not {"user_id", "item_id"} <= set(rows):
        return {}
    facts, times = {}, one_user_in(rows)
    numbered = _numbered(rows, times)
    for kind, split in possible_splits(spec).items():
        if kind == "last" and waits_for_train(spec.label):
            continue
        under = spec.model_copy(update={"split": split})
        try:
            parts = numbered.assign(split=split_rows(numbered, under))
            parts = parts[in_core(parts, under)]
            sample = split_facts(parts.assign(label=label_rows(parts, under)[0]), (TEST,))[TEST]
            facts[kind] = sample.model_copy(update={name: times * (getattr(sample, name) or 0) for name in SCALED})
        except ValueError:  # such as labels that are no classes: the spec's own split says so
            continue
    return facts


def one_user_in(rows: pd.DataFrame) -> int:
    """n, where the splits of these rows are compared on one user in n."""
    return -(-len(rows) // MOST_ROWS)


def _numbered(rows: pd.DataFrame, times: int) -> pd.DataFrame:
    """The columns that splits and labels read, with numbers for ids, in the order of the ids: ten times as fast to sort and to count.

    Args:
        times: only the rows of one user in so many are kept.
    """
    columns = [name for name in rows.columns if name in READ or name.startswith("action.")]
    numbered = rows[columns].assign(user_id=pd.factorize(rows["user_id"], sort=True)[0])
    some = numbered[numbered["user_id"] * SPREAD % times == 0] if times > 1 else numbered
    return some.assign(item_id=pd.factorize(some["item_id"], sort=True)[0])


def is_thin(facts: SplitFacts) -> bool:
    """Whether a test has too few users to rank for, or mostly users that train does not have."""
    ranked, users, cold = facts.users_to_rank or 0, facts.users or 0, facts.cold_users or 0
    return ranked < ENOUGH_USERS or cold > MOSTLY_COLD * users


def seen_from(facts: SplitFacts) -> float:
    """The smallest difference in NDCG@10 between two models that the users of a test can show; nan without any."""
    return smallest_difference(facts.users_to_rank or 0)


def better_split(splits: Mapping[str, SplitFacts], chosen: str) -> str | None:
    """The split to propose in place of the chosen one; None where none is clearly better.

    By time is better than at random, unless it is thin. Where it is thin, per user is better if it leaves twice as many users.
    """
    own, by_time, per_user = (splits.get(kind) for kind in (chosen, "time", "per_user"))
    if own is None or chosen not in ("time", "random"):
        return None
    if chosen == "random" and by_time is not None and not is_thin(by_time):
        return "time"
    if per_user is None or (chosen == "time" and not is_thin(own)):
        return None
    enough = 2 * (own.users_to_rank or 0) if chosen == "time" else 1
    return "per_user" if (per_user.users_to_rank or 0) >= max(1, enough) else None
