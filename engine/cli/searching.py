"""recbench search: users and items of a dataset by their ids and titles."""

import argparse
import json
from typing import Any

from engine.cli.annotations import Add


def register(add: Add) -> None:
    """Add the command to a parser."""
    search = add("search", _search, "Find users or items of a dataset by id or title, such as for `recommend`.")
    search.add_argument("what", type=str.lower, choices=["users", "items"], metavar="USERS|ITEMS")
    search.add_argument(
        "text", metavar="TEXT", nargs="*", help="part of the id of a user; words of the title, or the id, of an item; none: the busiest"
    )
    search.add_argument("--dataset", help="the dataset's id (default: the newest one)")
    search.add_argument("--limit", type=int, default=12, help="how many (default 12)")


def _search(args: argparse.Namespace) -> dict[str, Any]:
    import engine

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
