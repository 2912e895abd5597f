"""Commands on finished runs: recommend, funnel, export-lists, publish, export-onnx."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli import computing

if TYPE_CHECKING:
    from engine.runs import Run

Wait = Callable[[list[str]], "list[Run]"]


def register(add: Callable[..., argparse.ArgumentParser], wait: Wait) -> None:
    """Add the commands. `wait` shows progress until runs have ended, and returns them."""
    recommend = add("recommend", _recommend, "Recommendations of each run for one user, or for somebody new who likes some items.")
    recommend.add_argument("run_ids", nargs="+", metavar="RUN")
    whose = recommend.add_mutually_exclusive_group(required=True)
    whose.add_argument("--user", help="user id, as in the source")
    whose.add_argument(
        "--like", nargs="+", action="extend", metavar="TITLE", help="titles or ids of items that somebody new likes, the latest last"
    )
    recommend.add_argument("--k", type=int, default=10, help="list length (default 10)")
    funnel = add("funnel", lambda args: _funnel(args, wait), "Evaluate one run's model as the retriever of another's, and wait for it.")
    funnel.add_argument("retriever", metavar="RETRIEVER", help="run whose model retrieves candidates from the whole catalogue")
    funnel.add_argument("ranker", metavar="RANKER", help="run whose model orders the candidates")
    funnel.add_argument("--candidates", type=int, default=200, help="candidates that the ranker gets (default 200)")
    funnel.add_argument("--share", type=float, help="weight of the retriever's score, from 0 to 1; default: chosen on validation")
    funnel.add_argument("--index", help="FAISS factory string, such as HNSW32; default: that of the retriever's run")
    lists = add("export-lists", lambda args: _export_lists(args, wait), "Write a run's top k for all or some users to Parquet and CSV.")
    lists.add_argument("run_id", metavar="RUN")
    lists.add_argument("--k", type=int, default=10, help="list length (default 10)")
    whom = lists.add_mutually_exclusive_group()
    whom.add_argument(
        "--users", type=Path, metavar="FILE", help="user ids, one per line, or a CSV with ids in the first column; default: all"
    )
    whom.add_argument("--test-users", action="store_true", help="the users ranked for on test")
    lists.add_argument("--to", type=Path, metavar="FOLDER", help="a new or empty folder; default: a new one next to the run's results")
    lists.add_argument(
        "--exclude-seen",
        action=argparse.BooleanOptionalAction,
        help="leave out items seen before; default: as in the evaluation of the run",
    )
    lists.add_argument("--wait", action="store_true", help="wait for it, with progress")
    computing.add_option(lists)
    publish = add("publish", _publish, "Write the embeddings of a retriever's items and users to Parquet or to a vector database.")
    publish.add_argument("run_id", metavar="RUN")
    publish.add_argument("where", metavar="WHERE", help="a folder for Parquet files, or lance:URI for a LanceDB database")
    towers = add("export-onnx", _export_onnx, "Write the towers of a two-tower as ONNX, with what a server must know to run them.")
    towers.add_argument("run_id", metavar="RUN")
    towers.add_argument("folder", type=Path, metavar="FOLDER", help="a new or an empty folder")


def _recommend(args: argparse.Namespace) -> dict[str, Any]:
    import engine
    from engine.recommend import find_item, open_model

    lists = []
    for run_id in args.run_ids:
        run = engine.runs.get_run(run_id)
        model = open_model(run_id)
        liked = [find_item(model.dataset, text) for text in args.like or ()]
        items = model.recommend_new([one["item_id"] for one in liked], args.k) if liked else model.recommend(args.user, args.k)
        print(f"\n{run.title}" + "".join(f"\n  likes {one['title']}" for one in liked))
        if liked and not model.tells_newcomers_apart:
            print("  It recommends the same to everybody new, whatever they like.")
        for row in items.to_dict("records"):
            print(f"{row['rank']:>4}  {'✓' if row['liked'] else ' '} {row['title']}  ({row['genres'] or '—'})  {row['score']:.3f}")
        lists.append({"run_id": run_id, "title": run.title, "items": json.loads(items.to_json(orient="records"))})
    return {"user": args.user, "like": args.like, "lists": lists}


def _funnel(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    import engine

    run = wait([engine.runs.submit(engine.runs.funnel(args.retriever, args.ranker, args.candidates, args.index, args.share))])[0]
    if run.state != engine.runs.RunState.FINISHED:
        return {"failed": True, "run_id": run.run_id, "message": run.message}
    results = engine.runs.funnel_losses(run.run_id)
    k = results["k"]
    heads = f"{'N':>7} {'ceiling':>8} {f'NDCG@{k}':>8} {'found':>7} {'lost: retrieval':>16} {'ranking':>8} {'p50 ms':>7}"
    print(f"{run.run_id}  {run.title}")
    tuned = ", chosen on validation" if results["order"]["tuned"] else ""
    print(f"{results['order']['share']:.0%} weight of the retriever's score{tuned}\n{heads}")
    for row in results["curve"]:
        shares = f"{row['found']:>7.1%} {row['lost_at_retrieval']:>16.1%} {row['lost_at_ranking']:>8.1%}"
        time = f"{row['latency_p50_ms']:>7.2f}" if "latency_p50_ms" in row else ""
        print(f"{row['candidates']:>7,} {row['recall_ceiling']:>8.3f} {row[f'ndcg_at_{k}']:>8.4f} {shares} {time}")
    return {"run_id": run.run_id, "metrics": run.metrics, **results}


def _export_lists(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    import engine

    users = "test" if args.test_users else "all" if args.users is None else engine.runs.read_ids(args.users.read_text(encoding="utf-8"))
    run_id = engine.runs.export_lists(args.run_id, args.k, users, args.to, args.exclude_seen)
    run = wait([run_id])[0] if args.wait else engine.runs.get_run(run_id)
    export = engine.runs.get_list_export(run)
    if not args.wait:
        print(f"{run_id}  {run.title}: to {export.folder}")
        return {"run_id": run_id, "folder": str(export.folder)}
    if run.state != engine.runs.RunState.FINISHED:
        return {"failed": True, "run_id": run_id, "message": run.message}
    facts = export.facts
    without = f", {facts['without_items']:,} of them with an empty list" if facts["without_items"] else ""
    print(f"{export.folder}: {facts['rows']:,} rows for {facts['users']:,} users{without}")
    return {"run_id": run_id, "folder": str(export.folder), "manifest": facts}


def _publish(args: argparse.Namespace) -> dict[str, Any]:
    from engine.recommend import publish

    publication = publish(args.run_id, args.where)
    recall = "" if publication.recall is None else f"; the database returns {publication.recall:.1%} of the exact top lists"
    print(f"{publication.where}: {publication.items:,} items and {publication.users:,} users, {publication.width} numbers each{recall}")
    return publication.model_dump()


def _export_onnx(args: argparse.Namespace) -> dict[str, Any]:
    from engine.recommend import export_onnx

    towers = export_onnx(args.run_id, args.folder)
    print(f"{towers.folder}: user.onnx and item.onnx, {towers.width} numbers each, at most {towers.difference:.1g} from the network's")
    return towers.model_dump(mode="json")
