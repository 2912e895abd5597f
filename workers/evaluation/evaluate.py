"""The one protocol, the same for every contender.

Pointwise: every interaction of a split once. Sets: ratings of several items at once, predicted by the mean of the items' scores.
Ranking: the full catalogue (items of train), for one fixed sample of users, without the items that the user met before unless
the `Protocol` includes them, equal scores in one fixed random order. Letters: U users, N items.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as parquet
import pyarrow.parquet as parquet_file

from workers.artifacts import FEATURE, ITEMS, MANIFEST, METRICS, RANKING, USERS, PreparedDataset, lacks_target
from workers.batches import blocks_of
from workers.evaluation.clustered import RANKED, Rows, area, estimates, owners, with_errors
from workers.evaluation.lists import Facts, all_lists_metrics, list_metrics, padded
from workers.evaluation.outputs import evaluate_outputs
from workers.evaluation.over import HERE, Over
from workers.specs import BINARY, ITEM_ID, USER_ID, Protocol, Target

LISTS_AT = 10  # the k of the metrics of the family "lists"
LISTS = ["items", "scores", "wanted"]  # columns of ranked users that hold their top lists
DEFAULT = Protocol()
CHUNK = 64  # users whose pairs are scored at a time: bounds memory at CHUNK x N
VALID_PAIRS = 2_000_000  # user-item pairs that one validation may score: bounds its cost on large catalogues


def catalogue(dataset: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """items.parquet without the items that are not in train; row r is at position r - 1.

    Encoded bags stay Arrow's: two flat arrays for a column, where an object for each item takes ten times the memory.

    Args:
        columns: names of those that are read, `row` among them; None: all.
    """
    table = parquet_file.read_table(dataset / ITEMS, columns=None if columns is None else list(columns))
    bags = [field.name for field in table.schema if field.name.startswith(FEATURE) and pa.types.is_list(field.type)]
    items = table.drop_columns(bags).to_pandas(ignore_metadata=True)
    for name in bags:
        items[name] = pd.arrays.ArrowExtensionArray(table[name])  # type: ignore[attr-defined]
    return items.loc[items["row"] > 0, table.column_names].sort_values("row").reset_index(drop=True)


def users_to_rank(dataset: Path, split: str, limit: int | None = None, protocol: Protocol = DEFAULT) -> pd.DataFrame:
    """The first `limit` of the fixed sample of users of a split, who all liked an item of the catalogue that was new to them.

    `relevant` holds these items, or, where items met before are ranked too, all items of the catalogue that the user liked in the split;
    of both, where the target is the next or the last item, that one alone.

    Raises:
        ValueError: the target needs times that the dataset does not have.
    """
    users = pd.read_parquet(dataset / RANKING / f"{split}.parquet")
    if why := lacks_target(protocol.target, dataset):
        raise ValueError(why)
    users = users.head(limit) if limit else users
    if not protocol.exclude_seen:
        return users.assign(relevant=_liked(dataset, split, users["user"].to_numpy(), protocol.target))  # type: ignore[arg-type]
    if protocol.target == "later":
        return users
    return users.assign(relevant=[np.array([item], np.int32) for item in users[protocol.target]])  # type: ignore[misc]


def _liked(dataset: Path, split: str, users: np.ndarray, target: Target) -> list[np.ndarray]:
    """The different items of the catalogue that some users (rows) liked in a split, in order, from the blocks one at a time.

    Of the target next or last the one whose second is the first or the last, of several the one with the lowest row.
    """
    parts = [np.zeros((0, 3), np.int64)]
    sign = {"later": 0, "next": 1, "last": -1}[target]
    for block in blocks_of(dataset, split):
        own = (block["label"] > 0) & (block[ITEM_ID] > 0) & np.isin(block[USER_ID], users)
        moments = sign * block["timestamp"][own] if sign else np.zeros(own.sum(), np.int64)
        parts.append(np.stack([block[USER_ID][own], moments, block[ITEM_ID][own]], axis=1))
    pairs = np.unique(np.concatenate(parts), axis=0)
    first, end = (np.searchsorted(pairs[:, 0], users, side) for side in ("left", "right"))
    return [pairs[a : b if target == "later" else min(a + 1, b), 2].astype(np.int32) for a, b in zip(first, end, strict=True)]


def users_to_validate(num_items: int) -> int:
    """Maximum number of users that a validation ranks for: it is done once per epoch, or once per setting that is tried."""
    return max(50, VALID_PAIRS // (num_items + 1))


def count_users(dataset: Path) -> int:
    """Users of train; counted in the table of users while a dataset is being prepared and has no manifest yet."""
    if (dataset / MANIFEST).exists():
        return PreparedDataset.open(dataset).num_users
    return int(parquet.dataset(dataset / USERS).count_rows(filter=parquet.field("row") > 0))


def describe(ranked: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """The result of `rank_users` with the metrics of each user's list, one column each."""
    if ranked.empty:
        return ranked
    return ranked.assign(**list_metrics(padded(ranked["items"], LISTS_AT), facts, LISTS_AT))


def summarise(ranked: pd.DataFrame, num_items: int) -> dict[str, float]:
    """Means over users of the per-user metrics, and metrics of all lists together; empty without users, undefined ones are absent."""
    if ranked.empty:
        return {}
    values = {m.key: float(ranked[m.key].mean()) for m in METRICS.values() if m.key in ranked}
    values |= all_lists_metrics(padded(ranked["items"], LISTS_AT), num_items, LISTS_AT)
    return {key: value for key, value in values.items() if np.isfinite(value)}


def write_ranked(ranked: pd.DataFrame, per_user: Path, top_k: Path) -> None:
    """Write the per-user metrics and, where users were ranked for, their top lists: user_id, items, scores, and relevant where it differs
    from that of the dataset."""
    ranked.drop(columns=LISTS, errors="ignore").to_parquet(per_user, index=False)
    if len(ranked):
        lists = ranked[[name for name in ("user_id", *LISTS) if name in ranked]]
        lists.rename(columns={"wanted": "relevant"}).to_parquet(top_k, index=False)


def pointwise(
    logits: np.ndarray,
    labels: np.ndarray,
    known: np.ndarray,
    *,
    probability: bool,
    users: np.ndarray | None = None,
    over: Over = HERE,
) -> dict[str, float]:
    """AUC over the interactions whose user and item are in train, of all users together and of each, and AUC over all interactions; where
    the scores are logits of a probability, log loss and calibration too. What is undefined, since there is one class or no row, is absent.

    Standard errors, as `<key>_se`, are of a draw of users. Rows of users whom train does not know cannot be put together by user: AUC over
    all interactions has an error only where there are none.

    Args:
        logits, labels: [B]. known: [B] bool, whether train has both the user and the item.
        users: [B] rows of the vocabulary; None, or 0 in every row, where the dataset has no users: then rows are drawn.
        over: whose rows count: those given, or those of all ranks.
    """
    logits, labels = logits.astype(np.float64), labels.astype(np.float64)
    who = np.zeros(len(labels), np.int64) if users is None else users
    rows = Rows(logits[known], labels[known], owners(who[known], over), over=over)
    found = estimates(rows, tuple(RANKED) if over.total((who[known] > 0).sum()) else ("auc",))
    if over.total(len(labels)):
        found["auc_all"] = area(logits, labels, owners(who, over), over)
    values = with_errors(found, over)
    if over.total((who == 0).sum()) and over.total((who > 0).sum()):
        values.pop("auc_all_se", None)
    if probability:
        values |= evaluate_outputs(BINARY, logits[:, None], labels, labels, known, who)[0]
    return values
