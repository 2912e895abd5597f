"""recbench search: settings of a model on validation; users and items of a dataset by their ids and titles."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli import computing
from engine.cli.annotations import Add

if TYPE_CHECKING:
    from engine.runs import Run

Wait = Callable[[list[str]], list["Run"]]


def register(add: Add, wait: Wait) -> None:
    """Add the command to a parser. wait: for runs to end, with progress."""
    text = "Search the settings of a model on validation, within a budget; or find users or items of a dataset, such as for `recommend`."
    search = add("search", lambda args: _search(args, wait), text)
    search.add_argument("what", metavar="SPEC|users|items", help="a run spec whose settings are tried first; or what to find")
    search.add_argument(
        "text", metavar="TEXT", nargs="*", help="part of the id of a user; words of the title, or the id, of an item; none: the busiest"
    )
    search.add_argument("--trials", type=int, help="of a spec: settings that are tried (default: the spec's, else 20)")
    search.add_argument("--minutes", type=float, help="of a spec: begin no further trial after this time")
    search.add_argument("--wait", action="store_true", help="of a spec: wait for the end, with progress")
    computing.add_option(search)
    search.add_argument("--dataset", help="the dataset's id (default: the newest one)")
    search.add_argument("--limit", type=int, default=12, help="how many (default 12)")


def _search(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    return _find(args) if args.what.lower() in ("users", "items") else _tune(args, wait)


def _tune(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    import engine

    spec = engine.specs.RunSpec.read(Path(args.what))
    budget = {name: value for name in ("trials", "minutes") if (value := getattr(args, name)) is not None}
    search = (spec.search.model_dump(mode="json") if spec.search else {}) | budget
    spec = engine.specs.RunSpec.model_validate(spec.model_dump(mode="json") | {"search": search})
    engine.datasets.get_dataset(spec.dataset)
    run_id = engine.runs.submit(spec)
    print(f"{run_id}  {spec.title}")
    if not args.wait:
        return {"run_id": run_id}
    run, done = wait([run_id])[0], engine.runs.done(run_id)
    finished = run.state == engine.runs.RunState.FINISHED
    if finished:
        print(f"best of {done.get('trials', 1)} trials: {', '.join(f'{name} {value}' for name, value in done.get('chosen', {}).items())}")
    return {"run_id": run_id, "chosen": done.get("chosen", {}), "metrics": run.metrics, "failed": not finished}


def _find(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    args.what = args.what.lower()
    known = engine.datasets.list_datasets()
    if args.dataset is None and not known:
        raise LookupError("There is no prepared dataset yet; `recbench prepare SPEC` makes one.")
    dataset, text = args.dataset or known[0].id, " ".join(args.text)
    if args.what == "users":
        found = engine.datasets.search_users(dataset, text, args.limit)[["user_id", "interactions", "train_positives", "test_positives"]]
        for row in found.to_dict("records"):
            likes = f"{row['train_positives']:,} likes in train, {row['test_positives']:,} in test"
            print(f"{row['user_id']:<24} {row['interactions']:>7,} interactions, {likes}")
    else:
        found = engine.recommend.search_items(dataset, text, args.limit)
        for row in found.to_dict("records"):
            print(f"{row['item_id']:<24} {row['title']}  ({row['genres'] or '—'})  {row['train_positives']:,} likes")
    if found.empty:
        print(f"{dataset} has no {args.what[:-1]} like {text!r}.")
    return {"dataset": dataset, args.what: json.loads(found.to_json(orient="records"))}
