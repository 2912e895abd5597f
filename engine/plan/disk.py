"""What a planned training would keep on disk."""

from engine.datasets import Dataset
from engine.plan.results import Storage
from engine.preflight import CHECKPOINTS, COPIES, Bytes
from workers.artifacts import TEST, TRAIN, VALID, index
from workers.models import NetworkSpec
from workers.specs import FeatureSchema

BLOCKS = (TRAIN, VALID, TEST)
BY_ROW = (*BLOCKS, "interactions", "sequences")
BY_USER, BY_ITEM = ("users.parquet", "ranking", "vocabulary/user_id.parquet"), ("items.parquet", "vocabulary/item_id.parquet")


def storage_of(model: NetworkSpec, need: Bytes, dataset: Dataset, shape: FeatureSchema, interactions: int) -> Storage:
    """Bytes of checkpoints, of the prepared dataset and of the vector index.

    Args:
        need: of the run, as the pre-flight counts it.
        shape: the dataset's schema with other counts.
    """
    files = {name: int(entry["bytes"]) for name, entry in dataset.manifest.get("files", {}).items()}
    blocks = sum(bytes_ for name, bytes_ in files.items() if _is_under(name, BLOCKS))
    retrieves, width = model.stage == "retrieval" and shape.has_items, getattr(model, "embedding_dim", 0) + 1  # a bias beside the embedding
    items = shape.feature("item_id").num_rows - 1 if retrieves else 0
    kind = index.kind_of(items)
    return Storage(
        checkpoint_bytes=need.checkpoint,
        checkpoints_bytes=(CHECKPOINTS + COPIES) * need.checkpoint,
        dataset_bytes=_dataset(files, dataset, shape, interactions) if files else None,
        row_bytes=blocks / max(1, dataset.rows) if files else None,
        index_bytes=index.bytes_of(items, width) if retrieves else None,
        index_kind=("exact" if kind == index.EXACT else kind) if retrieves else "",
    )


def _dataset(files: dict[str, int], dataset: Dataset, shape: FeatureSchema, interactions: int) -> int:
    """Each file grows with what it has a row for; the others stay."""
    now = {f.vocabulary: f.num_rows for f in dataset.schema.categorical}
    then = {f.vocabulary: f.num_rows for f in shape.categorical}
    growth = {name: then[name] / now[name] for name in now}
    rows = interactions / max(1, dataset.rows)
    every = 0.0
    for name, bytes_ in files.items():
        users, items = _is_under(name, BY_USER), _is_under(name, BY_ITEM)
        factor = rows if _is_under(name, BY_ROW) else growth.get("user_id", 1) if users else growth.get("item_id", 1) if items else 1.0
        every += bytes_ * factor
    return int(every)


def _is_under(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places)
