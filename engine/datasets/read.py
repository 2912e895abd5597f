"""Reading prepared datasets: which there are, whether they are intact, and their tables."""

import hashlib
import json
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.datasets.audit_record import Audit
from engine.datasets.rules import TimeSplit
from engine.datasets.spec import DatasetSpec
from engine.settings import settings
from workers.artifacts import BASELINES, FEATURE, ITEMS, MANIFEST, TRAIN, USERS, VALID, lacks_target, read_sealed
from workers.prepare import MOMENT
from workers.specs import TARGETS, FeatureSchema, Target

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.dataset as ds

FORMAT = 1
KNOWN_AT_TEST = (TRAIN, VALID)  # splits that models know of a person before test; datasets from before there was this know train alone
INTERACTIONS, AUDIT, QUARANTINE = "interactions", "audit.json", "quarantine.parquet"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """One prepared dataset: its folder and its manifest."""

    id: str
    name: str
    path: Path
    manifest: dict[str, Any]
    schema: FeatureSchema

    @property
    def fingerprint(self) -> str:
        return self.manifest["fingerprint"]

    @property
    def counts(self) -> dict[str, Any]:
        return self.manifest["counts"]

    @property
    def rows(self) -> int:
        """Interactions over all splits."""
        return sum(self.counts["interactions"].values())

    @property
    def known_at_test(self) -> tuple[str, ...]:
        """Splits whose interactions models know of a person when test begins."""
        return tuple(self.manifest.get("known_at_test", (TRAIN,)))

    @property
    def title(self) -> str:
        """The name and the main settings, for people. Older manifests have of the label only kind, threshold and mean."""
        label, kind = self.manifest["label"], self.manifest["split"]["kind"]
        at = "" if label.get("threshold") is None else f"liked from {label['threshold']:.3g}"
        names = [str(name) for name in label.get("liked") or ()]
        names = [] if label["kind"] == "actions" and names == label.get("classes") else names  # all of them: any
        chosen = " or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part) if len(names) <= 4 else f"one of {len(names)}"
        liked = {
            "mean": f"{at} (the mean)",
            "user_mean": "liked from the user's mean",
            "given": "liked is label 1",
            "implicit": "every row is liked",
            "regression": f"predicts the value, {at}" if at else "predicts the value",
            "multi_class": f"liked is {'class ' + chosen if chosen else 'the last class'}",
            "actions": f"liked is {chosen or 'any action'}",
        }.get(label["kind"], at or str(label["kind"]))
        splits = {
            "time": "split by time",
            "per_user": "split per user",
            "last": "leave-one-out",
            "random": "split at random",
            "column": "split as given",
        }
        until = self.manifest.get("spec", {}).get("split", {}).get("until", 1)
        part = "" if until == 1 else f" · the first {100 * until:.3g} % by time"
        older = "" if "known_at_test" in self.manifest else " · validation unknown at test"
        return f"{self.name} · {liked} · {splits.get(kind, f'split {kind}')}{part} · {self.rows:,} rows{older}"


def fingerprint(spec: DatasetSpec) -> str:
    """SHA-256, in hex, of the content of the source and of every setting but the name and the path.

    Raises what the source raises when it cannot be read.
    """
    settings_ = spec.model_dump(mode="json", exclude={"name", "source"})
    if isinstance(spec.split, TimeSplit) and spec.split.until == 1:  # the usual one: datasets from before there was a choice keep their id
        del settings_["split"]["until"]
    content = {"kind": spec.source.kind, "content": spec.source.fingerprint()}
    text = json.dumps({"format": FORMAT, "known_at_test": KNOWN_AT_TEST, "source": content, **settings_}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def dataset_id(spec: DatasetSpec) -> str:
    """The id of the dataset that this spec prepares; reads the source to fingerprint it."""
    return f"{spec.name}-{fingerprint(spec)[:12]}"


def list_datasets() -> list[Dataset]:
    """Every prepared dataset of the workspace, newest first. Unfinished preparations are left out."""
    all_ = []
    for manifest in settings().datasets.glob(f"*/{MANIFEST}"):
        if manifest.parent.name.startswith("."):
            continue
        try:
            all_.append(_read(manifest))
        except (OSError, ValueError, KeyError) as error:
            log.warning("Dataset %s is left out, its manifest cannot be read: %s", manifest.parent.name, error)
    return sorted(all_, key=lambda d: (d.manifest["created_at"], d.id), reverse=True)


def get_dataset(id: str) -> Dataset:
    """The dataset of an id; LookupError when it does not exist or cannot be read."""
    manifest = settings().datasets / id / MANIFEST
    if not (_ID.fullmatch(id) and manifest.is_file()):
        known = ", ".join(d.id for d in list_datasets()) or "none yet"
        raise LookupError(f"There is no prepared dataset {id[:80]!r}; this workspace has: {known}.")
    try:
        return _read(manifest)
    except (OSError, ValueError, KeyError) as error:
        raise LookupError(f"The manifest of dataset {id} cannot be read ({error}); delete its folder and prepare it again.") from error


def targets(dataset: Dataset) -> list[Target]:
    """The targets that lists on a dataset can be measured by, the usual one first; without times it is the only one."""
    able = dataset.schema.can_rank
    return [target for target in TARGETS if target == "later" or (able and lacks_target(target, dataset.path) is None)]


def _read(manifest: Path) -> Dataset:
    value = read_sealed(manifest)
    if value["format"] != FORMAT:
        raise ValueError(f"it has format {value['format']}, this version reads format {FORMAT}; prepare it again")
    return Dataset(value["id"], value["name"], manifest.parent, value, FeatureSchema.model_validate(value["schema"]))


def items(id: str) -> "pd.DataFrame":
    """The catalogue, by row: item_id, row, title, genres, counts and display columns; items not in train last."""
    return _table(get_dataset(id).path / ITEMS)


def search_users(id: str, text: str = "", limit: int = 50, held_out_only: bool = False) -> "pd.DataFrame":
    """Users whose id contains `text`: the exact id first, then ids that begin with it, then by number of interactions.

    Args:
        held_out_only: only users who liked something in test.

    Returns:
        At most `limit` rows: user_id, row, interactions, train_positives, test_positives and display columns.
    """
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    path = get_dataset(id).path / USERS
    matching = ds.field("test_positives") > 0 if held_out_only else ds.scalar(True)
    if text:
        matching &= pc.match_substring(ds.field("user_id"), text, ignore_case=True)
    table = ds.dataset(path).to_table(columns=["user_id", "interactions"], filter=matching)
    ids = table["user_id"]
    table = table.append_column("unlike", pc.add(pc.not_equal(ids, text).cast("int8"), pc.invert(pc.starts_with(ids, text)).cast("int8")))
    order = [("unlike", "ascending"), ("interactions", "descending"), ("user_id", "ascending")]
    best = ids.take(pc.select_k_unstable(table, min(limit, len(table)), order)) if len(table) else ids
    chosen = ds.field("user_id").isin(best.combine_chunks())
    return _table(path, chosen).set_index("user_id", drop=False).loc[best.to_pylist()].reset_index(drop=True)


def user_interactions(id: str, user_id: str) -> "pd.DataFrame":
    """What one user did, newest first: item_id, title, genres, rating, label, timestamp, split, weight (1 where rows have none).

    An item can have several rows.

    Raises:
        LookupError: the dataset has no such user.
    """
    return _interactions(get_dataset(id).path, id, user_id).copy()


@lru_cache(maxsize=32)
def _interactions(path: Path, id: str, user_id: str) -> "pd.DataFrame":
    """Cached: a prepared dataset never changes. `path` distinguishes datasets of two workspaces."""
    import pyarrow.dataset as ds

    own = ds.field("user_id") == user_id
    if ds.dataset(path / USERS).count_rows(filter=own) == 0:
        raise LookupError(f"Dataset {id} has no user {user_id[:80]!r}; search for another.")
    source = ds.dataset(path / INTERACTIONS)
    more = [name for name in ("subsecond", "weight") if name in source.schema.names]
    rows = source.to_table(columns=["item_id", "rating", "label", "timestamp", "split", *more], filter=own)
    of_user = ds.field("item_id").isin(rows["item_id"].combine_chunks())
    titles = ds.dataset(path / ITEMS).to_table(columns=["item_id", "title", "genres"], filter=of_user).to_pandas()
    merged = rows.to_pandas().merge(titles, on="item_id", how="left")
    time = [name for name in MOMENT if name in merged]
    merged = merged.sort_values([*time, "item_id"], ascending=False)  # the order of sequences turned round; no part of a second is 0
    shown = ["item_id", "title", "genres", "rating", "label", "timestamp", "split"]
    return merged.assign(weight=merged["weight"] if "weight" in more else 1.0)[[*shown, "weight"]].reset_index(drop=True)


def user_row(id: str, user_id: str) -> "pd.DataFrame":
    """One user's row of users.parquet, encoded features included; LookupError when the dataset has no such user."""
    import pandas as pd

    rows = pd.read_parquet(get_dataset(id).path / USERS, filters=[("user_id", "==", user_id)])
    if rows.empty:
        raise LookupError(f"Dataset {id} has no user {user_id[:80]!r}; search for another.")
    return rows


def audit(id: str) -> Audit | None:
    """The audit of all rows of the source; None where the dataset was prepared without one."""
    path = get_dataset(id).path / AUDIT
    return Audit.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def set_aside(id: str, limit: int = 200_000) -> "pd.DataFrame":
    """The first rows of the source that were set aside: row (from 1), reason, raw (the row as text)."""
    import pandas as pd
    import pyarrow.dataset as ds

    path = get_dataset(id).path / QUARANTINE
    if not path.exists():
        return pd.DataFrame({"row": [], "reason": [], "raw": []})
    return ds.dataset(path, format="parquet").head(limit).to_pandas()


def why_no_ranking(dataset: Dataset) -> str | None:
    """Why models cannot recommend on a dataset; None when they can."""
    missing = [side for side, there in (("user", dataset.schema.has_users), ("item", dataset.schema.has_items)) if not there]
    if not missing:
        return None
    return (
        f"Its rows name no {' and no '.join(missing)}, so there is nobody to recommend to and no catalogue to rank: models are compared by "
        "how well they predict each row, and recommendations cannot be browsed."
    )


def baseline_results(id: str) -> dict[str, dict[str, Any]]:
    """Metrics of the baselines under the protocol: {"popularity": {metric key: value}, "random": …}; popularity first."""
    known = ["popularity", "random"]
    files = {path.stem: path for path in (get_dataset(id).path / BASELINES).glob("*.json")}
    names = [name for name in known if name in files] + sorted(files.keys() - set(known))
    return {name: json.loads(files[name].read_text(encoding="utf-8")) for name in names}


def baseline_per_user(id: str, name: str) -> "pd.DataFrame | None":
    """The per-user metrics of "popularity" or "random"; None where no user was ranked for."""
    import pandas as pd

    path = get_dataset(id).path / BASELINES / f"{name}_per_user.parquet"
    return pd.read_parquet(path) if path.is_file() else None


def _table(path: Path, only: "ds.Expression | None" = None) -> "pd.DataFrame":
    """A table without its encoded feature columns; `only`: a condition of pyarrow on its rows."""
    import pyarrow.dataset as ds

    source = ds.dataset(path)
    shown = [name for name in source.schema.names if not name.startswith(FEATURE)]
    return source.to_table(columns=shown, filter=only).to_pandas()
