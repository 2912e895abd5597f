"""Make a plan: TorchRec's planner on tables without weights, and arithmetic for the rest."""

from typing import NamedTuple

import engine
from engine.datasets import Dataset
from engine.plan.costs import assumptions, base_of, cost_of, quality_of
from engine.plan.disk import storage_of
from engine.plan.fewest import fewest, why_not
from engine.plan.results import Fewest, Plan, RankLoad
from engine.plan.shape import lengths_of, shape_of
from engine.plan.spec import DEVICES, Fleet, PlanSpec
from engine.plan.warnings import of_counts, of_lookups, of_scores, of_unread
from engine.preflight import BASE_BYTES, bytes_of
from workers.models import MODELS, NetworkSpec
from workers.run import RunSpec
from workers.specs import FeatureSchema, Task
from workers.training import Layout, NoPlanError, PlannedTable, TablePlan


def start_planner() -> None:
    """Import what plans tables, which takes seconds once; the first plan does so by itself."""
    from workers.training import TablePlanner  # noqa: F401


def make_plan(spec: PlanSpec) -> Plan:
    """The plan of a run with counts changed, on machines of one's own. Nothing is launched and nothing is written.

    Raises:
        LookupError: there is no such dataset or run. ValueError: the model is not trained by ranks, the dataset refuses it, or a count or
            a setting does not go with the others.
    """
    dataset = engine.datasets.get_dataset(spec.run.dataset)
    _refuse_unfit(spec.run, dataset)
    shape, interactions = shape_of(dataset, spec.counts), spec.counts.interactions or dataset.rows
    run, task = spec.run_there.resolved(shape), Task.of(dataset.manifest.get("label", {}))
    footprint = run.network.footprint(shape, task)
    if footprint is None:
        raise ValueError(f"{run.model.label} does not say how large it is, so it cannot be planned; choose another model.")
    need, base = bytes_of(run, footprint), base_of(spec)
    placement = _place(run, shape, task, lengths_of(dataset, shape, interactions), spec.fleet)
    cost = cost_of(spec, dataset, interactions, base)
    warnings = (
        *of_counts(shape, interactions),
        *of_unread(run.model.label, spec.counts, footprint),
        *of_scores(dataset, interactions, spec.fleet.ranks),
        *of_lookups(placement.ranks),
    )
    return Plan(
        title=run.title,
        shape=shape,
        interactions=interactions,
        parameters=footprint.parameters,
        device=DEVICES[spec.fleet.device],
        devices=spec.fleet.ranks,
        hosts=spec.fleet.hosts,
        memory_bytes=spec.fleet.memory_bytes,
        **placement._asdict(),
        storage=storage_of(run.network, need, dataset, shape, interactions),
        cost=cost,
        quality=quality_of(base),
        assumptions=tuple(assumptions(spec, base, cost)),
        warnings=warnings,
    )


def _refuse_unfit(run: RunSpec, dataset: Dataset) -> None:
    if not isinstance(run.model, NetworkSpec):
        networks = ", ".join(kind for kind, model in MODELS.items() if issubclass(model, NetworkSpec))
        raise ValueError(f"{run.model.label} is fitted in one process, with nothing to spread over devices; plan one of {networks}.")
    if why := run.model.refusal(dataset.schema, dataset.manifest.get("label", {})):
        raise ValueError(why)


class _Placement(NamedTuple):
    """Where tables go; fields of a Plan."""

    tables: tuple[PlannedTable, ...]  # the largest first
    ranks: tuple[RankLoad, ...]
    reserved_bytes: int
    why_not: str | None
    fewest: Fewest


def _place(run: RunSpec, shape: FeatureSchema, task: Task, lengths: dict[str, float], fleet: Fleet) -> _Placement:
    from workers.training import TablePlanner

    noun = DEVICES[fleet.device]
    planner = TablePlanner(run, shape, task, lengths, BASE_BYTES if fleet.device == "cpu" else 0)  # as the pre-flight counts

    def on(devices: int) -> TablePlan:
        return planner.plan(Layout(devices, min(devices, fleet.devices), fleet.device, fleet.memory_bytes))

    least = fewest(on, fleet, noun)
    try:
        found = on(fleet.ranks)
    except NoPlanError as error:
        return _Placement((), (), error.reserved, _sentence(why_not(error, fleet.ranks, fleet, noun)), least)
    tables = tuple(sorted(found.tables, key=lambda table: -table.rows * table.width))
    return _Placement(tables, _ranks(found, fleet.ranks), found.reserved_bytes, None, least)


def _ranks(plan: TablePlan, ranks: int) -> tuple[RankLoad, ...]:
    """What each rank holds of all tables."""
    sums = [[0, 0, 0, 0.0] for _ in range(ranks)]
    for table in plan.tables:
        for part in table.parts:
            own = part.table_bytes + part.state_bytes
            each = (part.table_bytes, part.state_bytes, max(0, part.estimate_bytes - own), part.lookups)
            sums[part.rank] = [before + more for before, more in zip(sums[part.rank], each, strict=True)]
    return tuple(
        RankLoad(rank=rank, table_bytes=int(tables), state_bytes=int(states), step_bytes=int(step), lookups=lookups)
        for rank, (tables, states, step, lookups) in enumerate(sums)
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
