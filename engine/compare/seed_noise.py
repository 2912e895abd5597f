"""What seeds do to a metric: how far trainings of a dataset that differ in their seed alone differ, as an allowance for those of one."""

import math
from collections.abc import Iterable, Sequence
from itertools import count, islice
from typing import NamedTuple

import numpy as np

from engine import runs
from engine.compare import lists_at_k
from engine.compare.cells import protocol_of
from engine.compare.contenders import Comparison, Contender, Repeated, competitors
from engine.compare.paired_tests import MOST_DF, SeedNoise
from engine.compare.verdict import Allowance
from engine.runs import Run, RunState
from workers.artifacts import cutoff, metric
from workers.models import MODELS, FunnelSpec
from workers.run import RunSpec
from workers.specs import Protocol

OWN_SEEDS = 3  # seeds from which a contender's own deviation is taken; of fewer it is little more than a guess
STATED = 0.03  # share of a value, where nothing was repeated on a dataset: twice what the two-tower's NDCG@10 (1.4 %) and the AUC of
# two-tower and DLRM (1.1 and 1.2 % of its distance from chance) varied by over four seeds on MovieLens 100K, split per user


class Repeats(NamedTuple):
    """Deviations between seeds of one dataset, as shares of the value, pooled: (squared share, degrees of freedom)."""

    kinds: dict[str, tuple[float, float]]  # model kind -> deviation
    stages: dict[str, tuple[float, float]]  # stage that kinds are for -> deviation
    every: tuple[float, float]  # of all kinds


def repeated(firsts: Sequence[Run]) -> tuple[Repeated, ...]:
    """The finished trainings of a dataset and protocol that differ in their seed alone, in groups of two or more.

    Args:
        firsts: runs of that dataset, measured under that protocol; one or more.
    """
    protocol, groups = protocol_of(firsts[0]), dict[str, dict[int, Run]]()
    for run in runs.list_runs("train", firsts[0].dataset):
        if run.state == RunState.FINISHED and not run.unreadable and _measured_like(run, protocol):
            groups.setdefault(without_seed(run), {}).setdefault(run.training.train.seed, run)
    alike = [list(group.values()) for group in groups.values() if len(group) > 1]
    return tuple(
        Repeated(model=group[0].model or "", metrics=tuple(run.metrics for run in group))
        for group in alike
        if group[0].training.model.seeded
    )


def without_seed(run: Run) -> str:
    """All settings of a training but its seed and its name, as text to group by."""
    spec = run.training
    return spec.model_copy(update={"name": None, "train": spec.train.model_copy(update={"seed": 0})}).model_dump_json()


def pooled(groups: Iterable[Repeated], key: str) -> Repeats:
    """The deviations of a metric over groups of repeated trainings."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for group in groups:
        values = np.array([own.get(key, math.nan) for own in group.metrics])
        mean = abs(float(values.mean()) - metric(key).chance)
        if np.isfinite(mean) and mean > 0:
            parts.setdefault(group.model, []).append((float(values.var(ddof=1)) / mean**2, len(values) - 1.0))
    stages: dict[str, list[tuple[float, float]]] = {}
    for kind, own in parts.items():
        stages.setdefault(_stage(kind), []).extend(own)
    of_all = [one for own in parts.values() for one in own]
    return Repeats({kind: _pool(own) for kind, own in parts.items()}, {one: _pool(own) for one, own in stages.items()}, _pool(of_all))


def _stage(kind: str) -> str:
    return MODELS[kind].stage if kind in MODELS else ""


def _pool(parts: list[tuple[float, float]]) -> tuple[float, float]:
    df = sum(own for _, own in parts)
    return (sum(square * own for square, own in parts) / df, df) if df else (math.nan, 0.0)


def _measured_like(run: Run, protocol: Protocol) -> bool:
    """Whether a run was measured like others; not where its results were changed since."""
    try:
        return protocol_of(run).measures_like(protocol)
    except ValueError:
        return False


def stored_key(key: str) -> str:
    """The metric that runs log in place of one at another k."""
    parts = cutoff(key)
    return key if parts is None else f"{parts[0]}_at_{lists_at_k.STORED_K}"


def allowances(comparison: Comparison, key: str) -> dict[str, Allowance]:
    """Letter -> what seeds do to a metric of it, of every competitor with a value.

    A contender of OWN_SEEDS or more has its own deviation; others have that of their kind of model where it was repeated on this dataset,
    else that of models of their stage, else that of all that was repeated there, each as a share of the value; else a stated share. What
    has no seed has none.
    """
    table = comparison.table[comparison.table["metric"] == key].set_index("contender")
    values, spread = table["value"].to_dict(), table["std"].to_dict() if "std" in table else {}
    repeats = pooled(comparison.repeats, stored_key(key))
    return {
        one.letter: _allowance(one, key, float(values[one.letter]), float(spread.get(one.letter, math.nan)), repeats)
        for one in competitors(comparison)
        if math.isfinite(values.get(one.letter, math.nan))
    }


def _allowance(one: Contender, key: str, value: float, spread: float, repeats: Repeats) -> Allowance:
    kind = MODELS.get(one.model)
    if one.run_id is None or (kind is not None and not kind.seeded):
        return Allowance(deviation=0.0, source="no seed", seeds=0, df=None)
    seeds, size = len(one.runs), abs(value - metric(key).chance)
    if seeds >= OWN_SEEDS and math.isfinite(spread):
        return Allowance(deviation=spread, source="its seeds", seeds=seeds, df=seeds - 1)
    none = (math.nan, 0.0)
    of_kind, of_stage = repeats.kinds.get(one.model, none), repeats.stages.get(_stage(one.model), none)
    for (square, df), source in ((of_kind, "its kind"), (of_stage, "its stage"), (repeats.every, "this dataset")):
        if df > 0:
            return Allowance(deviation=math.sqrt(square) * size, source=source, seeds=seeds, df=df)
    return Allowance(deviation=STATED * size, source="stated", seeds=seeds, df=None)


def noise(allowance: Allowance) -> SeedNoise:
    """The variance of the mean over a contender's seeds."""
    if allowance.seeds == 0:
        return SeedNoise()
    return SeedNoise(allowance.deviation**2 / allowance.seeds, MOST_DF if allowance.df is None else allowance.df)


class MoreSeeds(NamedTuple):
    """What repeats a run over more seeds: finished runs that are there, and specs of those that are not."""

    there: tuple[str, ...]
    missing: tuple[RunSpec, ...]


def more_seeds(run_id: str, seeds: int) -> MoreSeeds:
    """What a run lacks to have been trained with so many seeds, its own included; nothing for a model without a seed.

    Raises:
        LookupError: no such run.
    """
    run = runs.get_run(run_id)
    if run.unreadable or not run.training.model.seeded or isinstance(run.training.model, FunnelSpec):
        return MoreSeeds((), ())
    spec, alike = run.training, dict[int, str]()
    for other in runs.list_runs("train", run.dataset):
        if other.state == RunState.FINISHED and not other.unreadable and without_seed(other) == without_seed(run):
            alike.setdefault(other.training.train.seed, other.run_id)
    alike.pop(spec.train.seed, None)
    there = tuple(alike.values())[: seeds - 1]
    free = (seed for seed in count(spec.train.seed + 1) if seed not in alike)
    missing = (spec.model_copy(update={"train": spec.train.model_copy(update={"seed": seed})}) for seed in free)
    return MoreSeeds(there, tuple(islice(missing, seeds - 1 - len(there))))
