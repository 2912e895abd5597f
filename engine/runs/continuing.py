"""Continuing an ended run for more epochs: the spec of the new run, or the reason against it."""

from typing import Any

from pydantic import ValidationError

from engine.runs import read, results
from engine.runs.read import LIVE, RunState
from engine.settings import settings
from workers.artifacts import CHECKPOINT
from workers.models import NetworkSpec
from workers.run import RunSpec
from workers.search import with_settings
from workers.specs import explain

SUFFIX = " · continued"
LONGEST = 120  # length of a run's name


def continued(run_id: str, epochs: int) -> RunSpec:
    """The spec of a run that trains the model of an ended run for more epochs, with the same settings otherwise.

    It goes on from the best epoch so far; of a run that ended within its first epoch, from its newest checkpoint.

    Raises:
        LookupError: no such run, or its weights are not in this workspace.
        ValueError: it is not a run of a network, or has not ended; says why and what to do.
    """
    run = read.get_run(run_id)
    before = _training(run)
    title = run.title.removesuffix(SUFFIX)[: LONGEST - len(SUFFIX)]
    train = before.train.model_dump() | {"epochs": epochs}
    settings_of_run = before.model_dump() | {"name": title + SUFFIX, "continues": run_id, "train": train}
    try:
        spec = RunSpec.model_validate(settings_of_run)
    except ValidationError as error:
        raise ValueError(explain(error)) from error
    check(spec)
    return spec


def check(spec: RunSpec) -> None:
    """Check that a run may continue the run that it names; nothing to check where it names none.

    Args:
        spec: with all settings resolved, see `RunSpec.resolved`.

    Raises:
        LookupError, ValueError: as `continued`; also where dataset or model differ from those of the run that it continues.
    """
    if spec.continues is None:
        return
    run = read.get_run(spec.continues)
    before = _training(run)
    if before.dataset != spec.dataset:
        raise ValueError(
            f"Run {run.run_id} was trained on {before.dataset}, not on {spec.dataset}; a run continues on the dataset that it began with."
        )
    if different := _different(before.model.model_dump(), spec.model.model_dump()):
        raise ValueError(
            f"Run {run.run_id} cannot continue as another model: {different}. Keep the model, or train a new one without continues."
        )
    root = settings().runs / run.run_id / CHECKPOINT
    if not (root / "best.json").is_file() and not any(root.glob("step-*/checkpoint.json")):  # ranks compare digests when they read it
        if run.state != RunState.FINISHED:
            raise LookupError(f"Run {run.run_id} is {run.state.value} and has left no checkpoint to continue from; train it again.")
        raise LookupError(f"The weights of run {run.run_id} are not in this workspace, so it cannot be continued; train it again here.")


def _training(run: read.Run) -> RunSpec:
    """The spec of an ended training run of a network; ValueError for any other run."""
    if run.kind != "train":
        raise ValueError(f"Run {run.run_id} is a {read.KIND_NAMES[run.kind]}; only a training run can be continued.")
    if run.state in LIVE:
        raise ValueError(
            f"Run {run.run_id} is {run.state.value}; only a run that has ended can be continued. Wait for it, or stop it and keep what it "
            "learned."
        )
    spec = run.training
    if not isinstance(spec.model, NetworkSpec):
        raise ValueError(f"{spec.model.label} is fitted at once: it has no epochs to continue with.")
    return as_chosen(run.run_id, spec)


def as_chosen(run_id: str, spec: RunSpec) -> RunSpec:
    """A run that searched, as its winner was trained, whose weights it has: a run that continues it searches no more."""
    if spec.search is None:
        return spec
    chosen = results.done(run_id).get("chosen")
    if chosen is None:
        raise ValueError(f"Run {run_id} searched its settings and ended before one was chosen; resume it, or measure it as it is.")
    return with_settings(spec, chosen)


def _different(before: dict[str, Any], now: dict[str, Any]) -> str:
    """model.embedding_dim was 16 and is 8; empty where both are equal."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"model.{name} was {before.get(name)} and is {now.get(name)}" for name in names)
