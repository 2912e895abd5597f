"""The cuts of a backtest, each a dataset prepared as if nothing later were known, and the trainings on them.

One preparation for all cuts would have vocabularies, labels, histories, counts and minimums that later rows had a say in, so each cut is
prepared anew, by the same code. What a plan needs is all that is written; the rest is found again in the store: datasets by their ids,
trainings by their settings. So a backtest that was killed goes on where it was.
"""

import json
import logging
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine import datasets, runs
from engine.datasets import ColumnSplit, DatasetSpec, LastSplit, TimeSplit
from engine.runs import Run, RunState
from engine.settings import settings
from workers.artifacts import MANIFEST, write_json
from workers.models import FunnelSpec
from workers.run import RunSpec
from workers.search import with_settings

CUTS, MOST_CUTS = 4, 12
FOLDER = "backtests"
LEAST_TRAIN = 0.1  # share of the rows of a cut
log = logging.getLogger(__name__)
State = Literal["finished", "live", "missing"]


class Cut(BaseModel):
    """One dataset of a backtest: the first `until` of the rows, the last of which are its window."""

    model_config = ConfigDict(frozen=True)

    until: float
    dataset: str  # its id
    spec: dict[str, object] = Field(repr=False)  # the DatasetSpec as JSON


class Plan(BaseModel):
    """The cuts of a backtest, the newest first; windows have the same share of the rows, and do not overlap."""

    model_config = ConfigDict(frozen=True)

    base: str  # the dataset whose runs are tested
    window: float  # share of all rows
    cuts: tuple[Cut, ...]


class Entry(NamedTuple):
    """A contender's training on a cut."""

    letter: str
    cut: int  # place in the plan
    state: State
    run_id: str | None
    spec: RunSpec


class Backtest(NamedTuple):
    """How far a backtest is: which datasets are prepared, or being so, and the trainings of each contender on each cut."""

    plan: Plan
    prepared: tuple[State, ...]
    entries: tuple[Entry, ...]

    @property
    def missing(self) -> list[Entry]:
        return [one for one in self.entries if one.state == "missing"]

    @property
    def live(self) -> bool:
        return any(one.state == "live" for one in self.entries) or "live" in self.prepared


def why_not(dataset: str) -> str | None:
    """Why a dataset cannot be cut at several points in time, in a sentence; None where it can."""
    try:
        spec = DatasetSpec.model_validate(datasets.get_dataset(dataset).manifest["spec"])
    except (LookupError, ValueError, KeyError) as error:
        return f"How the dataset was prepared is not known any more: {error}"
    if spec.source.reading().time is None:
        return "The data have no times, so there is no next month; give a column of times when you prepare them."
    return None


def make_plan(dataset: str, cuts: int = CUTS) -> Plan:
    """The plan of a backtest of a dataset's runs, which is kept; reads the source to know the ids of its datasets.

    The window is the share of rows that the dataset holds out for test; so the newest cut of a split by time is the dataset itself.

    Raises:
        LookupError: no such dataset. ValueError: it has no times, its source cannot be read, or there is too little for so many cuts.
    """
    if not 2 <= cuts <= MOST_CUTS:
        raise ValueError(f"A backtest of {cuts} cuts is none; choose 2 to {MOST_CUTS}.")
    if (known := known_plan(dataset, cuts)) is not None:
        return known
    if why := why_not(dataset):
        raise ValueError(why)
    spec = DatasetSpec.model_validate(datasets.get_dataset(dataset).manifest["spec"])
    shares = TimeSplit() if isinstance(spec.split, ColumnSplit | LastSplit) else TimeSplit(valid=spec.split.valid, test=spec.split.test)
    base = 1.0 if not isinstance(spec.split, TimeSplit) else spec.split.until
    first = base - (cuts - 1) * shares.test * base
    if first <= 0 or (shares.valid + shares.test) * base / first > 1 - LEAST_TRAIN or max(shares.valid, shares.test) * base / first >= 0.5:
        most = int((base - 2 * (shares.valid + shares.test) * base) / (shares.test * base)) + 1
        raise ValueError(
            f"{cuts} cuts of {100 * shares.test:.3g} % of the rows each leave too little to train on before the first; "
            f"choose {max(2, most)} or fewer."
        )
    made = tuple(_cut(spec, shares, base, place) for place in range(cuts))
    if isinstance(spec.split, TimeSplit):  # also where a version before this one, with fewer settings, prepared it
        made = (made[0].model_copy(update={"dataset": dataset}), *made[1:])
    plan = Plan(base=dataset, window=shares.test * base, cuts=made)
    folder = settings().workspace / FOLDER
    folder.mkdir(exist_ok=True)
    write_json(folder / _name(dataset, cuts), plan.model_dump(mode="json"))
    return plan


def known_plan(dataset: str, cuts: int = CUTS) -> Plan | None:
    """The plan that `make_plan` kept; None where there is none, or it cannot be read."""
    try:
        return Plan.model_validate(json.loads((settings().workspace / FOLDER / _name(dataset, cuts)).read_text()))
    except OSError:
        return None
    except (ValueError, ValidationError) as error:
        log.warning("the plan of a backtest of %s is made anew, since it cannot be read: %s", dataset, error)
        return None


def _name(dataset: str, cuts: int) -> str:
    return f"{dataset}-{cuts}.json"


def _cut(spec: DatasetSpec, shares: TimeSplit, base: float, place: int) -> Cut:
    until = round(base - place * shares.test * base, 6)
    part = {name: round(getattr(shares, name) * base / until, 6) for name in ("valid", "test")}
    own = spec.model_copy(update={"split": TimeSplit(until=until, **part)})
    return Cut(until=until, dataset=datasets.dataset_id(own), spec=own.model_dump(mode="json"))


def settled(run: Run) -> RunSpec:
    """The training of a run with the settings that its search chose, and without a search.

    Raises:
        ValueError: it is made of other runs, or of another version.
    """
    if run.kind != "train" or run.unreadable or isinstance(run.training.model, FunnelSpec):
        raise ValueError(f"{run.title} is no training of one model, so it cannot be trained at other cuts; choose its parts.")
    chosen = runs.done(run.run_id).get("chosen", {})
    return with_settings(run.training, {name if "." in name else f"model.{name}": value for name, value in chosen.items()})


def progress_of(plan: Plan, run_ids: Sequence[str], letters: Sequence[str]) -> Backtest:
    """Which trainings of some runs, one for each letter, are there, are under way, or are missing on each cut.

    Raises:
        LookupError: no such run. ValueError: as in `settled`.
    """
    preparing = {one.dataset for one in map(_prepares, runs.list_runs("prepare")) if one is not None}
    prepared: list[State] = []
    entries = []
    wanted = [(letter, runs.get_run(run_id)) for letter, run_id in zip(letters, run_ids, strict=True)]
    specs = {letter: settled(run) for letter, run in wanted}
    for place, cut in enumerate(plan.cuts):
        there = (settings().datasets / cut.dataset / MANIFEST).is_file()
        prepared.append("finished" if there else "live" if cut.dataset in preparing else "missing")
        known = {}
        for run in reversed(runs.list_runs("train", cut.dataset)):
            if not run.unreadable and (run.live or run.state == RunState.FINISHED):
                known[_key(run.training)] = run
        for letter, run in wanted:
            spec = specs[letter].model_copy(update={"dataset": cut.dataset})
            found = run if run.dataset == cut.dataset else known.get(_key(spec))
            state: State = "missing" if found is None else "live" if found.live else "finished"
            entries.append(Entry(letter, place, state, None if found is None else found.run_id, spec))
    return Backtest(plan, tuple(prepared), tuple(entries))


class _Prepares(NamedTuple):
    dataset: str
    run_id: str


def _prepares(run: Run) -> _Prepares | None:
    """The dataset that a live preparation will make; None for what is no such run."""
    if not run.live or not isinstance(run.spec, DatasetSpec):
        return None
    return _Prepares(datasets.dataset_id(run.spec), run.run_id)


def _key(spec: RunSpec) -> str:
    return spec.model_copy(update={"name": None}).model_dump_json()


def launch(backtest: Backtest, key: str | None = None) -> list[str]:
    """Prepare the cuts that are missing, and train on all what is missing; returns the ids of the runs, preparations included.

    Args:
        key: a second call with the same key launches nothing more.

    Raises:
        As `engine.runs.submit`.
    """
    launched: list[str] = []
    preparing = {one.dataset: one.run_id for one in map(_prepares, runs.list_runs("prepare")) if one is not None}
    for place, cut in enumerate(backtest.plan.cuts):
        entries = [one for one in backtest.missing if one.cut == place]
        after = preparing.get(cut.dataset)
        if backtest.prepared[place] == "missing" and entries:
            after = runs.submit(DatasetSpec.model_validate(cut.spec), key=key and f"{key}-{place}")
            launched.append(after)
        there = backtest.prepared[place] == "finished"
        for entry in entries:
            launched.append(runs.submit(entry.spec, key=key and f"{key}-{place}-{entry.letter}", after=None if there else after))
    return launched
