"""Which GPU a rank computes on: it follows from what the ranks see, not from their numbers.

Ranks beside the driver see all GPUs of the run, barrier tasks their own one each, and both call it cuda:0.
"""

import logging
import os
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist

log = logging.getLogger("workers.training.train")
NO_GPU = "train.device is cuda, but no GPU is visible here; choose cpu."


class Seen(NamedTuple):
    """What a rank sees."""

    host: str
    gpus: tuple[str, ...]  # ids of the GPUs that it may use, in the order in which it counts them


def choose(ranks: Sequence[Seen]) -> list[int]:
    """The GPU of each rank, as a place among those that it sees.

    Raises:
        ValueError: some ranks of a host would have to share a GPU, which NCCL refuses.
    """
    chosen = []
    for at, rank in enumerate(ranks):
        alike = [other for other, seen in enumerate(ranks) if seen == rank]  # these share what they see
        chosen.append(device_of(alike.index(at), len(alike), len(rank.gpus)))
    taken = [(rank.host, rank.gpus[place]) for rank, place in zip(ranks, chosen, strict=True)]
    if len(set(taken)) < len(taken):
        twice = next(one for one in taken if taken.count(one) > 1)
        raise ValueError(f"Several ranks on {twice[0]} see the GPU {twice[1]} as theirs; give each its own with CUDA_VISIBLE_DEVICES.")
    return chosen


def device_of(place: int, ranks: int, visible: int) -> int:
    """The GPU of a rank.

    Args:
        place: among the `ranks` of its host that see the same GPUs as it does, from 0.
        visible: how many GPUs they see.

    Raises:
        ValueError: there are fewer GPUs than ranks.
    """
    if visible == 0:
        raise ValueError(NO_GPU)
    if visible < ranks:
        raise ValueError(
            f"{ranks} ranks of one host see {visible} {'GPU' if visible == 1 else 'GPUs'}, and each rank needs one of its own; "
            f"choose train.processes {visible}, or hosts with more GPUs."
        )
    return place


def visible() -> tuple[str, ...]:
    """Ids of the GPUs that this process may use."""
    return tuple(str(torch.cuda.get_device_properties(place).uuid) for place in range(torch.cuda.device_count()))


def refuse_none() -> None:
    """Raise ValueError where no GPU is visible."""
    if not torch.cuda.is_available():
        log.error("no GPU is visible: CUDA_VISIBLE_DEVICES is %s", os.environ.get("CUDA_VISIBLE_DEVICES", "not set"))
        raise ValueError(NO_GPU)


def take_own() -> None:
    """Make the GPU of this rank the current one. A collective call. Errors as in `choose`."""
    ranks: list[Seen] = [Seen("", ())] * dist.get_world_size()
    dist.all_gather_object(ranks, Seen(os.uname().nodename, visible()))
    chosen = choose(ranks)
    for rank, (seen, place) in enumerate(zip(ranks, chosen, strict=True)):
        log.info("rank %d on %s computes on GPU %s, its cuda:%d", rank, seen.host, seen.gpus[place], place)
    torch.cuda.set_device(chosen[dist.get_rank()])
