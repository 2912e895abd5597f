"""A prepared dataset without Spark, for tests of the ranks: the format of `engine.prepare`, written from a pandas frame."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from streaming import MDSWriter

from workers.evaluate import write_baselines
from workers.specs import Categorical, FeatureSchema

BLOCK = 256


def groups(users: int = 60, items: int = 40, groups: int = 4, seed: int = 0) -> pd.DataFrame:
    """Users like the items of their own group and dislike some of the others: held-out items of the group must outrank all."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = [item for item in range(items) if item % groups == user % groups]
        other = rng.choice([item for item in range(items) if item % groups != user % groups], len(own), replace=False)
        held = set(rng.choice(own, 2, replace=False))
        for item in [*own, *other]:
            split = "train" if item not in held else ("valid" if item == min(held) else "test")
            rows.append((f"u{user}", f"i{item}", float(item in own), split))
        rows += [(f"u{user}", f"i{other[0]}", 0.0, "valid"), (f"u{user}", f"i{other[1]}", 0.0, "test")]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "label", "split"]).drop_duplicates(["user_id", "item_id"], keep="last")


def write(frame: pd.DataFrame, folder: Path, history: int = 50) -> FeatureSchema:
    """Write `frame` (user_id, item_id, label, split) as a prepared dataset into `folder`."""
    train = frame[frame["split"] == "train"]
    items, users = (pd.Index(train[c].value_counts().index) for c in ("item_id", "user_id"))
    frame = frame.assign(
        item=items.get_indexer(frame["item_id"]) + 1, user=users.get_indexer(frame["user_id"]) + 1
    )  # an unknown id is at -1: row 0
    train = frame[frame["split"] == "train"]
    liked = train[train["label"] > 0].groupby("user")["item"].agg(list).to_dict()
    schema = FeatureSchema(
        categorical=(
            Categorical(name="user_id", side="user", num_rows=len(users) + 1, vocabulary="user_id"),
            Categorical(name="history", side="user", num_rows=len(items) + 1, multi_valued=True, vocabulary="item_id"),
            Categorical(name="item_id", side="item", num_rows=len(items) + 1, vocabulary="item_id"),
        )
    )
    folder.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        _write_split(frame[frame["split"] == split].sample(frac=1, random_state=0), liked, folder / split, history)
    positives = train[train["label"] > 0]["item"].value_counts()
    rows = np.arange(1, len(items) + 1)
    pd.DataFrame(
        {
            "item_id": items,
            "row": rows.astype(np.int32),
            "title": items,
            "genres": None,
            "train_count": train["item"].value_counts().reindex(rows, fill_value=0).to_numpy(),
            "train_positives": positives.reindex(rows, fill_value=0).to_numpy(),
            "feature.item_id": rows.astype(np.int32),
        }
    ).to_parquet(folder / "items.parquet", index=False)
    (folder / "ranking").mkdir()
    for split in ("valid", "test"):
        _write_ranking(frame, split, liked, folder, history)
    counts = {
        "interactions": {s: int((frame["split"] == s).sum()) for s in ("train", "valid", "test")},
        "positives": {s: int(((frame["split"] == s) & (frame["label"] > 0)).sum()) for s in ("train", "valid", "test")},
    }
    manifest = {"schema": schema.model_dump(), "counts": counts, "block_rows": BLOCK}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    write_baselines(folder)
    return schema


def _write_split(rows: pd.DataFrame, liked: dict[int, list[int]], folder: Path, history: int) -> None:
    columns = dict.fromkeys(("user_id", "item_id", "history.values", "history.lengths"), "ndarray:int32") | {"label": "ndarray:float32"}
    with MDSWriter(out=str(folder), columns=columns) as writer:
        for start in range(0, len(rows), BLOCK):
            part = rows.iloc[start : start + BLOCK]
            bags = [[x for x in liked.get(u, []) if x != i][-history:] for u, i in zip(part["user"], part["item"], strict=True)]
            writer.write(
                {
                    "user_id": part["user"].to_numpy(np.int32),
                    "item_id": part["item"].to_numpy(np.int32),
                    "history.values": np.array([x for bag in bags for x in bag], np.int32),
                    "history.lengths": np.array([len(bag) for bag in bags], np.int32),
                    "label": part["label"].to_numpy(np.float32),
                }
            )


def _write_ranking(frame: pd.DataFrame, split: str, liked: dict[int, list[int]], folder: Path, history: int) -> None:
    held = frame[(frame["split"] == split) & (frame["label"] > 0) & (frame["item"] > 0) & (frame["user"] > 0)]
    seen = frame[frame["split"] == "train"].groupby("user")["item"].agg(list)
    grouped = held.groupby(["user", "user_id"])["item"].agg(list).reset_index(name="relevant")
    grouped["seen"] = [seen[user] for user in grouped["user"]]
    grouped["feature.user_id"] = grouped["user"].astype(np.int32)
    grouped["feature.history"] = [liked.get(user, [])[-history:] for user in grouped["user"]]
    grouped.to_parquet(folder / "ranking" / f"{split}.parquet", index=False)
