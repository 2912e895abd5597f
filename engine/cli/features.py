"""recbench features: which features of a finished run pay, by permuting each among test rows."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.cli.annotations import Add

if TYPE_CHECKING:
    from engine.runs import Run

Wait = Callable[[list[str]], list["Run"]]


def register(add: Add, wait: Wait) -> None:
    """Add the command to a parser. wait: for runs to end, with progress."""
    text = "Test which features a finished network needs: each is permuted among test rows. Waits, and prints what each costs."
    features = add("features", lambda args: _features(args, wait), text)
    features.add_argument("run_id", metavar="RUN", help="a finished run of a network")
    features.add_argument("--rows", type=int, default=200_000, help="test rows that are read at most (default 200,000)")
    features.add_argument("--tolerance", type=float, default=0.001, help="loss that does not matter (default .001 of AUC)")


def _features(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    import engine
    from engine import features

    run = wait([features.test_features(args.run_id, args.rows, args.tolerance)])[0]
    test = next((one for one in features.tests_of(args.run_id) if one.run.run_id == run.run_id), None)
    if test is None or test.result is None:
        return {"failed": True, "run_id": run.run_id, "message": run.message}
    result, metric = test.result, engine.specs.METRICS[test.result.metric].label
    print(f"{metric} {result.value:.4f} on {result.rows:,} rows of {result.users:,} users; permuted, it loses")
    for one in result.each:
        interval = "" if one.low is None else f"  [{one.low:+.4f}, {one.high:+.4f}]"
        print(f"{one.loss:>+9.4f}{interval}  {one.features[0]}")
    print(said := features.conclusion(engine.runs.get_run(args.run_id), result))
    return {"run_id": run.run_id, "features_of": args.run_id, "conclusion": said, **result.model_dump(mode="json")}
