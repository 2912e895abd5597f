"""Would more data help? Runs that differ in their share of the users alone, as a law of how a metric grows with the rows.

All shares of all contenders were measured for the same test users, so that these are resampled together, and what another seed may
change is added to each point: see `engine.compare.seed_noise`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine import datasets, runs
from engine.compare.cells import protocol_of, results_of
from engine.compare.contenders import Comparison, Contender
from engine.compare.growth.power_law import Laws, crossings, fit, interval
from engine.compare.intervals import LARGE, RESAMPLES, SEED, resampled_means
from engine.compare.paired_tests import Measured
from engine.compare.seed_noise import allowances, noise
from engine.compare.significance import measured_by
from engine.runs import Run, RunState
from workers.artifacts import TRAIN
from workers.artifacts import metric as metric_of
from workers.models import FunnelSpec
from workers.run import RunSpec
from workers.specs import Target

FEWEST = 4  # sizes from which a law with three parameters is fitted
FURTHER = 10.0  # times the rows, at which laws are read
SHARES = (0.1, 0.25, 0.5)
DIGITS = 6  # of a share, so that .1 and .1 as read from text are one


class CurvePoint(NamedTuple):
    """A contender on a share of the users."""

    share: float
    rows: int  # of train
    value: float  # mean over seeds
    low: float  # 95 % interval
    high: float
    run_ids: tuple[str, ...]


class Reading(NamedTuple):
    """A number with its 95 % interval; an end may be inf."""

    value: float
    low: float
    high: float


class LearningCurve(NamedTuple):
    """What a contender reached on each share, smallest first, and what its law says, where there is one."""

    letter: str
    points: tuple[CurvePoint, ...]
    missing: tuple[float, ...] = ()  # shares of SHARES that nobody has trained it on
    rise: Reading | None = None  # from the smallest share to the largest, better being more
    gain: Reading | None = None  # of FURTHER times the rows, by the law; None: no law, or an ill-determined one
    rows: tuple[float, ...] = ()  # where the law is drawn
    law: tuple[Reading, ...] = ()
    limit: Reading | None = None  # of any number of rows, by the law


class Crossing(NamedTuple):
    """Whether `other` passes who is ahead on all rows that there are, by their laws."""

    ahead: str
    other: str
    rows: Reading  # inf: not within 100 times the rows


class Growth(NamedTuple):
    """The learning curves of a comparison by one metric."""

    metric: str
    unit: str  # of what is resampled: users, or rows
    curves: tuple[LearningCurve, ...]
    crossings: tuple[Crossing, ...] = ()


def alike(run: Run) -> str:
    """All settings of a training but its share of the users, its seed and its name, as text to group by."""
    spec = run.training
    train = spec.train.model_copy(update={"seed": 0, "user_share": 1.0})
    return spec.model_copy(update={"name": None, "train": train}).model_dump_json()


def siblings(run_id: str, target: Target | None = None) -> dict[float, list[Run]]:
    """Share -> the finished runs that differ from one in share, seed and name alone, itself included; smallest share first.

    Empty for what is made of other runs. A seed that was trained twice on a share counts once.

    Raises:
        LookupError: no such run.
    """
    run = runs.get_run(run_id)
    if run.unreadable or isinstance(run.training.model, FunnelSpec):
        return {}
    found: dict[float, dict[int, Run]] = {}
    wanted, protocol = alike(run), protocol_of(run)
    for other in [run, *runs.list_runs("train", run.dataset)]:
        if other.state != RunState.FINISHED or other.unreadable or alike(other) != wanted or not _sound(other):
            continue
        if protocol_of(other).lists_like(protocol):
            seeds = found.setdefault(round(other.training.train.user_share, DIGITS), {})
            seeds.setdefault(other.training.train.seed if run.training.model.seeded else 0, other)
    return {share: list(found[share].values()) for share in sorted(found)}


def _sound(run: Run) -> bool:
    try:
        return runs.damage_of(run.run_id) is None
    except LookupError:
        return False


def missing_runs(run_id: str, shares: Sequence[float] = SHARES) -> list[RunSpec]:
    """The specs of the runs that a learning curve of a run lacks: the same on other shares, and on all users; not those under way.

    Raises:
        LookupError: no such run. ValueError: a share is not above 0 and up to 1, or the run is made of others.
    """
    if wrong := [share for share in shares if not 0 < share <= 1]:
        raise ValueError(f"A share of {100 * wrong[0]:g} % is none of the users; choose above 0 and up to 100.")
    run = runs.get_run(run_id)
    if run.kind != "train" or run.unreadable or isinstance(run.training.model, FunnelSpec):
        raise ValueError(f"{run.title} is no training of one model; choose the runs of the models themselves.")
    wanted = alike(run)
    others = [run, *runs.list_runs("train", run.dataset)]
    there = [one for one in others if not one.unreadable and (one.live or one.state == RunState.FINISHED) and alike(one) == wanted]
    known = {round(one.training.train.user_share, DIGITS) for one in there}
    spec = run.training
    return [
        spec.model_copy(update={"train": spec.train.model_copy(update={"user_share": share})})
        for share in sorted({round(share, DIGITS) for share in (*shares, 1.0)} - known)
    ]


def growth_metrics(comparison: Comparison) -> list[str]:
    """Metrics by which curves can be drawn: those of the verdict first."""
    judged = [one.metric for one in comparison.verdict.stages] if comparison.verdict else []
    every = dict.fromkeys(comparison.table["metric"])
    return [key for key in dict.fromkeys([*judged, *every]) if metric_of(key).crowned and key in every]


def learning_curves(comparison: Comparison, metric: str) -> Growth:
    """The curves of every contender that is a training, by a metric; laws where there are FEWEST shares that all users stand behind.

    LookupError: a run is gone meanwhile.
    """
    of_letters = {one.letter: siblings(one.run_id) for one in comparison.contenders if one.run_id is not None}
    groups = {(letter, share): group for letter, found in of_letters.items() for share, group in found.items()}
    beside = _beside(comparison, metric, groups)
    measured = measured_by(beside).get(metric) if len(beside.table) else None
    if measured is None:
        return Growth(metric, "users", tuple(LearningCurve(letter, ()) for letter in of_letters))
    order = {one.letter: place for place, one in enumerate(beside.contenders)}
    keys = {letter: key for (key, _), letter in zip(groups.items(), order, strict=True)}
    resampled = _resampled(beside, metric, measured)
    curves, laws = [], {}
    for letter, found in of_letters.items():
        places = [place for place, name in enumerate(measured.letters) if keys[name][0] == letter]
        own = [groups[keys[measured.letters[place]]] for place in places]
        points = [
            CurvePoint(keys[measured.letters[place]][1], _rows(group), float(measured.values[place]), *interval(resampled[:, place]),
                       tuple(run.run_id for run in group))
            for place, group in zip(places, own, strict=True)
        ]  # fmt: skip
        absent = tuple(share for share in (*SHARES, 1.0) if share not in found)
        curve, law = _with_law(LearningCurve(letter, tuple(points), absent), metric, measured.values[places], resampled[:, places])
        curves.append(curve)
        if law is not None:
            laws[letter] = law
    return Growth(metric, measured.unit, tuple(curves), _crossings(curves, laws))


def _beside(comparison: Comparison, metric: str, groups: dict[tuple[str, float], list[Run]]) -> Comparison:
    """A comparison whose contenders are the shares, as far as they have a value."""
    import pandas as pd

    rows, contenders = [], []
    for place, (_, group) in enumerate(groups.items()):
        ids, letter = tuple(run.run_id for run in group), f"share {place}"
        contenders.append(Contender(letter=letter, run_id=ids[0], name="", model=group[0].model or "", color_index=0, run_ids=ids))
        values = [results_of(run, comparison.k, comparison.target)[0].get(metric, np.nan) for run in group]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
        rows.append((metric, letter, float(np.mean(values)), std))
    table = pd.DataFrame(rows, columns=["metric", "contender", "value", "std"])
    empty = {name: pd.DataFrame() for name in ("curves", "differences", "costs")}
    return comparison.model_copy(
        update={"contenders": contenders, "table": table[table["value"].notna()], "tests": None, "verdict": None, "settings": None} | empty
    )


def _rows(group: Sequence[Run]) -> int:
    """Rows of train that runs learned from; of one from before they said so, all."""
    known = group[0].resources.get("train_rows")
    return int(known) if known is not None else int(datasets.get_dataset(group[0].dataset or "").counts["interactions"][TRAIN])


def _resampled(beside: Comparison, metric: str, measured: Measured) -> np.ndarray:
    """Values of all columns over resampled users, the same for all columns, with what other seeds may do: [RESAMPLES, C]."""
    influence, rng = measured.influence, np.random.default_rng(SEED)
    if len(influence) > LARGE:  # of many users what the bootstrap tends to
        apart = rng.multivariate_normal(np.zeros(influence.shape[1]), influence.T @ influence, RESAMPLES, method="eigh")
    else:
        apart = resampled_means(influence * len(influence))
    allowed = allowances(beside, metric)
    spread = [np.sqrt(noise(allowed[letter]).variance) if letter in allowed else 0.0 for letter in measured.letters]
    resampled: np.ndarray = measured.values + apart + rng.standard_normal(apart.shape) * np.array(spread)
    return resampled


def _with_law(curve: LearningCurve, metric: str, values: np.ndarray, resampled: np.ndarray) -> tuple[LearningCurve, Laws | None]:
    """With the rise, and the law where it says something: its first law is that of the values, the others of resamples."""
    lower = metric_of(metric).better == "lower"
    sign = -1.0 if lower else 1.0
    rows = np.array([point.rows for point in curve.points], float)
    if len(rows) < 2:
        return curve, None
    rise = Reading(float(sign * (values[-1] - values[0])), *interval(sign * (resampled[:, -1] - resampled[:, 0])))
    curve = curve._replace(rise=rise)
    if len(set(rows)) < FEWEST or rise.low <= 0:
        return curve, None
    bounds = metric_of(metric).bounds
    laws = fit(rows, sign * np.vstack([values, resampled]), -bounds[0] if lower else bounds[1])
    now, then = laws.at(np.array([rows[-1], FURTHER * rows[-1]])).T
    gain = _reading(then - now)
    if gain.high - gain.low > rise.value:
        return curve, None
    drawn = np.geomspace(rows[0], FURTHER * rows[-1], 60)
    line = sign * laws.at(drawn)
    readings = tuple(_reading(column) for column in line.T)
    return curve._replace(gain=gain, rows=tuple(drawn.tolist()), law=readings, limit=_reading(sign * laws.limit)), laws


def _reading(values: np.ndarray) -> Reading:
    """The first number, with the interval of the others."""
    return Reading(float(values[0]), *interval(values[1:]))


def _crossings(curves: Sequence[LearningCurve], laws: dict[str, Laws]) -> tuple[Crossing, ...]:
    """Who is ahead on the most rows against each other that has a law."""
    known = [one for one in curves if one.letter in laws]
    if len(known) < 2 or len({laws[one.letter].unit for one in known}) > 1:
        return ()
    most = {one.letter: laws[one.letter].at(np.array([laws[one.letter].unit]))[0, 0] for one in known}
    ahead = max(most, key=lambda letter: most[letter])
    first = max(one.points[0].rows for one in known)
    return tuple(
        Crossing(ahead, one.letter, _reading(crossings(laws[ahead], laws[one.letter], float(first))))
        for one in known
        if one.letter != ahead
    )
