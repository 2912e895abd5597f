"""Per-user metrics of contenders, so that two can be paired."""

from typing import TYPE_CHECKING

from engine import datasets, runs
from engine.compare.cells import results_of, results_of_baseline
from engine.compare.contenders import Comparison, Contender, competitors

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
            known = {} if stored is None else dict.fromkeys(map(str, stored), 0.0)  # its values are not used, only which there are
            return results_of_baseline(comparison.dataset, one.model, known, comparison.k, comparison.target)[1]
        tables = [_of_run(comparison, run_id) for run_id in one.runs]
    except LookupError:
        return None
    return pd.concat(tables) if all(table is not None for table in tables) else None


def _of_run(comparison: Comparison, run_id: str) -> "pd.DataFrame | None":
    try:
        run = runs.get_run(run_id)
    except LookupError:  # the store no longer knows it: its results count as they are
        return runs.per_user(run_id)
    return results_of(run, comparison.k, comparison.target)[1]
