"""Prepared datasets that all of the workbench takes for its own, without Spark: rows are read, set aside, split, labelled and audited by
the preview's pandas twin of preparing, and written by `tests.tiny`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engine import datasets
from engine.datasets import DatasetSpec
from engine.preview import preview, preview_rows
from engine.preview.labels import Rule, label_rows
from engine.preview.rows import set_aside_pairs, split_rows
from tests import tiny
from workers.artifacts import MANIFEST
from workers.evaluation import write_baselines

CREATED = "2026-01-05T11:00:00+00:00"
TITLE = "Alien (1979)"  # of the first film
GROUPS = 3
CLICKS = {"colour": "category", "shape": "category", "tags": "tags", "number": "dense"}


def write_films(folder: Path, users: int = 40, items: int = 30, title: str = TITLE, other: str = "bad") -> Path:
    """Write ratings of films as a CSV beside tables of films and of users; returns its path.

    Users 1 to `users` like the films of their own group (`tests.tiny.groups`). The next one is met in test alone, the one after that
    liked nothing. One pair of user and film occurs twice, one row is an exact copy, and one names no user. The verdict of a row is good
    where it is liked, else `other`; `title`: of the first film.
    """
    frame = tiny.groups(users, items, GROUPS)
    chance = np.random.default_rng(0)
    order = frame["split"].map({"train": 0, "valid": 1, "test": 2}).to_numpy()
    frame = frame.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)
    user, item = (frame[name].str[1:].astype(int) + 1 for name in ("user_id", "item_id"))
    rating = np.where(frame["label"] > 0, chance.integers(4, 6, len(frame)), chance.integers(1, 4, len(frame)))
    rows = [(str(u), f"i{i}", r, 1_600_000_000 + 3600 * at) for at, (u, i, r) in enumerate(zip(user, item, rating, strict=True))]
    nobody, twice = (str(users + 2), "i1", 1, 1_600_000_001), (*rows[0][:2], 6 - rows[0][2], 1_600_000_002)
    rows = [rows[0], twice, rows[0], ("", "i2", 4, 1_600_000_003), nobody, (nobody[0], "i2", 2, nobody[3]), *rows[1:]]
    rows += [(str(users + 1), f"i{at}", rating, rows[-1][3] + at) for at, rating in ((1, 5), (2, 1))]
    folder.mkdir(parents=True, exist_ok=True)
    ratings = pd.DataFrame(rows, columns=["user", "item", "rating", "time"])
    ratings["verdict"] = np.where(ratings["rating"] >= 4, "good", other)
    ratings.to_csv(folder / "ratings.csv", index=False)
    films = range(1, items + 1)
    titles = [title, *(f"Film {n}" for n in films if n > 1)]
    genres = ["Sci-Fi|Horror" if n % 2 else "Drama" if n % 4 else "" for n in films]
    pd.DataFrame({"item": [f"i{n}" for n in films], "title": titles, "genres": genres}).to_csv(folder / "films.csv", index=False)
    people = [str(n) for n in range(1, users + 3)]
    pd.DataFrame({"user": people, "job": ["writer" if n % 2 else "artist" for n in range(len(people))]}).to_csv(
        folder / "people.csv", index=False
    )
    return folder / "ratings.csv"


def films_spec(ratings: Path, name: str = "films", teaches: dict[str, str] | None = None, **rules: Any) -> DatasetSpec:
    """The spec of what `write_films` wrote, as a person would map it.

    Args:
        teaches: the column that says what a row teaches, and its role; the rating without. rules: as of a DatasetSpec.
    """

    def roles(**of: str) -> list[dict[str, str]]:
        return [{"name": name, "role": role} for name, role in of.items()]

    source = {
        "kind": "table",
        "path": str(ratings),
        "time_unit": "s",
        "columns": roles(user="user", item="item", time="timestamp", **(teaches or {"rating": "label"})),
        "items": {"path": str(ratings.parent / "films.csv"), "columns": roles(item="item", title="title", genres="genres")},
        "users": {"path": str(ratings.parent / "people.csv"), "columns": roles(user="user", job="category")},
    }
    return DatasetSpec.model_validate({"name": name, "source": source, "history": 50} | rules)


def prepare(workspace: Path, spec: DatasetSpec) -> str:
    """Prepare ratings of items by users into a workspace; returns the dataset's id, which is the one that `engine.prepare` gives."""
    read = preview_rows(spec.source)
    found = preview(spec, read)
    rows, _ = set_aside_pairs(read.copy(), spec)
    used = rows[rows["reason"].isna()].reset_index(drop=True)
    used["split"] = split_rows(used, spec)
    used["label"], rule = label_rows(used, spec)
    id = datasets.dataset_id(spec)
    folder = workspace / "datasets" / id
    used = used.sort_values(["timestamp", "item_id"], kind="stable", ignore_index=True)
    frame = used[["user_id", "item_id", "label", "split"]].assign(**_target(used, rule))
    tiny.write(frame, folder, spec.history, rule.output, spec.sequence)
    _write_items(folder, spec)
    write_people(folder, used, spec)
    (folder / "audit.json").write_text(found.audit.model_dump_json())
    found.set_aside.to_parquet(folder / "quarantine.parquet", index=False)
    write_baselines(folder)
    _finish(folder, spec, rule, _counts(folder, found.audit))
    return id


def _target(used: pd.DataFrame, rule: Rule) -> dict[str, Any]:
    """What models predict beside the label: the value, the place of the class, or 0 and 1 for each action."""
    if rule.output == "regression":
        return {"target": used["rating"].astype(float)}
    if rule.output == "multi_class":
        return {"target": used["category"].map(rule.classes.index).astype(float)}
    if rule.output == "actions":
        return {"target": [[float(name in kinds.split("|")) for name in rule.classes] for kinds in used["category"]]}
    return {}


def prepare_clicks(workspace: Path, rows: int = 1200) -> str:
    """Prepare `tests.tiny.clicks`, rows without users and items, into a workspace; returns the dataset's id."""
    path = workspace / "source" / "clicks.csv"
    frame = tiny.clicks(rows)
    frame.assign(tags=[" ".join(map(str, bag)) for bag in frame["tags"]])[[*CLICKS, "label"]].to_csv(path, index=False)
    columns = [{"name": name, "role": role, "separator": " "} for name, role in {**CLICKS, "label": "label"}.items()]
    source = {"kind": "table", "path": str(path), "columns": columns}
    spec = DatasetSpec.model_validate({"name": "clicks", "source": source, "label": {"kind": "given"}, "split": {"kind": "random"}})
    found = preview(spec)
    folder = workspace / "datasets" / datasets.dataset_id(spec)
    tiny.write_clicks(folder, rows)
    (folder / "audit.json").write_text(found.audit.model_dump_json())
    counts = {"rows_read": rows, **json.loads((folder / MANIFEST).read_text())["counts"]}
    _finish(folder, spec, Rule("binary", 1.0, None, [], []), counts)
    return folder.name


def _write_items(folder: Path, spec: DatasetSpec) -> None:
    items = pd.read_parquet(folder / "items.parquet")
    shown = spec.source.items_frame(10_000).drop_duplicates("item_id").set_index("item_id").reindex(items["item_id"])
    items.assign(**{name: shown[name].to_numpy() for name in ("title", "genres")}).to_parquet(folder / "items.parquet", index=False)


def write_people(folder: Path, used: pd.DataFrame, spec: DatasetSpec | None = None) -> None:
    """The tables that only the engine reads, users.parquet and interactions: a user without rows in train has row 0.

    Args:
        used: user_id, item_id, label, split; rating and timestamp where there are any.
    """
    train = used[used["split"] == "train"]
    item = pd.read_parquet(folder / "items.parquet").set_index("item_id")["row"]
    order = [*train["user_id"].value_counts().index, *sorted(set(used["user_id"]) - set(train["user_id"]))]
    liked = train[train["label"] > 0].groupby("user_id")["item_id"].agg(list)
    known = set(train["user_id"])
    rows = np.array([place if user in known else 0 for place, user in enumerate(order, 1)], np.int32)
    held = used[(used["split"] == "test") & (used["label"] > 0)]["user_id"].value_counts()
    users = pd.DataFrame({"user_id": order, "row": rows, "feature.user_id": rows})
    before = used[
        (used["split"] != "test") & (used["label"] > 0) & used["user_id"].isin(known) & used["item_id"].isin(item[item > 0].index)
    ]
    met = before.groupby("user_id")["item_id"].agg(list)
    users["feature.history"] = [item.reindex(met.get(user, [])).to_numpy(np.int32)[-50:] for user in order]
    users["interactions"] = used["user_id"].value_counts().reindex(order).to_numpy()
    users["train_positives"] = [len(liked.get(user, [])) for user in order]
    users["test_positives"] = held.reindex(order, fill_value=0).to_numpy()
    if spec is not None:
        jobs = spec.source.users_frame(10_000).drop_duplicates("user_id").set_index("user_id")
        users = users.assign(**{name: jobs[name].reindex(order).to_numpy() for name in jobs.columns})
    users.to_parquet(folder / "users.parquet", index=False, row_group_size=37)
    (folder / "interactions").mkdir()
    row = dict(zip(order, rows, strict=True))
    met = used[["user_id", "item_id", "label", "split"]].assign(
        user=used["user_id"].map(row).astype(np.int32),
        item=used["item_id"].map(item).fillna(0).astype(np.int32),
        rating=used.get("rating", used["label"]),
        timestamp=used.get("timestamp", 0),
    )
    met.to_parquet(folder / "interactions" / "part-0.parquet", index=False)


def _counts(folder: Path, audit: datasets.Audit) -> dict[str, Any]:
    test = audit.splits["test"]
    ranked = {split: len(pd.read_parquet(folder / "ranking" / f"{split}.parquet")) for split in ("valid", "test")}
    return {
        "rows_read": audit.rows_read,
        "set_aside": audit.set_aside,
        "interactions": {name: facts.rows for name, facts in audit.splits.items()},
        "positives": {name: facts.positives for name, facts in audit.splits.items()},
        "users": audit.users,
        "items": audit.items,
        "train_users": audit.splits["train"].users,
        "train_items": audit.splits["train"].items,
        "cold_user_rows_test": test.cold_user_rows,
        "cold_item_rows_test": test.cold_item_rows,
        "users_to_rank": {name: audit.splits[name].users_to_rank for name in ranked},
        "sampled_users": ranked,
        "items_without_title": audit.items_without_title,
    }


def _finish(folder: Path, spec: DatasetSpec, rule: Rule, counts: dict[str, Any]) -> None:
    """Write the manifest, last."""
    manifest = json.loads((folder / MANIFEST).read_text())
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    if stored := manifest["counts"].get("sequences"):
        counts = counts | {"sequences": stored}
    manifest |= {
        "format": datasets.FORMAT,
        "id": folder.name,
        "name": spec.name,
        "fingerprint": datasets.fingerprint(spec),
        "created_at": CREATED,
        "spec": spec.model_dump(mode="json"),
        "label": {"kind": spec.label.kind, **rule._asdict()},
        "split": spec.split.model_dump(mode="json"),
        "counts": counts,
        "files": {path.relative_to(folder).as_posix(): datasets.digest(path) for path in files},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
