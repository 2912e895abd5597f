"""The manifest of a prepared dataset: its schema, its counts, and the digest of each of its files."""

from datetime import UTC, datetime
from typing import Any

from engine import datasets
from engine.prepare.columns import COLUMNS
from engine.prepare.results import Blocks, Preparation, Results
from workers.specs import ITEM_ID, USER_ID


def manifest(preparation: Preparation, results: Results, blocks: Blocks, id: str, fingerprint: str) -> dict[str, Any]:
    """What manifest.json holds but for the cost, as JSON values."""
    spec, labelled, folder = preparation.spec, results.labelled, preparation.staging
    valid_from, test_from = labelled.times or (None, None)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "format": datasets.FORMAT,
        "id": id,
        "name": spec.name,
        "fingerprint": fingerprint,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "spec": spec.model_dump(mode="json"),
        "schema": blocks.schema.model_dump(mode="json"),
        "counts": counts(results),
        "label": {"kind": spec.label.kind, **labelled.rule._asdict()},
        "split": {"kind": spec.split.kind, "valid_from": valid_from, "test_from": test_from},
        "known_at_test": list(datasets.KNOWN_AT_TEST),
        "block_rows": blocks.rows,
        "columns": COLUMNS,
        "checked_blocks": True,
        "files": dict(zip((path.relative_to(folder).as_posix() for path in files), datasets.digests(files), strict=True)),
    }


def counts(results: Results) -> dict[str, Any]:
    """Numbers of rows, users and items; those of users and of items only where the source has them."""
    usable, vocabularies, tables, ranking = results.usable, results.vocabularies, results.tables, results.ranking
    numbers: dict[str, Any] = {
        "rows_read": results.source.total,
        "rows_used": usable.total,
        "set_aside": usable.set_aside,
        "interactions": results.labelled.sizes,
        "positives": results.interactions.positives,
    }
    numbers |= {f"cold_{side}_rows_test": n for side, n in results.interactions.cold.items()}
    if tables.users is not None:
        numbers |= {"users": tables.users.total, "train_users": vocabularies.sizes.get(USER_ID, 0)}
    if tables.items is not None:
        numbers |= {"items_without_title": tables.items.untitled, "items": tables.items.total}
        numbers |= {"train_items": vocabularies.sizes.get(ITEM_ID, 0)}
    if ranking is not None:
        numbers |= {"users_to_rank": ranking.qualified, "sampled_users": ranking.sampled}
    if ranking is not None and ranking.sets is not None:
        numbers["sets"] = ranking.sets
    if results.sequences is not None:
        numbers["sequences"] = results.sequences._asdict()
    return numbers
