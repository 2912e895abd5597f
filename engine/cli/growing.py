"""recbench curve: would more data help? Trains on shares of the users what is missing, and reads the curves of what is there."""

import argparse
from typing import TYPE_CHECKING, Any

from engine.cli import computing
from engine.cli.annotations import Add
from engine.cli.searching import Wait

if TYPE_CHECKING:
    from engine.compare import Comparison
    from engine.compare.growth import Growth


def register(add: Add, wait: Wait) -> None:
    """Add the command to a parser. wait: for runs to end, with progress."""
    text = "Would more data help? Train runs on shares of their users, where that was not done, and fit a law to what there is."
    curve = add("curve", lambda args: _curve(args, wait), text)
    curve.add_argument("run_ids", nargs="+", metavar="RUN", help="finished training runs of one dataset")
    curve.add_argument("--shares", default="10,25,50", metavar="PERCENT", help="of the users, besides all of them (default 10,25,50)")
    curve.add_argument("--metric", help="what the curves are of (default: the verdict's)")
    curve.add_argument("--wait", action="store_true", help="wait for the runs, with progress, and read the curves then")
    text = "Will it hold next month? Prepare the data as of several cuts in time, train runs on each, and compare them window by window."
    backtest = add("backtest", lambda args: _backtest(args, wait), text)
    backtest.add_argument("run_ids", nargs="+", metavar="RUN", help="finished training runs of one dataset")
    backtest.add_argument("--cuts", type=int, default=4, help="windows in time, each as long as the dataset's test (default 4)")
    backtest.add_argument("--metric", help="what is compared (default: the verdict's)")
    backtest.add_argument("--wait", action="store_true", help="wait for the runs, with progress, and compare then")
    for launching in (curve, backtest):
        computing.add_option(launching)
    backtest.add_argument("--staleness", action="store_true", help="measure models of earlier cuts on later windows: what does a day cost?")


def _curve(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    import engine
    from engine.compare import growth

    specs = {spec.model_dump_json(): spec for run_id in args.run_ids for spec in growth.missing_runs(run_id, _shares(args.shares))}
    launched = [engine.runs.submit(spec) for spec in specs.values()]
    for run_id, spec in zip(launched, specs.values(), strict=True):
        print(f"{run_id}  {spec.title}")
    ended = wait(launched) if args.wait else []
    failed = any(run.state != engine.runs.RunState.FINISHED for run in ended)
    if launched and not args.wait:
        print("These runs are under way; the same command reads the curves when they have ended.")
    comparison = engine.compare.compare(args.run_ids)
    metric = _metric(comparison, args.metric)
    found = growth.learning_curves(comparison, metric)
    said = [engine.compare.plain(sentence) for sentence in growth.growth_sentences(comparison, found)]
    _print(comparison, found, said)
    curves = [curve._asdict() | {"points": [point._asdict() for point in curve.points]} for curve in found.curves]
    return {"launched": launched, "metric": metric, "curves": curves, "sentences": said, "failed": failed}


def _metric(comparison: "Comparison", asked: str | None) -> str:
    """The metric that is asked for, else the verdict's."""
    from engine.compare import growth

    known = growth.growth_metrics(comparison)
    if asked is not None and asked not in known:
        raise ValueError(f"There is no {asked[:80]} of these runs; choose one of {', '.join(known)}.")
    return asked or known[0]


def _backtest(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    import engine
    from engine.compare import backtest

    comparison = engine.compare.compare(args.run_ids)
    contenders = [(one.letter, one.run_id) for one in comparison.contenders if one.run_id is not None]
    letters, ids = [letter for letter, _ in contenders], [run_id for _, run_id in contenders]
    metric, plan = _metric(comparison, args.metric), backtest.make_plan(comparison.dataset, args.cuts)
    launched = backtest.launch(backtest.progress_of(plan, ids, letters))
    for run_id in launched:
        print(f"{run_id}  {engine.runs.get_run(run_id).title}")
    ended = wait(launched) if args.wait else []
    if launched and not args.wait:
        print("These runs are under way; the same command compares them when they have ended.")
    reached = backtest.progress_of(plan, ids, letters)
    found = backtest.windows_of(reached, metric, comparison.k, comparison.target)
    print(f"\n{engine.specs.metric(metric).label:<20}{'users':>8}" + "".join(f"{letter:>10}" for letter in found.letters))
    for place, (window, values) in enumerate(zip(found.windows, found.values, strict=True)):
        cells = "".join(f"{'—' if value != value else f'{value:.4f}':>10}" for value in values)
        print(f"{backtest.window_name(window, place):<20}{window.users:>8,}{cells}")
    for fresh, old in backtest.unmeasured(reached) if args.staleness else ():
        backtest.measure(fresh, old)
    aged = backtest.staleness_of(reached, metric)
    said = [engine.compare.plain(sentence) for sentence in backtest.window_sentences(comparison, found)]
    said += [engine.compare.plain(backtest.staleness_sentence(comparison, one, metric)) for one in aged]
    for sentence in [*said, backtest.BACKTEST_NOTE]:
        print(f"\n{sentence}")
    failed = any(run.state != engine.runs.RunState.FINISHED for run in ended)
    answer = {"launched": launched, "plan": plan.model_dump(mode="json"), "metric": metric, "sentences": said, "failed": failed}
    return answer | {"letters": found.letters, "values": found.values.tolist(), "pairs": [pair._asdict() for pair in found.pairs]}


def _shares(text: str) -> list[float]:
    """Percent, separated by commas, as shares."""
    try:
        return [float(part.strip().removesuffix("%")) / 100 for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--shares is {text[:80]!r}; write percents such as 10,25,50.") from None


def _print(comparison: "Comparison", found: "Growth", said: list[str]) -> None:
    """A row for each contender and share, then the sentences."""
    import engine

    label = engine.specs.metric(found.metric).label
    short = engine.compare.names(comparison.contenders)
    print(f"\n{'':4}{'share':>8}{'rows':>12}{label:>26}")
    for curve in found.curves:
        print(f"{curve.letter:<4}{short[curve.letter]}")
        for point in curve.points:
            cell = f"{point.value:.4f} [{point.low:.4f}, {point.high:.4f}]"
            print(f"{'':4}{100 * point.share:>6.3g} %{point.rows:>12,}{cell:>26}")
    for sentence in said:
        print(f"\n{sentence}")
    print(f"\n{engine.compare.growth.LAW_NOTE}")
