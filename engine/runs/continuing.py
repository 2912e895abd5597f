"""Going on where a finished run ended: the run that would do it, and why it may not."""

from typing import Any

from pydantic import ValidationError

from engine.runs import read
from engine.runs.read import RunState
from engine.settings import settings
from workers.artifacts import CHECKPOINT
from workers.models import NetworkSpec
from workers.run import RunSpec
from workers.specs import explain

SUFFIX = " · continued"
LONGEST = 120  # of a run's name


def continued(run_id: str, epochs: int) -> RunSpec:
    """The run that trains the model of a finished run for more epochs, under its other settings.

    Raises:
        LookupError: no such run, or its weights are not in this workspace.
        ValueError: it is not a finished run of a network; says why and what to do.
    """
    run = read.get_run(run_id)
    before = _training(run)
    title = run.title.removesuffix(SUFFIX)[: LONGEST - len(SUFFIX)]
    train = before.train.model_dump() | {"epochs": epochs}
    asked = before.model_dump() | {"name": title + SUFFIX, "continues": run_id, "train": train}
    try:
        spec = RunSpec.model_validate(asked)
    except ValidationError as error:
        raise ValueError(explain(error)) from error
    check(spec)
    return spec


def check(spec: RunSpec) -> None:
    """Nothing where a run may go on from the one that it names, or where it names none.

    Args:
        spec: as it will run, `RunSpec.resolved`.

    Raises:
        LookupError, ValueError: as `continued`; ValueError too where dataset or model are not those of the run that it continues.
    """
    if spec.continues is None:
        return
    run = read.get_run(spec.continues)
    before = _training(run)
    if before.dataset != spec.dataset:
        raise ValueError(
            f"Run {run.run_id} was trained on {before.dataset}, not on {spec.dataset}; a run goes on with the dataset that it began with."
        )
    if different := _different(before.model.model_dump(), spec.model.model_dump()):
        raise ValueError(
            f"Run {run.run_id} cannot go on as another model: {different}. Leave the model as it was, or train one anew without continues."
        )
    if not (settings().runs / run.run_id / CHECKPOINT / "best.json").is_file():
        raise LookupError(f"The weights of run {run.run_id} are not in this workspace, so it cannot go on; train it again here.")


def _training(run: read.Run) -> RunSpec:
    """What a run was asked to train; ValueError where it is no finished training of a network."""
    if run.kind != "train":
        raise ValueError(f"Run {run.run_id} is a {'preparation' if run.kind == 'prepare' else run.kind}; only a training run goes on.")
    if run.state != RunState.FINISHED:
        raise ValueError(f"Run {run.run_id} is {run.state.value}; only a finished run goes on. Wait for it, or train anew.")
    spec = run.training
    if not isinstance(spec.model, NetworkSpec):
        raise ValueError(f"{spec.model.label} is fitted at once: there are no epochs to go on with.")
    return spec


def _different(before: dict[str, Any], now: dict[str, Any]) -> str:
    """model.embedding_dim was 16 and is 8; empty where both are alike."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"model.{name} was {before.get(name)} and is {now.get(name)}" for name in names)
