"""recbench retrain: is a model that was trained again on newer data no worse than the old one on the newer test?"""

import argparse
from typing import Any

from engine.cli import computing, gating
from engine.cli.annotations import Add
from engine.cli.searching import Wait


def register(add: Add, wait: Wait) -> None:
    """Add the command to a parser. wait: for runs to end, with progress."""
    text = (
        "Train a run's settings again on newer data of its source, and judge the new run against the old one on the newer test, as a gate."
    )
    retrain = add("retrain", lambda args: _retrain(args, wait), text)
    retrain.add_argument("run_id", metavar="RUN|ALIAS", help="a finished training run, or a registered model (champion, NAME@champion)")
    retrain.add_argument("--data", required=True, metavar="DATASET|PATH", help="a newer prepared dataset, or where the newer source lies")
    gating.add_options(retrain)
    computing.add_option(retrain)


def _retrain(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    import engine

    args.run_id = engine.registry.run_of(args.run_id)
    dataset = _prepared(args, wait)
    spec = engine.compare.backtest.newer_run(args.run_id, dataset)
    known = engine.compare.backtest.trained_as(spec)  # as a pipeline that was stopped left it
    run_id = engine.runs.submit(spec) if known is None else known.run_id
    print(f"{run_id}  {spec.title} on {dataset}")
    _finished(run_id, wait)
    return gating.judge(run_id, args.run_id, args)


def _prepared(args: argparse.Namespace, wait: Wait) -> str:
    """The id of the newer dataset, which is prepared where it is a path to its source, and is not there."""
    import engine

    there = [one.id for one in engine.datasets.list_datasets()]
    if args.data in there:
        return str(args.data)
    spec = engine.compare.backtest.newer_dataset(args.run_id, args.data)
    dataset = engine.datasets.dataset_id(spec)
    if dataset not in there:
        _finished(engine.runs.submit(spec), wait)
    return dataset


def _finished(run_id: str, wait: Wait) -> None:
    """Wait for a run; RuntimeError where it did not finish."""
    import engine

    (run,) = wait([run_id])
    if run.state != engine.runs.RunState.FINISHED:
        raise RuntimeError(f"{run.title} is {run.state.value}, so there is nothing to judge: {run.message or f'see the log of {run_id}'}")
