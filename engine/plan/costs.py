"""Hours, money and quality of a planned training, from a run that was measured in this workspace."""

from typing import NamedTuple

import engine
from engine.datasets import Dataset
from engine.plan.results import Cost, Quality
from engine.plan.spec import DEVICES, PlanSpec
from engine.preflight import learned_rows
from engine.runs import Run
from workers.run import RunSpec

QUALITY = ("ndcg_at_10", "recall_at_10", "auc", "log_loss", "rmse")


class Base(NamedTuple):
    """A finished run that is taken as measured."""

    run: Run
    spec: RunSpec


def base_of(spec: PlanSpec) -> Base | None:
    """The run that is named, else the newest finished one of this model on this dataset, else on any; None where there is none.

    Raises:
        LookupError: there is no run of the id. ValueError: it is no finished training of this model.
    """
    if spec.measured:
        run = engine.runs.get_run(spec.measured)
        base = _base(run, spec.run)
        if base is None:
            raise ValueError(f"Run {spec.measured} is no finished training of {spec.run.model.label} with a measured speed; name another.")
        return base
    every = [base for run in engine.runs.list_runs(kind="train") if (base := _base(run, spec.run))]
    return next((base for base in every if base.spec.dataset == spec.run.dataset), next(iter(every), None))


def _base(run: Run, planned: RunSpec) -> Base | None:
    done = run.state == engine.runs.RunState.FINISHED and isinstance(run.spec, RunSpec) and run.resources.get("rows_per_s")
    alike = done and isinstance(run.spec, RunSpec) and run.spec.model.kind == planned.model.kind
    return Base(run, run.spec) if alike and isinstance(run.spec, RunSpec) else None


def cost_of(spec: PlanSpec, dataset: Dataset, interactions: int, base: Base | None) -> Cost | None:
    """Hours and money; None where no speed is known."""
    if spec.rows_per_s is None and base is None:
        return None
    measured = base.run.resources if base else {}
    rate = spec.rows_per_s or measured["rows_per_s"] / max(1, measured.get("processes", 1))
    rows = round(learned_rows(spec.run, dataset) * interactions / max(1, dataset.rows))
    epochs = spec.epochs or int(measured.get("epochs") or spec.run.train.epochs)
    hours = rows * epochs / (rate * spec.fleet.ranks) / 3600
    return Cost(
        rows=rows,
        epochs=epochs,
        rows_per_s=rate,
        run_id=None if spec.rows_per_s or base is None else base.run.run_id,
        hours=hours,
        device_hours=hours * spec.fleet.ranks,
        money=None if spec.fleet.price is None else hours * spec.fleet.hosts * spec.fleet.price,
    )


def quality_of(base: Base | None) -> Quality | None:
    """What the measured run reached on its own data."""
    if base is None:
        return None
    try:
        rows = engine.datasets.get_dataset(base.spec.dataset).rows
    except LookupError:
        return None
    found = {name: base.run.metrics[name] for name in QUALITY if name in base.run.metrics}
    return Quality(run_id=base.run.run_id, title=base.run.title, rows=rows, metrics=found) if found else None


def assumptions(spec: PlanSpec, base: Base | None, cost: Cost | None) -> list[str]:
    """What the hours rest on, in sentences; or why there are none."""
    label, noun = spec.run.model.label, DEVICES[spec.fleet.device]
    if cost is None:
        ask = f"Train it once, or give the rows per second of a {noun}."
        return [f"No hours: no finished run of {label} in this workspace tells how fast it is. {ask}"]
    each = f"{cost.rows_per_s:,.0f} rows/s of a {noun}"
    if cost.run_id is None or base is None:
        said = [f"{each}, as given by hand."]
    else:
        said = [f"{each}, as measured by {base.run.title} on {_where(base.spec)}."]
        if base.spec.train.device != spec.fleet.device:
            ask = f"give the rows per second of one {noun} of yours"
            said.append(f"That was measured on a {_device(base.spec)}, which says little of a {noun}: {ask}.")
        said += _other_settings(spec.run, base.spec)
    if spec.fleet.ranks > 1:
        said.append(f"Speed grows with the devices without loss, so {spec.fleet.ranks:,} take at least this long.")
    said.append(f"{_passes(cost.epochs)} over {cost.rows:,} rows; starting, validation and evaluation are not counted.")
    return said


def _passes(epochs: int) -> str:
    return "One pass" if epochs == 1 else f"{epochs:,} passes"


def _where(spec: RunSpec) -> str:
    many = spec.train.processes
    return f"{many:,} {_device(spec)}{'es' if many > 1 and spec.train.device == 'cpu' else 's' if many > 1 else ''}"


def _device(spec: RunSpec) -> str:
    return DEVICES[spec.train.device]


def _other_settings(planned: RunSpec, measured: RunSpec) -> list[str]:
    """Settings that change the speed and that the measured run had otherwise."""
    apart = []
    for part, names in (("model", ("embedding_dim", "history", "history_pooling", "user_id")), ("train", ("batch_size", "precision"))):
        ours, theirs = getattr(planned, part), getattr(measured, part)
        apart += [f"{name} {getattr(theirs, name)}" for name in names if getattr(ours, name, None) != getattr(theirs, name, None)]
    return [f"It had {', '.join(apart)}, where this plan has others."] if apart else []
