"""recbench compare: finished runs side by side under one protocol, and their report."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.annotations import Add

if TYPE_CHECKING:
    import pandas as pd

    from engine.compare import Comparison


def register(add: Add) -> None:
    """Add the command to a parser."""
    compare = add("compare", _compare, "Set finished runs side by side under one protocol.")
    compare.add_argument("run_ids", nargs="+", metavar="RUN")
    compare.add_argument("--k", type=int, default=10, help="length of the lists that are measured, 1 to 100 (default 10)")
    compare.add_argument(
        "--target",
        choices=["later", "next", "last"],
        help="what a list should hold: all later likes, the next item or the last one (default: as the runs were measured)",
    )
    compare.add_argument("--baseline", help="what deltas are against: popularity, random or a run; default: the pinned one among them")
    compare.add_argument("--matters", type=float, metavar="PERCENT", help="the difference that matters, in percent of a value (default 1)")
    compare.add_argument(
        "--export", type=Path, metavar="FILE", action="append", default=[], help="write it: .csv, .md, .tex, .html, .ipynb or .json"
    )
    compare.add_argument("--note", metavar="TEXT", help="keep a text that stands above the report of these runs; an empty one deletes it")


def _compare(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    runs = [engine.runs.get_run(run_id) for run_id in dict.fromkeys(args.run_ids)]
    if trashed := [run for run in runs if run.trashed_at is not None]:
        named = ", ".join(f"{run.title} ({run.run_id[:8]})" for run in trashed)
        print(f"In the trash, and compared all the same: {named}. `recbench restore RUN` takes a run out of it.", file=sys.stderr)
    baseline = args.baseline or next((run.run_id for run in runs if run.pinned), "popularity")
    matters = engine.compare.THRESHOLD if args.matters is None else args.matters / 100
    comparison = engine.compare.compare(args.run_ids, baseline, k=args.k, threshold=matters, target=args.target)
    sentences = [engine.compare.plain(sentence) for sentence in engine.compare.sentences(comparison)]
    _print_comparison(comparison, sentences)
    if args.note is not None:
        engine.report.set_narrative(engine.report.runs_of(comparison), args.note)
    for path in args.export:
        engine.report.write_export(comparison, path)
        print(f"written: {path}")
    return {
        "dataset": comparison.dataset,
        "contenders": [c.model_dump() for c in comparison.contenders],
        "table": json.loads(comparison.table.to_json(orient="records")),
        "verdict": engine.compare.verdict_of(comparison).model_dump(mode="json"),
        "pairs": {key: [pair.model_dump(mode="json") for pair in tested] for key, tested in (comparison.tests or {}).items()},
        "sentences": sentences,
        "apart": comparison.apart,
        "incomplete": comparison.incomplete,
    }


def _print_comparison(comparison: "Comparison", sentences: list[str]) -> None:
    """The contenders, a row per metric with the stars of the page, the verdict in sentences, what looks wrong, and what is not compared."""
    import engine

    letters, verdict = [c.letter for c in comparison.contenders], engine.compare.verdict_of(comparison)
    for contender in comparison.contenders:
        budget = engine.compare.budget_words(contender.budget)
        print(f"{contender.letter:>4}  {contender.name}{f' ({budget})' if budget else ''}")
    print(f"\nDataset {comparison.dataset}, {comparison.users} users ranked for\n{'':20}" + "".join(f"{letter:>22}" for letter in letters))
    for key in comparison.table["metric"].unique():
        rows = comparison.table[comparison.table["metric"] == key].set_index("contender")
        if rows["value"].isna().all():
            continue
        judged = verdict.metrics.get(key)
        cells = [_cell(rows.loc[letter], engine.compare.mark_of(judged, letter)) for letter in letters]
        print(f"{engine.specs.metric(key).label:<20}" + "".join(f"{cell:>22}" for cell in cells))
    print("\n★ best · ☆ best value, but perhaps by chance, or by too little to matter · in brackets: 95 % intervals")
    for sentence in sentences:
        print(f"\n{sentence}")
    for letter, alarms in verdict.alarms.items():
        for alarm in alarms:
            print(f"\n⚠ {letter}: {alarm}")
    for title, reason in comparison.apart:
        print(f"apart: {title} {reason}")
    for letter, why in comparison.incomplete.items():
        print(f"{letter} can win nothing: {why}")


def _cell(row: "pd.Series[Any]", mark: str) -> str:
    if row["value"] != row["value"]:
        return "—"
    span = f" [{row['low']:.3f}, {row['high']:.3f}]" if row["low"] == row["low"] else ""
    return f"{mark}{row['value']:.3f}{span}"
