"""recbench compute: where runs compute, kept by name; what executors of a cluster run, and what a Databricks App is deployed from."""

import argparse
from pathlib import Path
from typing import Any

from engine.cli.annotations import Add

OPTION = "--compute"


def register(add: Add) -> None:
    """Add the commands to a parser."""
    compute = add("compute", _compute, "Keep where runs compute under a name, for `--compute NAME`; without a file: list what is kept.")
    compute.add_argument("spec", type=Path, metavar="SPEC", nargs="?", help="as `recbench spec compute` prints it, with a name")
    compute.add_argument("--delete", metavar="NAME", help="keep it no longer")
    pack = add("pack-environment", _pack, "Pack this Python environment for executors that have none: the `environment` of a compute.")
    pack.add_argument("target", type=Path, metavar="FILE.tar.gz")
    bundle = add("databricks-bundle", _bundle, "Write a bundle that starts the workbench as a Databricks App (not tried on Databricks).")
    bundle.add_argument("folder", type=Path, metavar="FOLDER")
    bundle.add_argument("--volume", required=True, metavar="CATALOG.SCHEMA.NAME", help="Unity Catalog volume for the artifacts of runs")


def add_option(command: argparse.ArgumentParser) -> None:
    """Let a command that launches or judges runs take a compute."""
    command.add_argument(OPTION, metavar="NAME|FILE", help="where it computes: a kept one, or a file of JSON (default: the settings)")


def _compute(args: argparse.Namespace) -> dict[str, Any]:
    from engine import compute

    if args.delete is not None:
        compute.get(args.delete)
        compute.delete(args.delete)
        print(f"{args.delete} is kept no longer")
    if args.spec is not None:
        spec = compute.Compute.read(args.spec)
        compute.save(spec)
        print(f"{spec.name}: {spec.in_words}")
    kept = compute.list_computes()
    if args.spec is None and args.delete is None:
        for one in kept:
            print(f"{one.name:<24} {one.in_words}")
        if not kept:
            print(f"none is kept; runs compute on {compute.current().in_words}")
    return {"computes": [one.model_dump(mode="json") for one in kept]}


def _pack(args: argparse.Namespace) -> dict[str, Any]:
    from engine import compute

    print("packing the interpreter and its packages; PyTorch alone takes minutes", flush=True)
    path = compute.pack_environment(args.target)
    size = path.stat().st_size
    print(f"{path}  {size / 1e9:.2f} GB")
    return {"path": str(path), "bytes": size}


def _bundle(args: argparse.Namespace) -> dict[str, Any]:
    from engine import compute

    folder = compute.write_databricks_bundle(args.folder, args.volume)
    print(f"{folder}: databricks.yml and app/. Next: (cd {folder}/app && uv lock), then in {folder}: databricks bundle deploy")
    return {"path": str(folder)}
