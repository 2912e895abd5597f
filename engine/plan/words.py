"""A plan in sentences and in facts, for the page and the command line."""

import shlex

from engine.plan.results import Plan
from engine.plan.spec import Fleet, PlanSpec
from engine.preflight import duration, size
from engine.specs import METRICS

LABEL = "A plan, not a measurement"


def verdict(plan: Plan) -> str:
    """Whether it fits, and how many devices are enough."""
    noun, least = plan.device, plan.fewest
    if plan.fullest is None:
        said = f"Does not fit on {counted(plan.devices, noun)}. {plan.why_not}"
    else:
        room = size(plan.memory_bytes - plan.reserved_bytes)
        said = f"Fits on {counted(plan.devices, noun)}: the fullest needs {size(plan.fullest.bytes)} for its tables, and has {room}."
    if least.devices is None:
        return f"{said} {least.why}" if least.why else said
    hosts = counted(least.hosts or 1, "host")
    return f"{said} The fewest that are enough: {counted(least.devices, noun)} on {hosts}. {least.why}".strip()


def counted(count: int, noun: str) -> str:
    """A number and its noun, such as 3 GPUs."""
    plural = noun if count == 1 else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {plural}"


def facts(plan: Plan) -> dict[str, dict[str, str]]:
    """Title of a table -> name of a fact -> its value, as text; without titles that have no facts."""
    found = {"Memory": _memory(plan), "On disk": _storage(plan), "Time and money": _cost(plan), "Quality": _quality(plan)}
    return {title: rows for title, rows in found.items() if rows}


def _memory(plan: Plan) -> dict[str, str]:
    rows = {
        "Parameters": f"{plan.parameters:,}",
        f"Memory of a {plan.device}": size(plan.memory_bytes),
        "Not for tables": size(plan.reserved_bytes),
    }
    full = plan.fullest
    if full is None:
        return rows
    parts = f"{size(full.table_bytes)} tables, {size(full.state_bytes)} optimizer, {size(full.step_bytes)} a step"
    rows |= {"Fullest device": f"rank {full.rank}: {parts}", "Balance of bytes": f"{plan.balance:.2f} × the mean"}
    return rows | ({"Balance of lookups": f"{plan.lookup_balance:.2f} × the mean"} if plan.lookup_balance else {})


def _storage(plan: Plan) -> dict[str, str]:
    held = plan.storage
    rows = {"Checkpoint with optimizer": size(held.checkpoint_bytes), "Checkpoints at a time, at most": size(held.checkpoints_bytes)}
    if held.dataset_bytes is not None:
        rows["Prepared dataset"] = f"{size(held.dataset_bytes)}, by {held.row_bytes:,.0f} bytes a row as measured"
    if held.index_bytes is not None:
        rows["Vector index"] = f"{size(held.index_bytes)}, {held.index_kind}"
    return rows


def _cost(plan: Plan) -> dict[str, str]:
    cost = plan.cost
    if cost is None:
        return {}
    rows = {"Training": f"{duration(3600 * cost.hours)} or more", "Device hours": f"{cost.device_hours:,.3g}"}
    return rows | ({} if cost.money is None else {"Price": f"{cost.money:,.2f} or more"})


def _quality(plan: Plan) -> dict[str, str]:
    found = plan.quality
    return {} if found is None else {METRICS[name].label: f"{value:.4g}" for name, value in found.metrics.items() if name in METRICS}


def quality_note(plan: Plan) -> str:
    """What the quality is of; empty where none is known."""
    found = plan.quality
    if found is None:
        return ""
    said = f"Measured by {found.title} on its {found.rows:,} rows."
    if plan.interactions == found.rows:
        return said
    return f"{said} It does not say what {plan.interactions:,} rows would give; Compare fits a law to that (Would more data help?)."


def command(spec: PlanSpec) -> str:
    """The command that makes the same plan, with the run's spec saved under the name in it."""
    counts, fleet, standard = spec.counts, spec.fleet, Fleet()
    given: dict[str, object] = {"--users": counts.users, "--items": counts.items, "--interactions": counts.interactions}
    given |= {
        f"--{name.removesuffix('_gb')}": getattr(fleet, name) if getattr(fleet, name) != getattr(standard, name) else None
        for name in type(fleet).model_fields
    }
    given |= {"--measured": spec.measured, "--rows-per-second": spec.rows_per_s, "--epochs": spec.epochs}
    texts = {option: f"{value:g}" if isinstance(value, float) else str(value) for option, value in given.items() if value is not None}
    rows = ["--rows", *(shlex.quote(f"{name}={count}") for name, count in counts.features.items())] if counts.features else []
    return " ".join([f"recbench plan {spec.run.model.kind}.json", *(f"{option} {text}" for option, text in texts.items()), *rows])
