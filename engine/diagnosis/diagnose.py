"""The ordered checks of one finished run.

The order is that in which causes are worth mending: what makes every number doubtful, then what the model cannot know, then how it learned,
then what it was asked to learn, then its size. `python -m tests.bench.diagnosis` measures it on planted faults.
"""

from collections.abc import Callable

from engine import runs
from engine.diagnosis import data_causes, model_causes, training_causes
from engine.diagnosis.evidence import Evidence, evidence_of
from engine.diagnosis.record import Diagnosis
from engine.runs import Run, RunState
from workers.models import TwoTowerSpec

CHECKS: tuple[Callable[[Evidence], Diagnosis | None], ...] = (
    data_causes.few_users,
    data_causes.unknown_rows,
    data_causes.label_rule,
    data_causes.reads_nothing,
    training_causes.diverged,
    training_causes.flat,
    training_causes.too_short,
    model_causes.pointwise,
    model_causes.dislikes,
    model_causes.few_negatives,
    model_causes.temperature,
    model_causes.collapsed,
    training_causes.by_heart,
    data_causes.noise,
    model_causes.dropout,
    model_causes.narrow,
    model_causes.popularity_alone,
)


def why_no_diagnosis(run: Run) -> str | None:
    """Why a run is not diagnosed, in a sentence; None where it is."""
    if run.kind != "train" or run.state != RunState.FINISHED or run.unreadable:
        return f"{run.title} is {run.state.value}; only finished training runs are diagnosed."
    if not isinstance(run.training.model, TwoTowerSpec):
        return f"{run.title} is no two-tower; the checks are about two-towers."
    return None


def diagnose(run_id: str) -> tuple[Diagnosis, ...]:
    """What keeps a finished two-tower from being better, the first thing to mend first; empty where no check finds anything.

    Raises:
        LookupError: no such run, or its dataset is gone. ValueError: it is no finished run of a two-tower, or was changed since.
    """
    run = runs.get_run(run_id)
    why, model = why_no_diagnosis(run), run.training.model if not run.unreadable else None
    if why or not isinstance(model, TwoTowerSpec):
        raise ValueError(why or f"{run.title} cannot be read.")
    evidence = evidence_of(run, model)
    return tuple(found for check in CHECKS if (found := check(evidence)))
