"""recbench register, registry, alias: finished runs in MLflow's model registry."""

import argparse
from typing import Any

from engine.cli.annotations import Add


def register(add: Add) -> None:
    """Add the commands to a parser."""
    command = add("register", _register, "Put a finished run, or a funnel, into MLflow's model registry, ready for `mlflow models serve`.")
    command.add_argument("run_id", metavar="RUN")
    command.add_argument("--name", help="of the model; default: that of the dataset")
    command.add_argument("--alias", metavar="ALIAS", help="that this version gets, such as champion; another version loses it")
    command.add_argument(
        "--compared-with", nargs="+", default=[], metavar="RUN", help="runs that it was chosen from; the version keeps the verdict"
    )
    command.add_argument(
        "--users", action=argparse.BooleanOptionalAction, default=True, help="whether it knows the users of the dataset by id (default)"
    )
    command.add_argument("--sizes", action="store_true", help="only say how large it will be")
    add("registry", _registry, "The registered models: versions, aliases, metrics, verdicts.").add_argument(
        "name", metavar="NAME", nargs="?", help="of one model; default: all"
    )
    alias = add("alias", _alias, "Give an alias of a registered model to a version, which another version then loses.")
    alias.add_argument("alias", metavar="NAME@ALIAS")
    alias.add_argument("version", metavar="VERSION", nargs="?", type=int, help="none: take the alias away")


def _register(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    size = engine.registry.sizes(args.run_id, args.users)
    parts = ", ".join(f"{part} {count / 1e6:,.1f} MB" for part, count in size._asdict().items() if count)
    print(f"About {size.whole / 1e6:,.1f} MB: {parts}")
    if args.sizes:
        return size._asdict() | {"whole": size.whole}
    made = engine.registry.register(args.run_id, args.name, args.alias, args.users, args.compared_with, _report)
    print(f"{made.uri}{f' ({made.name}@{made.aliases[0]})' if made.aliases else ''}: {made.title}, {made.bytes / 1e6:,.1f} MB")
    print(f"Serve it: {engine.registry.serve_command(made)}")
    return made.model_dump(mode="json") | {"serve": engine.registry.serve_command(made)}


def _report(what: str, done: int, of: int) -> None:
    if done in (0, of):
        print(f"  {what}", flush=True)


def _registry(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    models = engine.registry.list_registered(args.name)
    for one in models:
        aliases = "".join(f" @{alias}" for alias in one.aliases)
        value = one.metrics.get("ndcg_at_10", {}).get("value")
        print(f"{one.uri}{aliases}  {one.title} on {one.dataset}" + (f"  NDCG@10 {value:.4f}" if value is not None else ""))
    if not models:
        print("Nothing is registered; `recbench register RUN` does it.")
    return {"registered": [one.model_dump(mode="json") for one in models]}


def _alias(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    name, _, alias = args.alias.rpartition("@")
    if not name:
        raise ValueError(f"{args.alias[:80]!r} is no NAME@ALIAS; write for instance movielens@champion.")
    engine.registry.set_alias(name, alias, args.version)
    print(f"{args.alias} is {'no version' if args.version is None else f'version {args.version}'}")
    return {"name": name, "alias": alias, "version": args.version}
