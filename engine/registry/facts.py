"""What a registered model says of itself: tags that a stock `mlflow ui` shows, from the same records as the pages."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine import compare, datasets
from engine.runs import Run
from workers.registry import Package

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "recbench."
LONGEST = 4000  # characters of a tag
SHOWN = ("ndcg_at_10", "recall_at_10", "recall_at_100", "auc", "log_loss", "rmse", "accuracy", "action_auc")


def tags_of(run: Run, package: Package, compared_with: Sequence[str], size: int) -> dict[str, str]:
    """The tags of a version, by name without PREFIX.

    Args:
        compared_with: ids of the runs that stood beside it; none: it is judged against the baselines of its dataset. size: in bytes.
    """
    dataset = datasets.get_dataset(package.dataset)
    comparison = compare.compare([run.run_id, *(one for one in compared_with if one != run.run_id)])
    own = next(one.letter for one in comparison.contenders if run.run_id in one.runs)
    rows = {str(row["metric"]): _cell(row) for _, row in comparison.table[comparison.table["contender"] == own].iterrows()}
    measured = {key: rows[key] for key in SHOWN if key in rows and rows[key]["value"] is not None}
    beside = [one for contender in comparison.contenders for one in contender.runs]
    legend = [f"{letter}: {name}." for letter, name in compare.names(comparison.contenders).items() if len(beside) > 1 and len(letter) == 1]
    tags = {
        "kind": run.model or package.model.kind,
        "title": run.title,
        "dataset": package.dataset,
        "dataset_name": run.dataset_name or package.dataset,
        "fingerprint": dataset.fingerprint,
        "protocol": compare.protocol_sentence(
            compare.protocol_of(run), int((datasets.items(package.dataset)["row"] > 0).sum()), comparison.users
        ),
        "metrics": json.dumps(measured),
        "verdict": " ".join([*legend, *(compare.plain(sentence) for sentence in compare.sentences(comparison))]),
        "comparison": f"compare?runs={','.join(beside)}",
        "compared_with": ",".join(one for one in beside if one != run.run_id),
        "bytes": str(size),
        "users": str(package.users),
    }
    for key, of in measured.items():
        half = f" [{of['low']:.4f}, {of['high']:.4f}]" if of["low"] is not None and of["high"] is not None else ""
        tags[f"metric.{key}"] = f"{of['value']:.4f}{half}"
    return {name: text[:LONGEST] for name, text in tags.items()}


def _cell(row: "pd.Series[Any]") -> dict[str, float | None]:
    """A metric with the ends of its 95 % interval, which some have not."""
    return {name: None if row[name] != row[name] else float(row[name]) for name in ("value", "low", "high")}
