"""Publish the embeddings of a finished retriever: as Parquet files, or to a vector database by URI. Imports torch when called."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from engine import datasets
from workers.artifacts import FEATURE, USERS, PreparedDataset
from workers.specs import USER_ID, mask
from workers.stores import endpoint, is_stored, reach

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.query import LanceVectorQueryBuilder
    from lancedb.table import Table as LanceTable

    from engine.recommend.recommender import Recommender

PEOPLE = 8192  # users encoded at a time
PROBES, TOP = 100, 100  # users whose lists from the database are compared with the exact ones, and their length
META = ("item_id", "title", "genres", "train_positives")


class Publication(BaseModel):
    """What was written: numbers of items and users, width of a vector, and the share of the exact top lists that the database returns."""

    model_config = ConfigDict(frozen=True)

    where: str
    items: int
    users: int
    width: int
    recall: float | None = None


def publish(run_id: str, where: str) -> Publication:
    """Write the vectors of a retriever's items and users; the dot product of a user's with an item's is the score that ranks.

    Args:
        where: a folder that becomes `items.parquet` and `users.parquet`; or `lance:URI`, a LanceDB database (a folder, s3://…, gs://…,
            az://…) that gets tables items_<run> and users_<run>, replaced as a whole where they exist.

    Returns:
        What was written; `recall`: the mean share of the exact top TOP items of PROBES users that the database returns.

    Raises:
        LookupError: no such run. ValueError: the model has no vectors, or `where` cannot be written to.
    """
    from engine.recommend.recommender import open_model

    opened = open_model(run_id)
    vectors = opened.opened.vectors
    if vectors is None:
        raise ValueError("This model has no vectors of users and items to publish; choose a two-tower or iALS.")
    items = opened.items[[name for name in META if name in opened.items]].assign(vector=list(vectors.astype(np.float32)))
    if where.startswith("lance:"):
        return _to_lance(opened, items, where.removeprefix("lance:"), run_id[:8])
    return _to_parquet(opened, items, Path(where))


def _people(opened: "Recommender") -> Iterator[pd.DataFrame]:
    """user_id and vector of every user, in batches."""
    import pyarrow.parquet as pq

    from workers.serving import KnownLikes

    path = datasets.get_dataset(opened.dataset).path
    likes = KnownLikes.read(PreparedDataset.open(path), opened.opened)
    for batch in pq.ParquetFile(path / USERS).iter_batches(PEOPLE):
        frame = batch.to_pandas()
        rows = frame[FEATURE + USER_ID].to_numpy(np.int64)
        queries = opened.opened.queries(opened.opened.people(frame, [likes.of(row) for row in rows]))
        assert queries is not None
        yield pd.DataFrame({"user_id": frame["user_id"], "vector": list(queries.astype(np.float32))})


def _to_parquet(opened: "Recommender", items: pd.DataFrame, folder: Path) -> Publication:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial, users = folder / f".users.{os.getpid()}.partial", 0
        writer: pq.ParquetWriter | None = None
        try:
            for frame in _people(opened):
                table = pa.Table.from_pandas(frame, preserve_index=False)
                writer = writer or pq.ParquetWriter(partial, table.schema)
                writer.write_table(table)
                users += len(frame)
        finally:
            if writer is not None:
                writer.close()
        own = folder / f".items.{os.getpid()}.partial"
        items.to_parquet(own, index=False)
        os.replace(own, folder / "items.parquet")
        if users:
            os.replace(partial, folder / "users.parquet")
    except OSError as error:
        raise ValueError(f"Embeddings cannot be written to {folder}: {error}. Choose another folder.") from error
    return Publication(where=str(folder), items=len(items), users=users, width=len(items["vector"].iloc[0]))


def _to_lance(opened: "Recommender", items: pd.DataFrame, uri: str, name: str) -> Publication:
    import lancedb

    try:
        if is_stored(uri):
            reach(uri)  # LanceDB would try for minutes
        database = lancedb.connect(uri, storage_options=_options(uri))
        table = database.create_table(f"items_{name}", items, mode="overwrite")
        people, users = None, 0
        for frame in _people(opened):
            people = people or database.create_table(f"users_{name}", schema=_schema(frame), mode="overwrite")
            people.add(frame)
            users += len(frame)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(mask(f"Embeddings cannot be written to {uri!r}: {str(error)[:300]}")) from error
    return Publication(
        where=mask(f"lance:{uri}"), items=len(items), users=users, width=len(items["vector"].iloc[0]), recall=_recall(opened, items, table)
    )


def _options(uri: str) -> dict[str, str] | None:
    """Options by which LanceDB finds a server that speaks S3; None where the environment suffices."""
    server = endpoint() if uri.startswith("s3://") else None
    return {"endpoint": server, "allow_http": str(server.startswith("http://")).lower()} if server else None


def _schema(frame: pd.DataFrame) -> "pa.Schema":
    import pyarrow as pa

    width = len(frame["vector"].iloc[0])
    return pa.schema([("user_id", pa.string()), ("vector", pa.list_(pa.float32(), width))])


def _recall(opened: "Recommender", items: pd.DataFrame, table: "LanceTable") -> float:
    """Share of the exact top TOP items that the database returns by inner product, over the first PROBES users."""
    queries = np.stack(list(next(_people(opened))["vector"])[:PROBES])
    products, k, shares = queries @ np.stack(list(items["vector"])).T, min(TOP, len(items)), []
    for query, scores in zip(queries, products, strict=True):
        ours = set(items["item_id"].to_numpy()[np.argsort(-scores, kind="stable")[:k]])
        returned = cast("LanceVectorQueryBuilder", table.search(query)).distance_type("dot").select(["item_id"]).limit(k).to_list()
        shares.append(len(ours & {row["item_id"] for row in returned}) / k)
    return float(np.mean(shares))
