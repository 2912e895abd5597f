"""A tiny prepared dataset that the whole engine takes for one: what `tests.tiny` writes, and what only the engine reads."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from engine import datasets
from tests import tiny

ID = "tiny-0123456789ab"


def write(workspace: Path, frame: pd.DataFrame) -> Path:
    """Write `frame`, as of `tiny.groups`, as the dataset ID of a workspace; returns its folder. A user without rows in train has row 0."""
    folder = workspace / "datasets" / ID
    schema = tiny.write(frame, folder)
    train = frame[frame["split"] == "train"]
    item = pd.read_parquet(folder / "items.parquet").set_index("item_id")["row"]
    order = [*train["user_id"].value_counts().index, *sorted(set(frame["user_id"]) - set(train["user_id"]))]
    known = frame[
        (frame["split"] != "test") & (frame["label"] > 0) & frame["user_id"].isin(train["user_id"]) & frame["item_id"].isin(item.index)
    ]
    liked = known.groupby("user_id")["item_id"].agg(list)
    rows = np.array([place if user in set(train["user_id"]) else 0 for place, user in enumerate(order, 1)], np.int32)
    held = frame[(frame["split"] == "test") & (frame["label"] > 0)]["user_id"].value_counts()
    users = pd.DataFrame({"user_id": order, "row": rows, "feature.user_id": rows})
    users["feature.history"] = [item.reindex(liked.get(user, [])).to_numpy(np.int32)[-50:] for user in order]
    users["interactions"] = frame["user_id"].value_counts().reindex(order).to_numpy()
    users["test_positives"] = held.reindex(order, fill_value=0).to_numpy()
    users.to_parquet(folder / "users.parquet", index=False, row_group_size=37)
    (folder / "interactions").mkdir()
    frame.assign(rating=frame["label"], timestamp=np.arange(len(frame))).to_parquet(folder / "interactions" / "part-0.parquet", index=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    manifest |= {
        "format": datasets.FORMAT, "id": ID, "name": "tiny", "fingerprint": "0123456789ab" * 5, "created_at": "2026-01-05T11:00:00+00:00",
        "split": {"kind": "random"}, "schema": schema.model_dump(mode="json"),
        "label": {"kind": "given", "output": "binary", "threshold": 1.0},
        "files": {path.relative_to(folder).as_posix(): datasets.digest(path) for path in files},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
