"""Per-user metrics of contenders, so that two can be paired."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine import datasets, runs
from engine.compare import lists_at_k
from engine.compare.cells import protocol_of
from engine.compare.contenders import Comparison, Contender, competitors
from workers.artifacts import cutoff

if TYPE_CHECKING:
    import pandas as pd


def user_tables(comparison: Comparison) -> "dict[str, pd.DataFrame]":
    """Letter -> per-user metrics at the comparison's k, of every competitor whose results are here."""
    tables = {one.letter: user_table(comparison, one) for one in competitors(comparison)}
    return {letter: table for letter, table in tables.items() if table is not None}


def per_user(users: "dict[str, pd.DataFrame]", metric: str) -> "pd.DataFrame":
    """A metric of every user that all contenders with it have: index user_id, a column per letter; seeds averaged.

    Args:
        users: what `user_tables` gives.
    """
    import pandas as pd

    values = {}
    for letter, table in users.items():
        if metric in table and table[metric].notna().any():
            values[letter] = table.groupby("user_id", sort=False)[metric].mean()
    return pd.concat(values, axis=1, join="inner").dropna() if values else pd.DataFrame()


def user_table(comparison: Comparison, one: Contender) -> "pd.DataFrame | None":
    """Per-user metrics of a contender at the comparison's k, those of its seeds below each other; None where they are not here."""
    import pandas as pd

    try:
        if one.run_id is None:
            stored = datasets.baseline_per_user(comparison.dataset, one.model)
            return (
                None if stored is None else _at_k(comparison, stored, lambda known: lists_at_k.of_baseline(one.model, known, comparison.k))
            )
        return pd.concat([_of_run(comparison, run_id) for run_id in one.runs])
    except LookupError:
        return None


def _of_run(comparison: Comparison, run_id: str) -> "pd.DataFrame":
    stored = runs.per_user(run_id)
    return _at_k(comparison, stored, lambda known: lists_at_k.of_run(run_id, protocol_of(runs.get_run(run_id)), known, comparison.k))


def _at_k(
    comparison: Comparison, stored: "pd.DataFrame", measured: Callable[[lists_at_k.ListFacts], lists_at_k.ListMetrics | None]
) -> "pd.DataFrame":
    """Stored metrics of users, and those computed from their lists at another k."""
    if all(
        key in stored for key in lists_at_k.keys_at(comparison.k) if (cut := cutoff(key)) and cut[0] == "ndcg" and cut[1] == comparison.k
    ):
        return stored
    known = lists_at_k.list_facts(comparison.dataset)
    at_k = measured(known) if known else None
    if at_k is None:
        return stored
    new = ["user_id", *(name for name in at_k.per_user if name not in stored)]
    return stored.merge(at_k.per_user[new], on="user_id", how="left")
