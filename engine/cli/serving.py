"""Commands that put finished runs to use: recommend, funnel, export-lists, publish."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Wait = Callable[[list[str]], list[Any]]


def register(add: Callable[..., argparse.ArgumentParser], wait: Wait) -> None:
    """Add the commands. `wait`: shows progress until runs have ended, and returns them."""
    recommend = add("recommend", _recommend, "What each run would recommend to one user.")
    recommend.add_argument("run_ids", nargs="+", metavar="RUN")
    recommend.add_argument("--user", required=True, help="user id, as in the source")
    recommend.add_argument("--k", type=int, default=10, help="list length (default 10)")
    funnel = add("funnel", lambda args: _funnel(args, wait), "Measure one run's model as the retriever of another's, and wait for it.")
    funnel.add_argument("retriever", metavar="RETRIEVER", help="run whose model picks candidates out of the whole catalogue")
    funnel.add_argument("ranker", metavar="RANKER", help="run whose model orders the candidates")
    funnel.add_argument("--candidates", type=int, default=200, help="how many the ranker gets (default 200)")
    funnel.add_argument("--share", type=float, help="the retriever's share in the order, from 0 to below 1; default: chosen on validation")
    funnel.add_argument("--index", help="FAISS factory string, such as HNSW32; default: that of the retriever's run")
    lists = add("export-lists", lambda args: _export_lists(args, wait), "Write a run's top k for all or some users to Parquet and CSV.")
    lists.add_argument("run_id", metavar="RUN")
    lists.add_argument("--k", type=int, default=10, help="list length (default 10)")
    whom = lists.add_mutually_exclusive_group()
    whom.add_argument("--users", type=Path, metavar="FILE", help="user ids, one a line, or a CSV with the ids first; default: all users")
    whom.add_argument("--test-users", action="store_true", help="the users that are ranked for on test")
    lists.add_argument("--to", type=Path, metavar="FOLDER", help="a new or empty folder; default: one of its own beside the run's results")
    lists.add_argument(
        "--exclude-seen", action=argparse.BooleanOptionalAction, help="leave out what users met in train; default: as the run was measured"
    )
    lists.add_argument("--wait", action="store_true", help="wait for it, with progress")
    publish = add("publish", _publish, "Write the embeddings of a retriever's items and users to Parquet or to a vector database.")
    publish.add_argument("run_id", metavar="RUN")
    publish.add_argument("where", metavar="WHERE", help="a folder for Parquet files, or lance:URI for a LanceDB database")


def _recommend(args: argparse.Namespace) -> dict[str, Any]:
    import engine
    from engine.recommend import open_model

    lists = []
    for run_id in args.run_ids:
        run = engine.runs.get_run(run_id)
        found = open_model(run_id).recommend(args.user, args.k)
        print(f"\n{run.title}")
        for row in found.to_dict("records"):
            print(f"{row['rank']:>4}  {'✓' if row['liked'] else ' '} {row['title']}  ({row['genres'] or '—'})  {row['score']:.3f}")
        lists.append({"run_id": run_id, "title": run.title, "items": json.loads(found.to_json(orient="records"))})
    return {"user": args.user, "lists": lists}


def _funnel(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    import engine

    run = wait([engine.runs.submit(engine.runs.funnel(args.retriever, args.ranker, args.candidates, args.index, args.share))])[0]
    if run.state != engine.runs.RunState.FINISHED:
        return {"failed": True, "run_id": run.run_id, "message": run.message}
    found = engine.runs.funnel_losses(run.run_id)
    k = found["k"]
    heads = f"{'N':>7} {'ceiling':>8} {f'NDCG@{k}':>8} {'found':>7} {'lost: retrieval':>16} {'ranking':>8} {'p50 ms':>7}"
    print(f"{run.run_id}  {run.title}")
    tuned = ", chosen on validation" if found["order"]["tuned"] else ""
    print(f"{found['order']['share']:.0%} of the order is the retriever's{tuned}\n{heads}")
    for row in found["curve"]:
        shares = f"{row['found']:>7.1%} {row['lost_at_retrieval']:>16.1%} {row['lost_at_ranking']:>8.1%}"
        time = f"{row['latency_p50_ms']:>7.2f}" if "latency_p50_ms" in row else ""
        print(f"{row['candidates']:>7,} {row['recall_ceiling']:>8.3f} {row[f'ndcg_at_{k}']:>8.4f} {shares} {time}")
    return {"run_id": run.run_id, "metrics": run.metrics, **found}


def _export_lists(args: argparse.Namespace, wait: Wait) -> dict[str, Any]:
    import engine

    users = "test" if args.test_users else "all" if args.users is None else engine.runs.read_ids(args.users.read_text(encoding="utf-8"))
    run_id = engine.runs.export_lists(args.run_id, args.k, users, args.to, args.exclude_seen)
    run = wait([run_id])[0] if args.wait else engine.runs.get_run(run_id)
    found = engine.runs.get_list_export(run)
    if not args.wait:
        print(f"{run_id}  {run.title}: to {found.folder}")
        return {"run_id": run_id, "folder": str(found.folder)}
    if run.state != engine.runs.RunState.FINISHED:
        return {"failed": True, "run_id": run_id, "message": run.message}
    facts = found.facts
    without = f", {facts['without_items']:,} of them without any item" if facts["without_items"] else ""
    print(f"{found.folder}: {facts['rows']:,} rows for {facts['users']:,} users{without}")
    return {"run_id": run_id, "folder": str(found.folder), "manifest": facts}


def _publish(args: argparse.Namespace) -> dict[str, Any]:
    from engine.recommend import publish

    found = publish(args.run_id, args.where)
    told = "" if found.recall is None else f"; of our top lists it finds {found.recall:.1%}"
    print(f"{found.where}: {found.items:,} items and {found.users:,} users, {found.width} numbers each{told}")
    return found.model_dump()
