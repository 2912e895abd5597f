"""How much each setting of a search mattered: fANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014), as Optuna computes it."""

import functools
from typing import NamedTuple

from engine import runs
from engine.searches.record import Search, of_run
from workers.search import distribution, encoded, space_of

FEWEST = 8  # trials with a value, below which shares of the variance say nothing


class Share(NamedTuple):
    """The share of the variance over the space that a setting explains alone and with others, 0 to 1; all shares add up to 1."""

    setting: str  # dotted name
    share: float


def importance(run_id: str) -> tuple[Share, ...]:
    """The settings of a run's search, the most important first; empty for fewer than FEWEST trials with values, or where all are equal.

    Optuna and scikit-learn are imported here, and the answer is kept until another trial ends.

    Raises:
        LookupError: no such run. ValueError: its results were changed since.
    """
    search = of_run(run_id)
    if search is None or len(search.with_value) < FEWEST or len({one.value for one in search.with_value}) < 2:
        return ()
    return _importance(search.run_id, len(search.trials))


@functools.lru_cache(maxsize=64)
def _importance(run_id: str, trials: int) -> tuple[Share, ...]:
    import optuna

    search = of_run(run_id)
    assert search is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(_study(search), evaluator=evaluator)
    return tuple(Share(name, float(share)) for name, share in found.items())


def _study(search: Search) -> "optuna.Study":  # type: ignore[name-defined]  # noqa: F821
    """The trials that have a value, as a study in memory; one that tried values outside its space is left out."""
    import optuna

    space = space_of(runs.get_run(search.run_id).training)
    ways = {name: distribution(way) for name, way in space.items()}
    study = optuna.create_study(direction="maximize")
    for one in search.with_value:
        if set(one.settings) == set(ways):
            study.add_trial(optuna.trial.create_trial(params=encoded(space, one.settings), distributions=ways, value=one.value))
    return study
