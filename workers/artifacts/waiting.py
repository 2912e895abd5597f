"""Where ranks wait for each other's single work for as long as it takes."""

from datetime import timedelta
from typing import Any

import torch.distributed as dist

LONGEST = timedelta(hours=12)
_made: tuple[Any, Any] = (None, None)  # the group of all ranks, and the patient one of the same ranks


def patient() -> Any:  # noqa: ANN401 (torch gives the type of a group no public name on every rank)
    """Collective: all ranks again, in a group whose waits do not end after `train.timeout_s`.

    For the moments before which each rank works alone, and not equally long: it writes its shards of tables, compares digests, ranks items
    for its users. A rank that died ends them at once, since its connection ends; one that hangs is the watchdog's to find.
    """
    global _made
    if _made[0] is not dist.group.WORLD:
        _made = dist.group.WORLD, dist.new_group(backend="gloo", timeout=LONGEST)
    return _made[1]
