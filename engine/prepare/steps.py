"""The steps of preparing, in order."""

import shutil
from collections.abc import Callable
from typing import Any

from engine.prepare import audit, blocks, ranking
from engine.prepare.build import Build
from engine.prepare.columns import COLUMNS


def write_blocks(build: Build) -> None:
    """The three splits as MDS blocks, rows in one global random order, written where the rows are."""
    build.schema = blocks.feature_schema(build)
    build.block_rows = blocks.write(build)


def measure_baselines(build: Build) -> None:
    """Popularity and random under the protocol."""
    from workers.evaluation import write_baselines

    shutil.rmtree(build.scratch, ignore_errors=True)
    write_baselines(build.staging)
    build.spark.catalog.clearCache()


def facts(build: Build) -> dict[str, Any]:
    """This build's part of the manifest."""
    label = {"kind": build.spec.label.kind, **build.rule._asdict()}
    return {
        "schema": build.schema.model_dump(mode="json"), "counts": build.counts, "label": label, "split": build.split,
        "block_rows": build.block_rows, "columns": COLUMNS,
    }  # fmt: skip


STEPS: dict[str, Callable[[Build], None]] = {
    "starting Spark and reading": Build.load,
    "setting rows aside": Build.set_aside,
    "splitting and labelling": Build.split_and_label,
    "numbering users, items and features": Build.number,
    "writing interactions": Build.write_interactions,
    "writing users and items": Build.write_people_and_things,
    "shuffling and writing blocks": write_blocks,
    "choosing users to rank for": ranking.write,
    "auditing": audit.write,
    "measuring popularity and random": measure_baselines,
}
