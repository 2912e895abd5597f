"""Disk that a training run writes."""

from engine.datasets import Dataset
from engine.preflight.judgement import Item, size
from engine.preflight.machine import Machine
from engine.preflight.memory import Bytes

CHECKPOINTS = 4  # the best, the newest two, and the next one while it is written
COPIES = 1  # of the best, in the run store
LIST_BYTES = 1600  # a list of 100 items with scores, and the metrics of its user
ROW_BYTES = 16  # a scored row of test
SPARE_BYTES = 500_000_000  # that stays free


def disk(need: Bytes, dataset: Dataset, on: Machine) -> Item:
    """Whether checkpoints and results fit on the workspace's disk."""
    counts = dataset.counts
    users = (counts.get("users_to_rank") or {}).get("test", 0)
    results = 2 * (users * LIST_BYTES + counts["interactions"]["test"] * ROW_BYTES)
    every = (CHECKPOINTS + COPIES) * need.checkpoint + results
    value = f"up to {size(every)} to write (a checkpoint has {size(need.checkpoint)}), {size(on.free_disk_bytes)} free"
    if every > on.free_disk_bytes:
        advice = f"Free {size(every - on.free_disk_bytes)}, choose a smaller model, or put RECBENCH_WORKSPACE on another disk."
        return Item(name="Disk", value=value, short=size(every), level="blocked", advice=advice)
    if every + SPARE_BYTES > on.free_disk_bytes:
        return Item(
            name="Disk", value=value, short=size(every), level="warning", advice=f"It may just fit; {size(SPARE_BYTES)} should stay free."
        )
    return Item(name="Disk", value=value, short=size(every))
