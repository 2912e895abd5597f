"""recbench gate: may a candidate take another model's place?"""

import argparse
from pathlib import Path
from typing import Any

from engine.cli.annotations import Add

ERROR = 3  # exit status where nothing could be judged: 1 and 2 are answers


def register(add: Add) -> None:
    """Add the command to a parser."""
    text = "Judge whether a run is worse than another by more than is tolerated; exits 0: not worse, 1: worse, 2: cannot be told, 3: error."
    gate = add("gate", _gate, text)
    gate.add_argument("candidate", metavar="CANDIDATE", help="a finished run")
    gate.add_argument(
        "--against",
        required=True,
        metavar="RUN|ALIAS",
        help="whose place it would take: a run, or a registered model by its alias",
    )
    add_options(gate)


def add_options(command: argparse.ArgumentParser) -> None:
    """Let a command judge, with a gate's exit codes."""
    command.set_defaults(error_code=ERROR)
    command.add_argument("--metric", default="ndcg_at_10", help="what is judged (default ndcg_at_10)")
    command.add_argument(
        "--tolerance", type=_share, default=0.01, metavar="PERCENT", help="how much worse it may be, such as 1%% (default)"
    )
    command.add_argument("--record", type=Path, metavar="FILE.json", help="write the record as JSON")
    command.add_argument("--junit", type=Path, metavar="FILE.xml", help="write it as JUnit XML, which pipelines show")


def _share(text: str) -> float:
    try:
        return float(text.strip().removesuffix("%")) / 100
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no percentage; give one such as 1% or 0.5%") from None


def _gate(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    return judge(args.candidate, engine.registry.run_of(args.against, engine.runs.get_run(args.candidate).dataset), args)


def judge(candidate: str, against: str, args: argparse.Namespace) -> dict[str, Any]:
    """The answer of a command with these options, and its exit code."""
    import engine

    found = engine.compare.gate(candidate, against, args.metric, args.tolerance)
    for path, text in ((args.record, found.model_dump_json(indent=2)), (args.junit, found.junit())):
        if path is not None:
            path.write_text(text, encoding="utf-8")
    print(found.sentence)
    return found.model_dump(mode="json") | {"exit_code": found.outcome.exit_code}
