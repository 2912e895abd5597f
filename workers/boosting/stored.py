"""Trees in a checkpoint: their text, as LightGBM writes it, and the arrays that their features are made of. Nothing of it is executed.

The text is checked before LightGBM reads it, which would follow numbers out of its memory.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workers.artifacts import checkpoint
from workers.boosting.features import Features
from workers.boosting.network import BoostedRanker
from workers.boosting.statistics import Neighbours, Statistics
from workers.models import LightGBMSpec
from workers.specs import FeatureSchema, Task

TREES, COUNTED, SHARED, NEAR = "trees", "statistics.", "values.", "neighbours."  # names of arrays, and prefixes of names
VALUES = "values"  # the key of the names of values among a checkpoint's facts
ARRAYS = (
    "leaf_value", "split_feature", "threshold", "decision_type", "left_child", "right_child", "cat_boundaries", "cat_threshold",
)  # fmt: skip  # of a tree in LightGBM's text


def save(root: Path, model: BoostedRanker, facts: Mapping[str, Any]) -> None:
    """Write the trees that count as a checkpoint. facts: JSON values that are kept beside them, as networks have them."""
    features, text = model.features, model.booster.model_to_string(num_iteration=model.trees).encode()
    arrays = {TREES: np.frombuffer(text, np.uint8)}
    arrays |= {COUNTED + name: table for name, table in features.statistics.whole().tables.items()}
    arrays |= {SHARED + name: held for name, held in features.shared.items()}
    if features.neighbours:
        arrays |= {NEAR + name: array for name, array in features.neighbours.arrays().items()}
    checkpoint.save_arrays(root, arrays, {**facts, VALUES: features.values})


def load(folder: Path, spec: LightGBMSpec, schema: FeatureSchema, task: Task) -> BoostedRanker:
    """The trees of a checkpoint whose digests were compared; ValueError where they do not fit their features."""
    import lightgbm

    arrays, values = checkpoint.load_arrays(folder), checkpoint.facts(folder).get(VALUES, {})
    tables = {name.removeprefix(COUNTED): array for name, array in arrays.items() if name.startswith(COUNTED)}
    shared = {name.removeprefix(SHARED): array for name, array in arrays.items() if name.startswith(SHARED)}
    near = {name.removeprefix(NEAR): array for name, array in arrays.items() if name.startswith(NEAR)}
    neighbours = Neighbours(near["starts"], near["items"].astype(np.int64), near["counts"], near["liked"]) if near else None
    features = Features(spec, schema, Statistics(tables), neighbours, shared, values)
    text = arrays[TREES].tobytes().decode()
    check(text, len(features.names))
    booster = lightgbm.Booster(model_str=text)
    return BoostedRanker(spec, task, features, booster, booster.current_iteration())


def check(text: str, features: int) -> None:
    """Raise ValueError where the text is not one of trees over so many features, or a number in it points beyond its tree."""
    head, *trees = text.split("\nTree=")
    facts = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
    if not text.startswith("tree\n") or facts.get("max_feature_idx") != str(features - 1):
        raise ValueError(f"The trees of this checkpoint are not of its {features} features. Train the model again.")
    for number, tree in enumerate(trees):
        lines = dict(line.split("=", 1) for line in tree.split("end of trees")[0].splitlines() if "=" in line)
        if not _whole(lines, features):
            raise ValueError(f"Tree {number} of this checkpoint is damaged. Train the model again.")


def _whole(lines: Mapping[str, str], features: int) -> bool:
    try:
        leaves, categories = int(lines["num_leaves"]), int(lines["num_cat"])
        found = {name: np.array(lines.get(name, "").split(), np.float64) for name in ARRAYS}
    except (KeyError, ValueError):
        return False
    splits = leaves - 1
    if leaves < 1 or len(found["leaf_value"]) != leaves or lines.get("is_linear", "0") != "0":
        return False
    if not splits:
        return True
    inner = [found[name] for name in ("split_feature", "threshold", "decision_type", "left_child", "right_child")]
    if any(len(one) != splits for one in inner):
        return False
    children = np.concatenate(inner[3:])
    if (inner[0] < 0).any() or (inner[0] >= features).any() or (children < -leaves).any() or (children >= splits).any():
        return False
    if not np.array_equal(np.sort(children), np.r_[np.arange(-leaves, 0), np.arange(1, splits)]):  # each node has one parent, so no circle
        return False
    bounds, sets = found["cat_boundaries"], found["cat_threshold"]
    by_category = inner[1][inner[2].astype(np.int64) % 2 == 1]
    if not categories:
        return not len(by_category)
    ordered = len(bounds) == categories + 1 and bounds[0] == 0 and (np.diff(bounds) >= 0).all() and bounds[-1] == len(sets)
    return bool(ordered and (by_category >= 0).all() and (by_category < categories).all())
