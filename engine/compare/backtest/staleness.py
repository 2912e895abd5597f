"""How fast a model grows stale: that of an earlier cut on the window of a later one, beside the model that was trained for that window.

Both rank for the same users with the same likes, those up to the later cut; raw ids lead from one vocabulary to the other. An item that the
older model never met cannot be recommended by it, and counts as missed: that is part of being stale. What was measured is kept.
"""

import json
import logging
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine import datasets, runs
from engine.compare.backtest.plan import FOLDER, Backtest, Entry
from engine.compare.backtest.windows import mean_interval
from engine.compare.cells import protocol_of
from engine.settings import settings
from workers.artifacts import metric as metric_of
from workers.artifacts import write_json

if TYPE_CHECKING:
    import pandas as pd

    from workers.artifacts import PreparedDataset
    from workers.serving import OpenedModel, UserItems

DAY_S = 86_400.0
TOLERANCE = 0.04  # share of a value whose loss is worth a training
log = logging.getLogger(__name__)


class Aged(NamedTuple):
    """A model on the window of a later cut."""

    window: int  # place of the cut whose window it is, and whose model is fresh
    model: int  # place of the older cut
    days: float  # by which the older model's data end earlier
    fresh: float
    stale: float

    @property
    def loss(self) -> float:
        """As a share of the fresh value; positive where the older model is lower."""
        return (self.fresh - self.stale) / abs(self.fresh) if self.fresh else math.nan


class Staleness(NamedTuple):
    """How a contender ages: share of a value that a day costs, with its 95 % interval over windows; nan where that is not known."""

    letter: str
    points: tuple[Aged, ...]
    daily: float
    low: float
    high: float


def pairs_to_measure(backtest: Backtest) -> list[tuple[Entry, Entry]]:
    """(fresh, older) trainings of one contender that have ended, of every later and earlier cut whose times are known."""
    ended = [one for one in backtest.entries if one.state == "finished"]
    ended = [one for one in ended if _ends(backtest.plan.cuts[one.cut].dataset) is not None]
    return [(one, other) for one in ended for other in ended if one.letter == other.letter and other.cut > one.cut]


def unmeasured(backtest: Backtest) -> list[tuple[Entry, Entry]]:
    """Those of `pairs_to_measure` that are still to be measured."""
    return [(fresh, old) for fresh, old in pairs_to_measure(backtest) if _kept(old, fresh) is None]


def measure(fresh: Entry, old: Entry) -> dict[str, float]:
    """The ranking metrics of an older model on the window of a later cut, which are kept; loads the model into this process.

    Raises:
        LookupError, ValueError, OSError: the run or a dataset is gone, or was changed.
    """
    kept = _kept(old, fresh)
    if kept is not None:
        return kept
    values = measured_on(old.run_id or "", fresh.spec.dataset)
    folder = settings().workspace / FOLDER / "aged"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / _name(old, fresh), values)
    return values


def _kept(old: Entry, fresh: Entry) -> dict[str, float] | None:
    try:
        values: dict[str, float] = json.loads((settings().workspace / FOLDER / "aged" / _name(old, fresh)).read_text())
        return values
    except (OSError, ValueError):
        return None


def _name(old: Entry, fresh: Entry) -> str:
    return f"{old.run_id}-{fresh.spec.dataset}.json"


def measured_on(run_id: str, dataset: str) -> dict[str, float]:
    """Metric -> mean over the users of a dataset's test, by the model of a run that may have been trained on another one."""
    means = ranked_on(run_id, dataset).select_dtypes("number").drop(columns=["relevant"]).mean()
    return {str(name): float(value) for name, value in means.items() if math.isfinite(value)}


def ranked_on(run_id: str, dataset: str) -> "pd.DataFrame":
    """What `workers.evaluation.rank_users` gives for the users of a dataset's test, by such a model: user_id, a column a metric, lists.

    Raises:
        LookupError: the run, its dataset or the other one is gone.
    """
    from workers.artifacts import TEST, PreparedDataset
    from workers.evaluation import catalogue, rank_users, users_to_rank
    from workers.serving import open_run

    run = runs.get_run(run_id)
    old, new = (PreparedDataset.open(datasets.get_dataset(one).path) for one in (run.dataset or "", dataset))
    opened, protocol = open_run(runs.whole_folder(run_id), old), protocol_of(run)
    users, items = users_to_rank(new.folder, TEST, None, protocol), catalogue(new.folder)
    places = _places(opened, items)
    frame, people = _people(opened, old, new, users, places)
    there = np.flatnonzero(places >= 0)

    def score(chunk: np.ndarray) -> np.ndarray:
        scores = np.full((len(chunk), len(items)), -np.inf, np.float32)
        scores[:, there] = opened.grid(frame.iloc[chunk], [people[place] for place in chunk])[:, places[there]]
        return scores

    return rank_users(users, len(items), score, protocol)


def _places(opened: "OpenedModel", items: "pd.DataFrame") -> np.ndarray:
    """The place in a model's catalogue of each item of another: int64 [N], -1 of an item that the model does not know."""
    import pandas as pd

    known = pd.Series(np.arange(len(opened.items)), index=opened.items["item_id"])
    places: np.ndarray = known.reindex(items["item_id"]).fillna(-1).to_numpy(np.int64)
    return places


def _people(
    opened: "OpenedModel", old: "PreparedDataset", new: "PreparedDataset", users: "pd.DataFrame", places: np.ndarray
) -> "tuple[pd.DataFrame, list[UserItems]]":
    """Users of a later dataset as an older model reads them: the features that it knew them by, and their likes up to the later cut."""
    import pandas as pd

    from workers.artifacts import FEATURE, USERS
    from workers.serving import KnownLikes, newcomer
    from workers.specs import HISTORY, USER_ID

    def to_old(found: np.ndarray) -> np.ndarray:
        own = places[np.asarray(found, np.int64)]
        return own[own >= 0]

    likes = KnownLikes.read(new, opened)
    people = []
    for row, seen in zip(users[FEATURE + USER_ID], users["seen"], strict=True):
        own = likes.of(int(row), np.asarray(seen, np.int64) - 1)
        known = places[own.liked] >= 0
        people.append(
            own._replace(
                liked=to_old(own.liked), weights=own.weights[known], seen=to_old(own.seen), sequence=to_old(own.sequence)
            )
        )  # fmt: skip
    unknown = newcomer(old.schema, [])
    known_users = pd.read_parquet(old.folder / USERS).drop_duplicates("user_id").set_index("user_id").reindex(users["user_id"])
    met = known_users["row"].fillna(0).to_numpy() > 0
    columns: dict[str, list[object]] = {}
    for name in map(str, unknown):
        given = known_users[name] if name in known_users else pd.Series([None] * len(users))
        columns[name] = [value if there else unknown[name].iloc[0] for value, there in zip(given, met, strict=True)]
    if FEATURE + HISTORY in unknown and FEATURE + HISTORY in users:
        columns[FEATURE + HISTORY] = [(to_old(np.asarray(bag, np.int64) - 1) + 1).astype(np.int32) for bag in users[FEATURE + HISTORY]]
    return pd.DataFrame(columns), people


def staleness_of(backtest: Backtest, metric: str) -> list[Staleness]:
    """How each contender ages by a metric of lists, from what was measured; contenders of whom nothing was are left out."""
    found = []
    for letter in dict.fromkeys(one.letter for one in backtest.entries):
        points = []
        for fresh, old in pairs_to_measure(backtest):
            kept = _kept(old, fresh) if fresh.letter == letter else None
            value = runs.get_run(fresh.run_id or "").metrics.get(metric) if kept else None
            ends = [_ends(backtest.plan.cuts[one.cut].dataset) for one in (fresh, old)]
            if kept and metric in kept and value is not None and ends[0] is not None and ends[1] is not None:
                points.append(Aged(fresh.cut, old.cut, (ends[0] - ends[1]) / DAY_S, value, kept[metric]))
        if points:
            found.append(Staleness(letter, tuple(points), *daily_loss(points, metric_of(metric).better == "lower")))
    return found


def daily_loss(points: list[Aged], lower: bool = False) -> tuple[float, float, float]:
    """The share of a value that a day costs, and its interval: the slope through no loss at no age of each window, then Student's t over
    the windows, since models of one window are measured on the same users."""
    sign, slopes = -1.0 if lower else 1.0, []
    for window in sorted({one.window for one in points}):
        own = [one for one in points if one.window == window and math.isfinite(one.loss) and one.days > 0]
        if own:
            days, losses = (np.array([getattr(one, name) for one in own]) for name in ("days", "loss"))
            slopes.append(sign * float(days @ losses) / float(days @ days))
    if not slopes:
        return math.nan, math.nan, math.nan
    return float(np.mean(slopes)), *mean_interval(np.array(slopes))


def _ends(dataset: str) -> float | None:
    """Where the train rows of a dataset end, in seconds; None where that is not known."""
    try:
        moment = datasets.get_dataset(dataset).manifest["split"].get("valid_from")
    except LookupError:
        return None
    return None if moment is None else float(moment)
