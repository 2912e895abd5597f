"""A search for settings as Optuna keeps it, in a file of the run's folder: Akiba et al., "Optuna", KDD 2019.

One process owns it. What is tried next depends on the seed and on what was tried before alone, so that a search that was interrupted and
resumed tries what it would have tried.
"""

import json
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from workers.artifacts import write_json
from workers.specs import Choices, Range, SearchSpec, Space

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)
FILE, NAME, TRIALS = "search.log", "search", "trials"
TRIAL = "trial.json"  # in the folder of a trial that is through: what came of it, for those who do not write
FEWEST = 4  # trials that were through an epoch before one is ended for being worse than their median
KEPT = "ended"  # the attribute of a trial that holds what came of it


class Trial(NamedTuple):
    """Settings that are tried."""

    number: int  # from 0
    settings: dict[str, Any]
    began: bool = False  # whether an attempt before this one had begun it


class Ended(NamedTuple):
    """A trial that is through."""

    number: int
    settings: dict[str, Any]
    state: Literal["done", "pruned", "failed"]
    value: float | None  # the best on validation, more is better; None: it has none
    facts: dict[str, Any]
    ended_at: float = 0.0  # seconds since 1970


def trial_folder(run_dir: Path, number: int) -> Path:
    """Where a trial of a run writes."""
    return run_dir / TRIALS / f"{number:03d}"


def read_trials(run_dir: Path) -> list[Ended]:
    """The trials of a run's search that are through, in their order; one whose file is damaged is left out."""
    trials = []
    for path in sorted((run_dir / TRIALS).glob(f"*/{TRIAL}")):
        try:
            trials.append(Ended(**json.loads(path.read_text())))
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s cannot be read: %s", path, error)
    return sorted(trials, key=lambda one: one.number)


class Study:
    """The trials of a search.

    Args:
        run_dir: the run's folder.
        first: the settings of the first trial.
        seed: of what is tried.
    """

    def __init__(self, run_dir: Path, search: SearchSpec, space: Space, first: Mapping[str, Any], seed: int) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        for lock in run_dir.glob(f"{FILE}.lock*"):  # of a process that was killed: this one alone writes now
            lock.unlink(missing_ok=True)
        storage = JournalStorage(JournalFileBackend(str(run_dir / FILE)))
        self._run_dir, self._search, self._space, self._first, self._seed = run_dir, search, space, dict(first), seed
        self._study = optuna.create_study(
            storage=storage, study_name=NAME, direction="maximize", load_if_exists=True, pruner=_pruner(search)
        )
        self._ways = {name: distribution(way) for name, way in space.items()}
        self._begun = time.monotonic()
        self._took = [float(one.facts.get("seconds", 0.0)) for one in self.ended()]
        self._before = sum(self._took)
        self._open: dict[int, optuna.Trial] = {}
        self._since = dict[int, float]()

    def next(self) -> Trial | None:
        """What is tried next: a trial that an earlier attempt had begun, or a new one; None: the search is through."""
        import optuna

        for one in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            if one.number not in self._open:
                self._open[one.number] = optuna.Trial(self._study, one._trial_id)
                self._since[one.number] = time.monotonic()
                return Trial(one.number, self._decoded(one.params), began=True)
        number = len(self._study.get_trials(deepcopy=False))
        if (not self._space and number) or self.left(number) == 0:
            return None
        if number == 0:
            self._study.enqueue_trial(self._encoded(self._first))
        self._study.sampler = _sampler(self._search, self._seed + number)
        asked = self._study.ask(self._ways)
        self._open[asked.number], self._since[asked.number] = asked, time.monotonic()
        return Trial(asked.number, self._decoded(asked.params))

    def left(self, begun: int) -> int:
        """Trials that are still to be begun."""
        over = self._search.minutes is not None and self.seconds > 60 * self._search.minutes and begun > 0
        return 0 if over else max(0, self._search.trials - begun)

    def left_s(self, number: int, of_trial: float) -> float:
        """Seconds that the search has left, those of a trial under way being `of_trial`: the others are expected to take as long as those
        that are through, and as long as this one where none is."""
        each = sum(self._took) / len(self._took) if self._took else of_trial
        others = each * max(0, self._search.trials - number - 1)
        if self._search.minutes is not None:  # the last one begins within the time, and goes on beyond it
            others = min(others, max(0.0, 60 * self._search.minutes - self.seconds - of_trial) + each)
        return of_trial + others

    @property
    def seconds(self) -> float:
        """Since the search began, without pauses between attempts."""
        return self._before + time.monotonic() - self._begun

    def seconds_of(self, number: int) -> float:
        """Since a trial began in this attempt."""
        return time.monotonic() - self._since[number]

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Note the validation of an epoch, more being better; returns whether to end the trial here."""
        trial, best = self._open[number], max([value, *self._values(number)])
        if not math.isfinite(best):
            return False
        trial.report(best, epoch)
        return trial.should_prune()

    def _values(self, number: int) -> list[float]:
        return list(self._study.get_trials(deepcopy=False)[number].intermediate_values.values())

    def end(self, number: int, state: Literal["done", "pruned", "failed"], value: float | None, facts: Mapping[str, Any]) -> None:
        """Note what came of a trial. A pruned one counts with its best epoch, as the others do."""
        import optuna

        trial = self._open.pop(number)
        self._took.append(float(facts.get("seconds", 0.0)))
        known, now = value is not None and math.isfinite(value), time.time()
        ended = Ended(number, self._decoded(trial.params), state, value if known else None, dict(facts), now)
        kept = {name: part for name, part in ended._asdict().items() if name not in ("number", "settings")}
        trial.set_user_attr(KEPT, json.dumps(kept))
        ends = optuna.trial.TrialState
        if state == "failed" or not known:
            self._study.tell(trial, state=ends.FAIL)
        elif state == "pruned":
            self._study.tell(trial, state=ends.PRUNED)
        else:
            self._study.tell(trial, value)
        folder = trial_folder(self._run_dir, number)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / TRIAL, ended._asdict())

    def ended(self) -> list[Ended]:
        """The trials that are through, in their order."""
        through = [one for one in self._study.get_trials(deepcopy=False) if one.state.is_finished() and KEPT in one.user_attrs]
        return [Ended(one.number, self._decoded(one.params), **json.loads(one.user_attrs[KEPT])) for one in through]

    def best(self) -> Ended | None:
        """The best trial so far, the earlier one of equals; None: none has a value."""
        with_value = [one for one in self.ended() if one.value is not None]
        return max(with_value, key=lambda one: (one.value, -one.number)) if with_value else None

    def at_edge(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some settings that lie at an end of their range."""
        ranges = {name: way for name, way in self._space.items() if isinstance(way, Range)}
        return {name: settings[name] for name, way in ranges.items() if name in settings and way.at_edge(settings[name])}

    def _encoded(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return encoded(self._space, settings)

    def _decoded(self, params: Mapping[str, Any]) -> dict[str, Any]:
        settings = {name: json.loads(value) if isinstance(self._space[name], Choices) else value for name, value in params.items()}
        return {name: settings[name] for name in self._space}


def encoded(space: Space, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as Optuna has them: choices as text."""
    return {name: json.dumps(value) if isinstance(space[name], Choices) else value for name, value in settings.items()}


def _sampler(search: SearchSpec, seed: int) -> "optuna.samplers.BaseSampler":
    from optuna.samplers import RandomSampler, TPESampler

    if search.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=max(4, min(10, search.trials // 3)), constant_liar=False)


def _pruner(search: SearchSpec) -> "optuna.pruners.BasePruner":
    from optuna.pruners import MedianPruner, NopPruner

    return NopPruner() if search.pruner == "none" else MedianPruner(n_startup_trials=FEWEST, n_min_trials=FEWEST)


def distribution(way: Range | Choices) -> "optuna.distributions.BaseDistribution":
    """The values of a setting as Optuna has them; choices are text."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(way, Choices):  # as text: Optuna stores no tuples
        return CategoricalDistribution([json.dumps(one) for one in way.choices])
    if way.whole:
        return IntDistribution(int(way.low), int(way.high), log=way.log)
    return FloatDistribution(way.low, way.high, log=way.log)


def listed(settings: Mapping[str, Any]) -> str:
    """Settings in a line of the log."""
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items())
