"""Made rows for the benches of training, written as the blocks of a prepared dataset: Zipf ids, no structure to learn."""

import json
import os
from pathlib import Path

import numpy as np

from workers.artifacts.results import MANIFEST
from workers.batches.blocks import import_streaming, mds_columns
from workers.specs.schema import Categorical, Dense, FeatureSchema

BLOCK = 4096  # what `engine.prepare.blocks` gives datasets of this size

CLICKS = FeatureSchema(
    categorical=tuple(
        Categorical(name=f"c{k}", side="context", num_rows=int(size), vocabulary=f"c{k}")
        for k, size in enumerate(np.geomspace(4, 200_000, 26), start=1)
    ),
    dense=tuple(Dense(name=f"d{k}", side="context", mean=0, std=1) for k in range(1, 14)),
)
PAIRS = FeatureSchema(
    categorical=(
        Categorical(name="user_id", side="user", num_rows=140_000, vocabulary="user_id"),
        Categorical(name="item_id", side="item", num_rows=27_000, vocabulary="item_id"),
    )
)
MOVIES = FeatureSchema(  # as many values as MovieLens 1M has
    categorical=tuple(
        Categorical(name=name, side=side, num_rows=size, vocabulary=name)
        for name, side, size in (
            ("user_id", "user", 6041), ("gender", "user", 3), ("age", "user", 8), ("occupation", "user", 22),
            ("item_id", "item", 3707), ("genre", "item", 19), ("year", "item", 82),
        )
    )
)  # fmt: skip


def block(schema: FeatureSchema, rows: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`rows` rows as one block; id k is drawn about as often as 1 / k."""
    columns = {f.name: (f.num_rows ** rng.random(rows)).astype(np.int32) for f in schema.categorical}
    if schema.dense:
        columns["dense"] = rng.standard_normal((rows, len(schema.dense)), np.float32)
    return columns | {
        "label": (rng.random(rows) < 0.5).astype(np.float32),
        "rating": np.zeros(rows, np.float32),
        "timestamp": np.arange(rows),
    }


def write(folder: Path, schema: FeatureSchema, rows: int, held_out: int = BLOCK) -> None:
    """A prepared dataset of `rows` rows in train; what ranks read to train is there, what they need to rank users is not."""
    import_streaming()
    from streaming import MDSWriter

    rng = np.random.default_rng(0)
    columns = mds_columns(tuple(f.name for f in schema.categorical), (), tuple(d.name for d in schema.dense))
    counts = {"train": rows, "valid": held_out, "test": held_out}
    for split, count in counts.items():
        with MDSWriter(columns=columns, out=str(folder / split)) as writer:
            for start in range(0, count, BLOCK):
                writer.write(block(schema, min(BLOCK, count - start), rng))
    manifest = {
        "schema": schema.model_dump(),
        "counts": {"interactions": counts, "positives": {split: count // 2 for split, count in counts.items()}},
        "block_rows": BLOCK,
        "label": {"kind": "given", "output": "binary"},
    }
    partial = folder / f".{MANIFEST}"
    partial.write_text(json.dumps(manifest))
    os.replace(partial, folder / MANIFEST)


def read(folder: Path, schema: FeatureSchema) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train, whole: ids [rows, F] int64, dense [rows, dense features] float32, labels [rows] float32."""
    import_streaming()
    from streaming import StreamingDataset

    blocks = list(StreamingDataset(local=str(folder / "train"), batch_size=1))
    ids = np.concatenate([np.stack([b[f.name] for f in schema.categorical], 1) for b in blocks]).astype(np.int64)
    labels = np.concatenate([b["label"] for b in blocks])
    dense = np.concatenate([b["dense"] for b in blocks]) if schema.dense else np.zeros((len(labels), 0), np.float32)
    return ids, dense, labels
