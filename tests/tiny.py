"""Prepared datasets without Spark, for tests of the ranks: the format of `engine.prepare`, written from a pandas frame.

`write`: users and items. `write_sets` beside it: ratings of sets of items. `write_clicks`: neither users nor items.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from workers.artifacts.results import LAST, NEXT
from workers.batches.blocks import BlockWriter, import_streaming
from workers.evaluation.baselines import write_baselines
from workers.specs.schema import Categorical, Dense, FeatureSchema

BLOCK = 256


def groups(users: int = 60, items: int = 40, groups: int = 4, seed: int = 0) -> pd.DataFrame:
    """Users like the items of their own group and dislike some of the others: held-out items of the group must outrank all."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = [item for item in range(items) if item % groups == user % groups]
        other = rng.choice([item for item in range(items) if item % groups != user % groups], len(own), replace=False)
        held = set(rng.choice(own, 2, replace=False))
        # with one of the own group that is not met, the order of what is left for test says something
        unmet = next(item for item in np.roll(own, user) if item not in held)
        for item in [*own, *other]:
            split = "train" if item not in held else ("valid" if item == min(held) else "test")
            if item != unmet:
                rows.append((f"u{user}", f"i{item}", float(item in own), split))
        rows += [(f"u{user}", f"i{other[0]}", 0.0, "valid"), (f"u{user}", f"i{other[1]}", 0.0, "test")]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "label", "split"]).drop_duplicates(["user_id", "item_id"], keep="last")


def followed(users: int = 200, leads: int = 40, met: int = 24, seed: int = 0) -> pd.DataFrame:
    """Each lead has one follower, liked after it half of the time if at all. Everybody likes `met` leads in an order of their own.

    The one held-out like of a user, in validation for some users and in test for the others, is the follower of the last lead of train.
    Every other lead without its follower looks the same to who does not read the order.
    """
    rng, rows = np.random.default_rng(seed), []
    for user in range(users):
        own = rng.permutation(leads)[:met]
        for place, lead in enumerate(own):
            rows.append((f"u{user}", f"lead{lead}", 1.0, "train"))
            if place < met - 1 and rng.random() < 0.3:
                rows.append((f"u{user}", f"follower{lead}", 1.0, "train"))
        rows.append((f"u{user}", f"follower{own[-1]}", 1.0, "valid" if user % 2 else "test"))
    return pd.DataFrame(rows, columns=["user_id", "item_id", "label", "split"])


OUTPUTS: dict[str, dict] = {
    "binary": {"kind": "given", "output": "binary"},
    "regression": {"kind": "regression", "output": "regression", "mean": 3.0, "threshold": 4.0},
    "multi_class": {"kind": "multi_class", "output": "multi_class", "classes": ["1", "3", "5"], "liked": ["5"]},
    "actions": {"kind": "actions", "output": "actions", "classes": ["view", "buy"], "liked": ["buy"]},
}


def with_target(frame: pd.DataFrame, output: str) -> pd.DataFrame:
    """`groups` with more to predict than the label: a value, a class or actions, which depend on how far user and item are apart."""
    apart = (frame["user_id"].str[1:].astype(int) - frame["item_id"].str[1:].astype(int)) % 4
    if output == "regression":
        return frame.assign(target=[{0: 5.0, 2: 1.0}.get(a, 3.0) for a in apart])
    if output == "multi_class":
        return frame.assign(target=[{0: 2.0, 2: 0.0}.get(a, 1.0) for a in apart])
    return frame.assign(target=[[float(a != 2), float(a == 0)] for a in apart]) if output == "actions" else frame


def write(
    frame: pd.DataFrame,
    folder: Path,
    history: int = 50,
    output: str = "binary",
    sequence: int | None = 1000,
    before: bool = False,
    known: tuple[str, ...] = ("train", "valid"),
) -> FeatureSchema:
    """Write `frame` (user_id, item_id, label, split; target, of `with_target`) as a prepared dataset into `folder`.

    Rows of a user are in order of time. sequence: newest likes in a sequence; 0 or None: none are stored. before: the history of a row of
    train holds what was liked before it, and not all other likes. known: splits that models know of a person before test.
    """
    train = frame[frame["split"] == "train"]
    items, users = (pd.Index(train[c].value_counts().index) for c in ("item_id", "user_id"))
    frame = frame.assign(
        item=items.get_indexer(frame["item_id"]) + 1, user=users.get_indexer(frame["user_id"]) + 1
    )  # an unknown id is at -1: row 0
    train = frame[frame["split"] == "train"]
    liked, later, by_test = _liked(train), _liked(frame[frame["split"] == "valid"]), _liked(frame[frame["split"].isin(known)])
    schema = FeatureSchema(
        categorical=(
            Categorical(name="user_id", side="user", num_rows=len(users) + 1, vocabulary="user_id"),
            Categorical(name="history", side="user", num_rows=len(items) + 1, multi_valued=True, vocabulary="item_id"),
            Categorical(name="item_id", side="item", num_rows=len(items) + 1, vocabulary="item_id"),
        ),
        sequence=sequence,
    )
    folder.mkdir(parents=True)
    if sequence:
        _write_sequences(liked, folder / "sequences", sequence)
        if later:
            _write_sequences(later, folder / "sequences_valid", sequence)
    for split in ("train", "valid", "test"):
        rows = _with_bags(frame[frame["split"] == split], by_test if split == "test" else liked, split == "train", before)
        _write_split(rows.sample(frac=1, random_state=0), folder / split, history)
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
    _write_ranking(frame, "valid", liked, ("train",), folder, history)
    _write_ranking(frame, "test", by_test, known, folder, history)
    counts = {
        "interactions": {s: int((frame["split"] == s).sum()) for s in ("train", "valid", "test")},
        "positives": {s: int(((frame["split"] == s) & (frame["label"] > 0)).sum()) for s in ("train", "valid", "test")},
    }
    if sequence:
        kept = sum(min(len(bag), sequence) for bag in liked.values())
        counts["sequences"] = {"users": len(liked), "likes": kept, "left_out": sum(map(len, liked.values())) - kept}
    manifest = {"schema": schema.model_dump(), "counts": counts, "block_rows": BLOCK, "label": OUTPUTS[output], "known_at_test": known}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    write_baselines(folder)
    return schema


def _liked(rows: pd.DataFrame) -> dict[int, list[int]]:
    """The items that each user of train likes in some rows."""
    liked = rows[(rows["label"] > 0) & (rows["user"] > 0) & (rows["item"] > 0)]
    return liked.groupby("user")["item"].agg(list).to_dict()


def _with_bags(rows: pd.DataFrame, liked: dict[int, list[int]], learned: bool, before: bool) -> pd.DataFrame:
    """Rows with their histories of any length, the newest like last. learned: rows of train, whose own item is left out."""
    bags = []
    for user, item in zip(rows["user"], rows["item"], strict=True):
        own = liked.get(user, [])
        bags.append(own if not learned else own[: own.index(item)] if before and item in own else [one for one in own if one != item])
    return rows.assign(bag=bags)


def _write_split(rows: pd.DataFrame, folder: Path, history: int) -> None:
    import_streaming()  # without the half of it that nobody here needs
    from streaming.base.format.mds import MDSWriter

    columns = dict.fromkeys(("user_id", "item_id", "history.values", "history.lengths"), "ndarray:int32") | {"label": "ndarray:float32"}
    columns |= {"target": "ndarray:float32"} if "target" in rows else {}
    with MDSWriter(out=str(folder), columns=columns) as writer:
        for start in range(0, len(rows), BLOCK):
            part = rows.iloc[start : start + BLOCK]
            bags = [bag[-history:] for bag in part["bag"]]
            target = {"target": np.array(part["target"].tolist(), np.float32)} if "target" in part else {}
            writer.write(
                target
                | {
                    "user_id": part["user"].to_numpy(np.int32),
                    "item_id": part["item"].to_numpy(np.int32),
                    "history.values": np.array([x for bag in bags for x in bag], np.int32),
                    "history.lengths": np.array([len(bag) for bag in bags], np.int32),
                    "label": part["label"].to_numpy(np.float32),
                }
            )


def _write_sequences(liked: dict[int, list[int]], folder: Path, most: int) -> None:
    """Users from the last to the first, as they have no order in sequences."""
    import_streaming()
    from streaming.base.format.mds import MDSWriter

    users = sorted(liked, reverse=True)
    names = ("user_id", "item_id.values", "item_id.lengths")
    with MDSWriter(out=str(folder), columns=dict.fromkeys(names, "ndarray:int32") | {"timestamp.values": "ndarray:int64"}) as writer:
        for start in range(0, len(users), BLOCK):
            bags = [liked[user][-most:] for user in users[start : start + BLOCK]]
            items = np.array([item for bag in bags for item in bag], np.int32)
            lengths = np.array([len(bag) for bag in bags], np.int32)
            columns = (np.array(users[start : start + BLOCK], np.int32), items, lengths, np.arange(len(items)))
            writer.write(dict(zip((*names, "timestamp.values"), columns, strict=True)))


def _write_ranking(
    frame: pd.DataFrame, split: str, liked: dict[int, list[int]], known: tuple[str, ...], folder: Path, history: int
) -> None:
    held = frame[(frame["split"] == split) & (frame["label"] > 0) & (frame["item"] > 0) & (frame["user"] > 0)]
    seen = frame[frame["split"].isin(known) & (frame["item"] > 0)].groupby("user")["item"].agg(lambda items: sorted(set(items)))
    grouped = held.groupby(["user", "user_id"])["item"].agg(list).reset_index(name="relevant")
    for name, place in ((NEXT, 0), (LAST, -1)):  # the rows of a user are in the order of time
        grouped[name] = [relevant[place] for relevant in grouped["relevant"]]
    grouped["seen"] = [seen[user] for user in grouped["user"]]
    grouped["feature.user_id"] = grouped["user"].astype(np.int32)
    grouped["feature.history"] = [liked.get(user, [])[-history:] for user in grouped["user"]]
    grouped.to_parquet(folder / "ranking" / f"{split}.parquet", index=False)


def write_sets(folder: Path, sets: int = 2000, seed: int = 1) -> None:
    """Rate sets of five items beside a dataset of `groups`: by the share of items of the user's own group."""
    rng = np.random.default_rng(seed)
    items = pd.read_parquet(folder / "items.parquet")
    row = dict(zip(items["item_id"], items["row"], strict=True))
    users = pd.read_parquet(folder / "ranking" / "test.parquet").drop(columns=["seen", "relevant"])
    group = users["user_id"].str[1:].astype(int).to_numpy() % 4
    place = rng.integers(0, len(users), sets)
    wanted = rng.integers(0, 6, sets)  # items of the own group
    rows, stars = [], []
    for at, own in zip(place, wanted, strict=True):
        numbers = [4 * rng.integers(0, len(items) // 4) + (group[at] + (0 if k < own else rng.integers(1, 4))) % 4 for k in range(5)]
        rows.append([row.get(f"i{number}", 0) for number in numbers])
        stars.append(1 + 0.7 * own + rng.normal(0, 0.2))
    rows[0] = [0, 0, 0, 0, 0]
    frame = pd.DataFrame({"split": "train", "place": place, "items": rows, "rating": stars})
    frame.loc[rng.random(sets) < 0.3, "split"] = "valid"
    frame.loc[rng.random(sets) < 0.3, "split"] = "test"
    frame.loc[0, "split"] = "test"
    train = frame[frame["split"] == "train"]
    frame["user_mean"] = frame["place"].map(train.groupby("place")["rating"].mean()).fillna(train["rating"].mean())
    (folder / "sets").mkdir()
    frame.to_parquet(folder / "sets" / "sets.parquet", index=False)
    users.to_parquet(folder / "sets" / "users.parquet", index=False)
    write_baselines(folder)


CLICKS = FeatureSchema(
    categorical=(
        Categorical(name="colour", side="context", num_rows=20, vocabulary="colour"),
        Categorical(name="shape", side="context", num_rows=3, vocabulary="shape"),
        Categorical(name="tags", side="context", num_rows=6, multi_valued=True, vocabulary="tags"),
    ),
    dense=(Dense(name="number", side="context", mean=0, std=1),),
)


def clicks(rows: int = 6000, seed: int = 0) -> pd.DataFrame:
    """Clicks that depend on two categories, a bag and a number of the context, with the true logit.

    With weights, and with a target of two actions that nothing reads.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"colour": rng.integers(0, 20, rows), "shape": rng.integers(0, 3, rows), "number": rng.normal(0, 1, rows)})
    frame["tags"] = [rng.integers(1, 6, size).tolist() for size in rng.integers(0, 3, rows)]
    said = rng.normal(0, 1.2, 20)[frame["colour"]] + rng.normal(0, 0.5, 3)[frame["shape"]] + 0.8 * frame["number"]
    frame["logit"] = said + [0.5 * (1 in bag) for bag in frame["tags"]]
    frame["label"] = (rng.random(rows) < 1 / (1 + np.exp(-frame["logit"]))).astype(float)
    frame["split"] = np.array(["train", "valid", "test"])[np.searchsorted([0.7, 0.85], np.arange(rows) / rows, side="right")]
    frame["target"] = np.stack([frame["label"], 1 - frame["label"]], 1).tolist()
    return frame.assign(weight=rng.choice([0.2, 1.0], rows), rating=np.nan, timestamp=0, _partition=0)


def write_clicks(folder: Path, rows: int = 6000) -> FeatureSchema:
    """Write `clicks` as a prepared dataset without users and items, by the workbench's own BlockWriter."""
    import_streaming()  # without the half of it that nobody here needs
    from streaming.base.util import merge_index

    frame = clicks(rows)
    types = {"colour": pa.int32(), "shape": pa.int32(), "_partition": pa.int32(), "timestamp": pa.int64(), "split": pa.string()}
    types |= {"tags": pa.list_(pa.int32()), "target": pa.list_(pa.float32())}
    wanted = pa.schema([(name, types.get(name, pa.float32())) for name in frame.columns])
    folder.mkdir(parents=True)
    writer = BlockWriter(str(folder), BLOCK, ("colour", "shape"), ("tags",), ("number",), ("target", "weight"))
    for part in writer(iter(pa.Table.from_pandas(frame, wanted).to_batches(max_chunksize=1000))):
        for written in part.to_pylist():
            merge_index([str(folder / written["folder"] / "index.json")], str(folder / written["split"]))
    frame.loc[frame["split"] == "test", ["logit", "label"]].to_parquet(folder / "oracle.parquet", index=False)
    counts = {"interactions": frame["split"].value_counts().to_dict(), "positives": frame.groupby("split")["label"].sum().to_dict()}
    manifest = {"schema": CLICKS.model_dump(), "counts": counts, "block_rows": BLOCK, "label": {"kind": "given", "output": "binary"}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    write_baselines(folder)
    return CLICKS
