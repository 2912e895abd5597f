"""recbench plan: what a run would take on other machines and with other counts. Nothing is launched."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.annotations import Add

if TYPE_CHECKING:
    from engine.plan import Plan
    from engine.specs import RunSpec

COUNT = "such as 300M, or 10x for ten times as many as now (default: as now)"


def register(add: Add) -> None:
    """Add the command to a parser."""
    text = (
        "What would it take? Where tables would go, the fewest devices, disk, hours and money, for other counts and other machines. "
        "A plan, not a measurement: nothing is launched. Ends with 1 where it does not fit."
    )
    plan = add("plan", _plan, text)
    plan.add_argument("planned", metavar="RUN", help="a run, or a JSON spec of one as `recbench spec run` prints it")
    plan.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="other settings, such as model.embedding_dim=128")
    for name, what in (("users", "users of train"), ("items", "items of train"), ("interactions", "rows of all splits")):
        plan.add_argument(f"--{name}", default="", metavar="COUNT", help=f"{what}, {COUNT}")
    plan.add_argument("--rows", nargs="+", default=[], metavar="FEATURE=COUNT", help=f"values of other features, {COUNT}")
    plan.add_argument("--hosts", type=int, default=1, help="machines (default 1)")
    plan.add_argument("--devices", type=int, default=8, help="GPUs of a machine, or its processes on CPUs (default 8)")
    plan.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="what a rank computes on (default cuda)")
    plan.add_argument("--memory", type=float, default=80.0, metavar="GB", help="of a GPU, or of a process on CPUs (default 80)")
    plan.add_argument("--price", type=float, metavar="PRICE", help="of a machine for an hour, in a currency of your own")
    plan.add_argument("--measured", metavar="RUN", help="whose speed and quality are taken (default: RUN, or the newest of its model)")
    plan.add_argument("--rows-per-second", type=float, metavar="ROWS", help="of one device (default: as measured by that run)")
    plan.add_argument("--epochs", type=int, help="passes over train (default: as many as that run took)")


def _plan(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    run, own = _run_of(args.planned)
    if args.set:
        run = _with(run, _pairs(args.set, "--set"))
    dataset = engine.datasets.get_dataset(run.dataset)
    texts = {"users": args.users, "items": args.items, "interactions": args.interactions} | _pairs(args.rows, "--rows")
    fleet = {"hosts": args.hosts, "devices": args.devices, "device": args.device, "memory_gb": args.memory, "price": args.price}
    others = {"measured": args.measured or own, "rows_per_s": args.rows_per_second, "epochs": args.epochs}
    given = {"counts": engine.plan.counts_from(dataset, texts), "fleet": fleet} | others
    made = engine.plan.make_plan(engine.plan.plan_spec(run, given))
    _print(made)
    return {"plan": made.model_dump(mode="json"), "verdict": engine.plan.verdict(made), "failed": made.why_not is not None}


def _run_of(name: str) -> tuple["RunSpec", str | None]:
    """The spec in a file, or that of a run, with the settings that its search chose, and the run's id where it has finished."""
    import engine

    path = Path(name)
    if path.is_file() or path.suffix == ".json":
        return engine.specs.RunSpec.read(path), None
    run = engine.runs.get_run(name)
    if not isinstance(run.spec, engine.specs.RunSpec):
        raise ValueError(f"Run {name} trains no model; name a training run, or a JSON spec of one.")
    finished = run.run_id if run.resources.get("rows_per_s") else None
    return engine.runs.as_chosen(run.run_id, run.spec) if finished else run.spec, finished


def _pairs(given: list[str], option: str) -> dict[str, str]:
    """NAME=VALUE texts as a mapping."""
    for text in given:
        if not all(text.partition("=")):
            raise ValueError(f"{option} has {text[:80]!r}; write a name and a value, such as name=10.")
    return {text.partition("=")[0]: text.partition("=")[2] for text in given}


def _with(run: "RunSpec", given: dict[str, str]) -> "RunSpec":
    """The run with other settings; what is no JSON is a text. ValueError: there is no such setting, or it has no such value."""
    from pydantic import ValidationError

    from engine.specs import explain, with_settings

    if foreign := [name for name in given if name.partition(".")[0] not in ("model", "train")]:
        raise ValueError(f"--set has {foreign[0][:80]!r}; write model or train, a dot and a setting, such as model.embedding_dim=128.")
    try:
        return with_settings(run, {name: _value(text) for name, text in given.items()})
    except ValidationError as error:
        raise ValueError(explain(error)) from error


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print(made: "Plan") -> None:
    """The verdict, a line for each table, then the facts with what they rest on."""
    from engine.plan import LABEL, facts, quality_note, verdict
    from engine.preflight import size

    print(f"{made.title}\n{LABEL}.\n\n{verdict(made)}")
    for sentence in made.warnings:
        print(f"! {sentence}")
    for table in made.tables:
        held = size(sum(part.table_bytes + part.state_bytes for part in table.parts))
        where = f"{table.sharding} on {len({part.rank for part in table.parts})}"
        print(f"  {table.name[:30]:<30} {table.rows:>15,} × {table.width:<5,} {held:>8}  {where}")
    notes = {"Time and money": made.assumptions, "Quality": (quality_note(made),)}
    for title, rows in facts(made).items():
        print(f"\n{title}")
        for name, value in rows.items():
            print(f"  {name:<32} {value}")
        for sentence in notes.get(title, ()):
            print(f"  {sentence}")
    if made.cost is None:
        print("\n" + "\n".join(made.assumptions))
