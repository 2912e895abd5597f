"""What a planned training would meet beside the memory of its devices."""

from collections.abc import Sequence

from engine.datasets import Dataset
from engine.plan.results import RankLoad
from engine.plan.spec import Counts
from engine.preflight import size
from workers.artifacts import TEST
from workers.models import Footprint
from workers.specs import ITEM_ID, USER_ID, FeatureSchema

MUCH_SCORED = 10**9  # bytes that measuring the rows of test may take of a rank
SCORED = 210  # bytes of each row of a rank's users while they are measured; seen with 8 million rows on two ranks
UNEVEN = 2.0  # of the busiest rank's lookups over the mean


def of_unread(label: str, counts: Counts, footprint: Footprint) -> list[str]:
    """Users that the model has no table of."""
    if counts.users is None or any(table.name.split(":")[-1] == USER_ID for table in footprint.tables):
        return []
    return [f"This {label} has no table of users: {counts.users:,} of them take disk and no memory of a device."]


def of_counts(shape: FeatureSchema, interactions: int) -> list[str]:
    """Fewer rows than users or items."""
    found = []
    for name, there, feature in (("users", shape.has_users, USER_ID), ("items", shape.has_items, ITEM_ID)):
        if there and (count := shape.feature(feature).num_rows - 1) > interactions:
            found.append(f"{count:,} {name} have {interactions:,} interactions, fewer than one each: change the interactions too.")
    return found


def of_scores(dataset: Dataset, interactions: int, ranks: int) -> list[str]:
    """Each rank holds the test rows of its users while it measures them."""
    rows = dataset.counts["interactions"].get(TEST, 0) * interactions // max(1, dataset.rows)
    held = SCORED * rows // ranks
    if held < MUCH_SCORED:
        return []
    takes = f"Test would have {rows:,} rows, whose measuring takes {size(held)} of each rank"
    return [f"{takes}: plan more ranks, or prepare with a smaller test share."]


def of_lookups(ranks: Sequence[RankLoad]) -> list[str]:
    """A rank that looks up much more than others."""
    mean = sum(one.lookups for one in ranks) / max(1, len(ranks))
    busiest = max(ranks, key=lambda one: one.lookups, default=None)
    if busiest is None or busiest.lookups < UNEVEN * mean:
        return []
    times = busiest.lookups / mean
    return [f"Rank {busiest.rank} looks up {times:.1f} times as many ids as the mean rank; the others wait for it in each step."]
