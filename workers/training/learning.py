"""One training from its first step to its last, on every rank: the network, its weights, its batches, its epochs."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.distributed as dist

from workers.artifacts import CHECKPOINT, checkpoint
from workers.batches import LearnedRows
from workers.models import FLOAT
from workers.networks import tables_on_meta
from workers.run import RESUMED, RunContext, RunSpec
from workers.training.loop import Loop
from workers.training.progress import NOTHING, Ends, Learned, Progress, Start, never
from workers.training.resuming import newest_of, resumed_progress, start_after, take_up, take_weights
from workers.training.sequence_feed import feed_of
from workers.training.sharding import DistributedModel, distribute
from workers.training.share import learned_of

if TYPE_CHECKING:
    from workers.batches import NumberedBlocks


class Trained(NamedTuple):
    """A network with the weights of its last epoch, on one of its ranks; its best ones are in `context.checkpoints`."""

    context: RunContext[RunSpec]
    model: DistributedModel
    learned: Learned
    parameters: int


def learn(context: RunContext[RunSpec], ends: Ends = never, stream: "NumberedBlocks | None" = None) -> Trained | None:
    """Train until the epochs are through, or patience is; None where training stopped on request. A collective call.

    Args:
        context: its spec is resolved.
        ends: says after an epoch whether to end there.
        stream: as in `Feed`.
    """
    journal = context.journal
    journal.progress("building the model", 0, 1, force=True)
    model, beginning = _build(context)
    journal.event("model built")
    journal.progress("reading the first rows", 0, 1, force=True)
    feed = feed_of(context, beginning.first_epoch, beginning.learned, stream)
    progress = take_up(context, model, feed, beginning.checkpoint) if beginning.checkpoint else beginning.progress(feed.steps)
    if context.attempt > 1:
        journal.event(RESUMED, step=progress.step)
    learned = Loop(context, model, feed, progress, ends).fit()
    return None if learned is None else Trained(context, model, learned, beginning.parameters)


def network_of(context: RunContext[RunSpec]) -> tuple[DistributedModel, LearnedRows, int]:
    """The network of a run with fresh weights, spread over the ranks. A collective call.

    Returns:
        It, what it learns from, and the number of its parameters.
    """
    spec, dataset = context.spec, context.dataset
    torch.manual_seed(spec.train.seed)  # the same on all ranks: dense weights must start equal
    with tables_on_meta():
        network = spec.network.build(dataset.schema, dataset.task)
    learned = learned_of(dataset, spec.train.user_share)
    if dataset.schema.has_items:
        network.learn_frequencies(torch.from_numpy(learned.by_item).float())
    parameters = sum(p.numel() for p in network.parameters())
    device = torch.device("cuda", torch.cuda.current_device()) if spec.train.device == "cuda" else torch.device("cpu")
    pairs = FLOAT * spec.network.pairs_of_step(spec.train.batch_size, spec.train.processes)
    return distribute(network, spec.train, device, pairs), learned, parameters


class _Beginning(NamedTuple):
    """A model before its first step."""

    parameters: int
    learned: LearnedRows
    first: Start = NOTHING  # of the run that is continued
    checkpoint: Path | None = None  # of this run, from an earlier attempt

    @property
    def first_epoch(self) -> int:
        return resumed_progress(self.checkpoint).first.epoch if self.checkpoint else self.first.epoch

    def progress(self, steps: int) -> Progress:
        """Nothing done. steps: of an epoch."""
        return Progress(first=self.first, step=self.first.epoch * steps, epoch=self.first.epoch)


def _build(context: RunContext[RunSpec]) -> tuple[DistributedModel, _Beginning]:
    """The network, spread over the ranks, with the weights that training begins or goes on with. A collective call."""
    spec, own = context.spec, newest_of(context)
    before = checkpoint.whole(context.folder.parent / spec.continues / CHECKPOINT) if spec.continues and not own else None
    model, learned, parameters = network_of(context)
    if weights := own or before:
        take_weights(weights, model)
    first = start_after(before) if before else NOTHING
    torch.manual_seed(spec.train.seed + 1 + dist.get_rank())  # dropout differs between ranks
    return model, _Beginning(parameters, learned, first, own)
