"""What a run's search has tried so far, read from the run's folder; reading writes nothing."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from engine import runs
from engine.settings import settings
from workers.artifacts import TUNING
from workers.search import Ended, read_trials

CHOOSES = ("ndcg_at_10", "auc")  # of a fitted model: the validation metric that picks settings, the first that was measured
log = logging.getLogger(__name__)


class SearchTrial(NamedTuple):
    """Settings that were tried. `value`: what they are chosen by, the best epoch on validation, more being better; None: it has none."""

    number: int  # from 1
    settings: dict[str, Any]  # by dotted name
    state: Literal["done", "pruned", "failed"]
    value: float | None
    valid: dict[str, float]  # metrics on validation
    seconds: float  # of training and validation
    why: str = ""  # of a trial that failed


class Search(NamedTuple):
    """The search of a run, live or ended."""

    run_id: str
    trials: tuple[SearchTrial, ...]  # in the order in which they began; those that are through
    of: int  # how many there may be
    minutes: float | None  # after which none began any more
    sampler: Literal["tpe", "random"]
    metric: str | None  # of validation, by which the best is chosen; None: no trial has it yet

    @property
    def best(self) -> SearchTrial | None:
        """The best so far, the earlier one of equals; None: none has a value."""
        known = [one for one in self.trials if one.value is not None]
        return max(known, key=lambda one: (one.value, -one.number)) if known else None

    @property
    def with_value(self) -> tuple[SearchTrial, ...]:
        return tuple(one for one in self.trials if one.value is not None)


def of_run(run_id: str) -> Search | None:
    """The search of a run; None for a run that searches nothing, or whose settings this version does not accept.

    Raises:
        LookupError: no such run. ValueError: its results were changed since.
    """
    run = runs.get_run(run_id)
    try:
        budget = run.training.budget
    except ValueError:
        return None
    if budget is None:
        return None
    ended = read_trials(settings().runs / run_id) or _tried(run_id)
    return Search(run_id, tuple(map(_trial, ended)), budget.trials, budget.minutes, budget.sampler, _metric(ended))


def _tried(run_id: str) -> list[Ended]:
    """The trials that a finished run lists among its results, where their folders are gone."""
    path = runs.result_file(run_id, TUNING)
    try:
        listed = json.loads(path.read_text())["tried"]
        return [
            Ended(at, one["settings"], one.get("state", "done"), one.get("value", _chosen_by(one.get("valid", {}))), one)
            for at, one in enumerate(listed)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.debug("%s lists no trials: %s", path, error)
        return []


def _trial(one: Ended) -> SearchTrial:
    facts = one.facts
    seconds = float(facts.get("seconds", facts.get("fit_s", 0.0)))
    return SearchTrial(one.number + 1, one.settings, one.state, one.value, facts.get("valid", {}), seconds, str(facts.get("why", "")))


def _chosen_by(valid: Mapping[str, float]) -> float | None:
    return next((valid[name] for name in CHOOSES if name in valid), None)


def _metric(ended: Sequence[Ended]) -> str | None:
    """The metric that chooses: of a network the one that its trials name, of a fitted model the first that was measured."""
    for facts in (one.facts for one in ended if one.value is not None):
        if named := facts.get("learned", {}).get("metric"):
            return str(named)
        return next((name for name in CHOOSES if name in facts.get("valid", {})), None)
    return None
