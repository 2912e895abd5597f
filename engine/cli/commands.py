"""recbench …: every action of the workbench as a command. Errors are one sentence and exit status 1."""

import argparse
import json
import os
import select
import sys
import traceback
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from engine.cli import (
    adopting,
    annotations,
    comparing,
    computing,
    diagnosing,
    features,
    gating,
    growing,
    planning,
    preflight,
    registering,
    resuming,
    retraining,
    searching,
    serving,
    specs,
    stress,
    upkeep,
    workbench,
)
from engine.cli.annotations import Add, Command
from engine.cli.progress import wait

if TYPE_CHECKING:
    from engine.runs import Run


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits 0, 1 after an error, 2 after a wrong command line, 130 after Ctrl-C, 141 when the reader of the output is gone;
    a gate as `gating` says, 3 after a wrong command line too."""
    args = _parse(argv)
    sys.excepthook = _report
    try:
        _keep_private()
        with _computing(args):
            answer = args.run(args)
        adopting.hint(args)
        if args.json:
            print(json.dumps(answer, default=str))
        sys.stdout.flush()
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError) and not _has_reader():
            sys.exit(141)  # 128 + SIGPIPE, as a shell says
        text = _masked(str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error))
        if args.json:
            print(json.dumps({"error": text}))
        if code := getattr(args, "error_code", None):
            print(f"recbench: {text}", file=sys.stderr)
            sys.exit(code)
        sys.exit(f"recbench: {text}")
    except KeyboardInterrupt:
        sys.exit(130)
    if code := answer.get("exit_code", int(bool(answer.get("failed")))):
        sys.exit(code)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The traceback of an error that no command foresees, without the passwords and keys in it."""
    sys.stderr.write(_masked("".join(traceback.format_exception(kind, error, trace))))


def _keep_private() -> None:
    """Imported late, as `_masked`."""
    from engine.settings import keep_private

    keep_private()


def _computing(args: argparse.Namespace) -> AbstractContextManager[None]:
    """Around a command: what `--compute` names. Imported late, as `_masked`."""
    if (named := getattr(args, "compute", None)) is None:
        return nullcontext()
    from engine import compute

    return compute.using(compute.given(named))


def _masked(text: str) -> str:
    """Without passwords and keys. Imported late: --help and a wrong command line load no specs."""
    from workers.specs import mask

    return mask(text)


def _has_reader() -> bool:
    """Whether standard output still has a reader; where it has none, discard what is left to write."""
    waiting = select.poll()
    waiting.register(sys.stdout, 0)  # errors only: a pipe without a reader has one
    if gone := waiting.poll(0):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return not gone


class _Parser(argparse.ArgumentParser):
    """Ends with a command's own `error_code` after a wrong command line, where 2 is an answer of the command."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(self.get_default("error_code") or 2, f"{self.prog}: error: {message}\n")


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    args, unknown = parser.parse_known_args(argv, argparse.Namespace(json=False))
    if unknown:
        parser.set_defaults(error_code=getattr(args, "error_code", None))
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return args


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    # absent where it is not given, so that a command does not take back what stands before it
    common.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object as the last line of standard output"
    )
    parser = _Parser(
        prog="recbench",
        parents=[common],
        description="Choose a recommender model: same data, same split, same protocol, side by side. Default: open the workbench.",
        epilog="RECBENCH_WORKSPACE is the folder of all datasets and runs (default: ./workspace).",
    )
    parser.set_defaults(run=workbench.open_workbench, host=workbench.LOOPBACK, port=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(run=run)
        return command

    workbench.register(add)
    _register(add)
    for one in (
        resuming,
        comparing,
        gating,
        registering,
        preflight,
        planning,
        stress,
        diagnosing,
        annotations,
        upkeep,
        adopting,
        specs,
        computing,
    ):
        one.register(add)
    for waiting in (growing, retraining, searching, features, serving):
        waiting.register(add, wait)
    return parser


def _register(add: Add) -> None:
    """The commands that prepare, train, list and stop."""
    download = add("download", _download, "Download a public data set to the workspace; without NAME: list them.")
    download.add_argument("key", metavar="NAME", nargs="?", help="data set, such as ml-1m")
    prepare = add("prepare", _prepare, "Prepare a dataset from a JSON spec and wait for it.")
    prepare.add_argument("spec", type=Path, metavar="SPEC", help="dataset spec, as `recbench spec dataset` prints it")
    train = add("train", _train, "Launch training runs from JSON specs.")
    train.add_argument("specs", type=Path, nargs="+", metavar="SPEC", help="run specs, as `recbench spec run` prints them")
    train.add_argument("--wait", action="store_true", help="wait for all of them, with progress")
    for launching in (prepare, train):
        computing.add_option(launching)
    add("runs", _runs, "List runs, newest first.").add_argument("--limit", type=int, default=30, help="how many (default 30)")
    cancel = add("cancel", _cancel, "Stop a run and verify that no process of it is left.")
    cancel.add_argument("run_id", metavar="RUN")
    cancel.add_argument("--keep", action="store_true", help="a training writes a checkpoint first, so that it can be resumed")
    cancel.add_argument("--force", action="store_true", help="although it is somebody else's, or of a machine that cannot be reached")


def _download(args: argparse.Namespace) -> dict[str, Any]:
    import engine
    from engine.datasets import DOWNLOADS, DownloadSpec, downloaded

    if args.key is None:
        for one in DOWNLOADS.values():
            print(f"{one.key:<24} {one.bytes / 1e6:>6.1f} MB  {downloaded(one.key) or one.title}")
        return {"downloads": [{"key": key, "path": downloaded(key)} for key in DOWNLOADS]}
    run = wait([engine.runs.submit(DownloadSpec(key=args.key))])[0]
    path = downloaded(args.key)
    if path:
        print(f"{path}\n{DOWNLOADS[args.key].license}")
    return _row(run) | {"path": path, "failed": run.state != engine.runs.RunState.FINISHED}


def _prepare(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    run_id = engine.runs.submit(engine.datasets.DatasetSpec.read(args.spec))
    run = wait([run_id])[0]
    if run.state != engine.runs.RunState.FINISHED:
        return {"failed": True} | _row(run)
    counts = engine.datasets.get_dataset(run.dataset or "").manifest["counts"]
    print(f"{run.dataset}: {counts['interactions']}, users to rank for {counts['users_to_rank']}")
    return _row(run) | {"counts": counts}


def _train(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    specs = [engine.specs.RunSpec.read(path) for path in args.specs]
    for spec in specs:  # all are checked before the first starts
        engine.datasets.get_dataset(spec.dataset)
    run_ids = [engine.runs.submit(spec) for spec in specs]
    for run_id, spec in zip(run_ids, specs, strict=True):
        print(f"{run_id}  {spec.title}")
    if not args.wait:
        return {"runs": [{"run_id": run_id} for run_id in run_ids]}
    ended = wait(run_ids)
    return {"runs": [_row(run) for run in ended], "failed": any(run.state != engine.runs.RunState.FINISHED for run in ended)}


def _row(run: "Run") -> dict[str, Any]:
    shown = {"run_id", "kind", "title", "state", "dataset", "message", "metrics", "resources", "owner"}
    return run.model_dump(mode="json", include=shown)


def _runs(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    runs = engine.runs.list_runs(limit=args.limit)
    for run in runs:
        why = (run.message or "").partition("\n")[0]
        shown = ", ".join(f"{engine.specs.METRICS[k].label} {run.metrics[k]:.3g}" for k in ("ndcg_at_10", "auc") if k in run.metrics)
        whose = "" if run.owner.is_me else f"  of {run.owner.user or run.owner.workspace}"
        print(f"{run.run_id}  {run.submitted_at:%Y-%m-%d %H:%M}  {run.state.value:<11}  {run.title}  {shown or why}{whose}")
    if not runs:
        print("No runs yet. `recbench spec dataset > dataset.json`, then `recbench prepare dataset.json`.")
    return {"runs": [_row(run) for run in runs]}


def _cancel(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    engine.runs.cancel(args.run_id, keep=args.keep, force=args.force)
    run = engine.runs.get_run(args.run_id)
    left = "none of its processes is left." if engine.runs.why_not_stopped(run) is None else ""
    print(f"{run.title} is {run.state.value}; {left} {run.message or ''}".strip())
    return _row(run)
