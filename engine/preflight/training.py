"""The pre-flight of a training run: from its spec and the dataset's manifest alone, without torch and without reading rows."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from engine.compute import current
from engine.datasets import Dataset
from engine.preflight.disk import disk
from engine.preflight.histories import histories
from engine.preflight.judgement import Item, Preflight, Table, duration, size, span
from engine.preflight.machine import Machine, machine
from engine.preflight.memory import Bytes, bytes_of, memory
from engine.preflight.rates import Rate, measured
from engine.spark import GpuRequest
from workers.artifacts import TRAIN
from workers.models import FLOAT, Footprint, NetworkSpec, TableSize
from workers.run import RunSpec
from workers.search import space_of, with_settings
from workers.specs import Choice, Choices, Range, Task, mask

LOCAL = re.compile(r"local\[(\d+)(?:,\d+)?\]|local-cluster\[(\d+),(\d+),\d+\]")
SHOWN = 3  # tables in the text of an item


def training(spec: RunSpec, dataset: Dataset, on: Machine | None = None, rates: Sequence[Rate] | None = None) -> Preflight:
    """Judge a training run on a dataset that its model accepts.

    Args:
        on: the machine; default: this one. rates: of runs of this kind; default: those measured in this workspace.
    """
    on, spec = on or machine(), spec.resolved(dataset.schema)
    largest = _largest_tried(spec)
    footprint = largest.model.footprint(dataset.schema, Task.of(dataset.manifest.get("label", {})))
    learned = _learned(spec, dataset)
    items = [_rows(spec, learned), *histories(spec, dataset)]
    if footprint is None:
        items.append(Item(name="Model", value="this model does not tell its size; memory and disk are not judged"))
        amount = Bytes()
    else:
        amount = bytes_of(largest, footprint, dataset.counts.get("positives", {}).get(TRAIN, 0))
        items += [_model(footprint), memory(largest, amount, on, _largest(footprint)), disk(amount, dataset, on)]
    if isinstance(spec.model, NetworkSpec):
        items += [*_processes(spec, on), *_device(spec), *_steps(spec, learned.rows)]
    items += [*_search(spec), _time(spec, learned, measured(spec) if rates is None else rates)]
    return Preflight(title=spec.title, items=tuple(items), tables=_tables(footprint))


def _largest_tried(spec: RunSpec) -> RunSpec:
    """The run with the largest of the values that its search tries, which memory and disk must hold; the run itself without a search."""
    space = space_of(spec) if spec.budget else {}
    largest = {name: way.high if isinstance(way, Range) else _largest_of(way) for name, way in space.items()}
    try:
        return with_settings(spec, {name: value for name, value in largest.items() if value is not None}) if space else spec
    except ValueError:  # such values do not go together, and will be a failed trial
        return spec


def _largest_of(way: Choices) -> Choice:
    """The largest of numbers, or the layers with the most units; None where values have no size."""
    if all(isinstance(one, tuple) for one in way.choices):
        return max(way.choices, key=lambda one: sum(one) if isinstance(one, tuple) else 0)
    sizes = [one for one in way.choices if isinstance(one, bool | int | float)]
    return max(sizes) if len(sizes) == len(way.choices) else None


class Learned(NamedTuple):
    """The rows of train that a model learns from; of a share of the users about as many."""

    rows: int
    liked: int | None  # None: an old manifest does not tell
    of: int  # all rows of train, of these users
    output: str
    share: float = 1.0


def _learned(spec: RunSpec, dataset: Dataset) -> Learned:
    counts, share = dataset.counts, spec.train.user_share
    every = round(share * counts["interactions"][TRAIN])
    liked = round(share * counts["positives"][TRAIN]) if "positives" in counts else None
    only = spec.model.liked_only if isinstance(spec.model, NetworkSpec) else spec.model.learns_choice
    output = dataset.manifest.get("label", {}).get("output") or "binary"
    return Learned(liked if only and liked is not None else every, liked, every, output, share)


def learned_rows(spec: RunSpec, dataset: Dataset) -> int:
    """The rows of train that a model learns from."""
    return _learned(spec, dataset).rows


def _rows(spec: RunSpec, learned: Learned) -> Item:
    """Whether there is anything to learn (rows, and both kinds of them), and whether a batch is filled."""

    def blocked(value: str, advice: str) -> Item:
        return Item(name="Rows", value=value, level="blocked", advice=advice)

    value, train = f"{learned.rows:,} of {learned.of:,} rows of train" if learned.rows < learned.of else f"{learned.rows:,}", spec.train
    value = value if learned.share >= 1 else f"about {value}, {100 * learned.share:.3g} % of the users"
    if learned.of < 2 or learned.rows < 1:
        return blocked(value, "There is nothing to learn; prepare more data, or another rule for what is liked.")
    if spec.model.learns_choice and learned.liked == 0:
        return blocked(f"none of {learned.of:,} rows is liked", "There is nothing to learn; prepare another rule for what is liked.")
    if not spec.model.learns_choice and learned.output == "binary" and learned.liked in (0, learned.of):
        kind = "liked" if learned.liked else "not liked"
        return blocked(f"all {learned.of:,} rows are {kind}", "There is nothing to tell apart; prepare another rule for what is liked.")
    if not isinstance(spec.model, NetworkSpec):
        return _within(spec.model.most_rows_read, learned, value)
    most = learned.rows // train.processes
    if most < 2:
        return blocked(value, f"There are {train.processes:,} processes, and each needs two rows; choose 1 process, or prepare more data.")
    if train.batch_size > most:
        advice = (
            f"A step reads {train.batch_size * train.processes:,} rows, so an epoch is a single step; choose batch_size {most:,} or less."
        )
        return Item(name="Rows", value=value, level="warning", advice=advice)
    return Item(name="Rows", value=value)


def _within(most: int | None, learned: Learned, value: str) -> Item:
    """Whether a model that takes so many rows at most reads them all."""
    if most is None or learned.rows <= most:
        return Item(name="Rows", value=value)
    advice = "A random part is used; raise most_rows where memory allows."
    return Item(name="Rows", value=f"{most:,} of {learned.of:,} rows of train", level="warning", advice=advice)


def _model(footprint: Footprint) -> Item:
    whole = size(footprint.parameters * FLOAT)
    return Item(name="Model", value=f"{footprint.parameters:,} parameters, {whole}: {_largest(footprint, SHOWN)}", short=whole)


def _largest(footprint: Footprint, count: int = 1) -> str:
    """The largest tables, each with rows, width and bytes."""
    return ", ".join(f"{t.name} {t.rows:,} × {t.width:,} ({size(t.parameters * FLOAT)})" for t in _by_size(footprint)[:count])


def _by_size(footprint: Footprint) -> list[TableSize]:
    return sorted(footprint.tables, key=lambda table: -table.parameters)


def _tables(footprint: Footprint | None) -> tuple[Table, ...]:
    found = _by_size(footprint) if footprint else []
    return tuple(Table(name=t.name, rows=t.rows, width=t.width, bytes=t.parameters * FLOAT) for t in found)


def slots(master: str, cores: int) -> int | None:
    """Tasks that a Spark master runs at once; None where that cannot be known from here."""
    if master == "local":
        return 1
    if master.startswith("local[*"):
        return cores
    found = LOCAL.fullmatch(master)
    return None if found is None else int(found[1]) if found[1] else int(found[2]) * int(found[3])


def _processes(spec: RunSpec, on: Machine) -> list[Item]:
    wanted, master = spec.train.processes, current().master
    if spec.train.local_mode:
        value = f"{wanted} on {on.cores} {'core' if on.cores == 1 else 'cores'}"
        if wanted > on.cores:
            return [Item(name="Processes", value=value, level="warning", advice=f"They wait for each other; choose {on.cores} or fewer.")]
        if current().is_cluster:
            advice = f"They run beside the driver, and {mask(master)} computes nothing: turn local_mode off to train on its executors."
            return [Item(name="Processes", value=value, level="warning", advice=advice)]
        return [Item(name="Processes", value=value)]
    found = slots(master, on.cores)
    if found is None:
        return [Item(name="Processes", value=f"{wanted} on {master}, whose slots cannot be seen from here")]
    value = f"{wanted} barrier tasks, {found} {'slot' if found == 1 else 'slots'} of {master}"
    if wanted > found:
        advice = f"Barrier tasks start together or not at all; choose {found} or fewer, or a larger RECBENCH_SPARK_MASTER."
        return [Item(name="Processes", value=value, level="blocked", advice=advice)]
    return [Item(name="Processes", value=value)]


def _device(spec: RunSpec) -> list[Item]:
    if spec.train.device != "cuda":
        return []
    request = GpuRequest(spec.train.processes, spec.train.local_mode)
    if not request.of_driver:
        return [Item(name="Device", value="GPUs of the executors", level="warning", advice="They cannot be seen from here.")]
    if why := request.refusal():
        return [Item(name="Device", value="cuda", level="blocked", advice=why)]
    return [Item(name="Device", value=f"{spec.train.processes} of this machine's GPUs")]


def _steps(spec: RunSpec, rows: int) -> list[Item]:
    each = -(-rows // (spec.train.batch_size * spec.train.processes))
    trials = spec.budget.trials if spec.budget else 1
    most = each * spec.train.epochs * trials
    many = f", {trials:,} trials" if trials > 1 else ""
    return [Item(name="Steps", value=f"{most:,} at most: {each:,} an epoch, {spec.train.epochs:,} epochs{many}", short=f"{most:,}")]


def _search(spec: RunSpec) -> list[Item]:
    """What is searched, and over how many trials; nothing where the settings are as given."""
    search = spec.budget
    if search is None:
        return []
    settings = f"{(many := len(space_of(spec)))} {'setting' if many == 1 else 'settings'}"
    trials = f"{search.trials:,} {'trial' if search.trials == 1 else 'trials'}"
    ends = f", none begun after {duration(60 * search.minutes)}" if search.minutes is not None else ""
    return [Item(name="Search", value=f"{trials} of {settings}{ends}", short=trials)]


def _time(spec: RunSpec, learned: Learned, rates: Sequence[Rate]) -> Item:
    """From the slowest and the fastest run of this kind."""
    if not rates:
        return Item(name="Time", value="not measured yet on this machine", short="not measured yet")
    known = "1 run" if len(rates) == 1 else f"{len(rates)} runs"
    text = span(*_seconds(spec, learned, rates))
    if not isinstance(spec.model, NetworkSpec):
        return Item(name="Time", value=f"{text}, by {known} of this model here", short=text)
    return Item(name="Time", value=f"{text} at most, by {known} of this kind here", short=text)


def _seconds(spec: RunSpec, learned: Learned, rates: Sequence[Rate]) -> tuple[float, float]:
    """The least and the most that a run may take."""
    trials, minutes = (spec.budget.trials, spec.budget.minutes) if spec.budget else (1, None)

    def bounded(seconds: float) -> float:
        return trials * seconds if minutes is None else min(trials * seconds, 60 * minutes + seconds)

    whole = [bounded(rate.whole_s * (learned.liked or learned.rows) / rate.rows) for rate in rates]  # a rate counts liked rows
    if not isinstance(spec.model, NetworkSpec):
        return min(whole), max(whole)
    most = [bounded(learned.rows * spec.train.epochs / rate.rows_per_s + rate.others_s) for rate in rates]
    usual = [seconds for seconds in whole if seconds] if trials > 1 else []  # few trials of a search go on to the last epoch
    return min([*most, *usual]), max(most)


def time_of(specs: Sequence[RunSpec], dataset: Dataset) -> str | None:
    """How long trainings on a dataset take one after another, such as 40 s to 2 min; None where one of a kind was not measured here."""
    known = [(spec.resolved(dataset.schema), measured(spec)) for spec in specs]
    if not known or not all(rates for _, rates in known):
        return None
    each = [_seconds(spec, _learned(spec, dataset), rates) for spec, rates in known]
    return span(sum(low for low, _ in each), sum(high for _, high in each))
