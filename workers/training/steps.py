"""The steps of a training: one batch each, from its rows to new weights. The device decides how they follow each other.

On CPUs one after another. On GPUs TorchRec's pipeline overlaps them: while a step computes, the ids of the next batch are on their way to
the ranks that hold their rows, and the batch after it is copied from pinned memory. Nothing waits for the GPU until somebody reads a loss.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torchrec.distributed.train_pipeline import (
    ArgInfo,
    ArgInfoStepFactory,
    CallArgs,
    TrainPipelineSparseDist,
    _override_input_dist_forwards,
)
from torchrec.distributed.train_pipeline.runtime_forwards import PipelinedForward
from torchrec.distributed.types import ShardedModule
from torchrec.streamable import Pipelineable

from workers.artifacts import checkpoint
from workers.networks import Batch
from workers.specs import TrainSpec
from workers.training.sharding import DistributedModel, Optimizers

Pipelineable.register(Batch)
BeforeStep = Callable[[], None]  # such as the learning rate of the step


class Batches(Protocol):
    """The batches of this rank, epoch by epoch, as `workers.training.feed.Feed` gives them."""

    steps: int  # of a whole epoch
    together: float  # rows of a step, over all ranks; of sequences on average

    def left(self, epoch: int) -> int: ...

    def __call__(self, epoch: int) -> Iterator[Batch]: ...

    def position(self, done: bool) -> checkpoint.Position: ...


class Step(NamedTuple):
    """What came of a step; numbers are on the device, and reading them waits for it."""

    loss: Tensor  # scalar, of the batch
    weight: Tensor  # scalar, the sum of the weights that it is the mean over
    rows: int


class Steps:
    """Steps one after another."""

    def __init__(self, model: DistributedModel, spec: TrainSpec) -> None:
        self.model, self.bf16 = model, spec.precision == "bf16"

    def __call__(self, batches: Iterator[Batch], before: BeforeStep) -> Iterator[Step]:
        """Train on some batches; a step is over when it is returned, or under way on a GPU. before: called before each step."""
        optimizers = self.model.optimizers
        for batch in batches:
            before()
            optimizers.zero_grad()
            loss, step = self.forward(batch.to(self.model.device))
            loss.backward()
            optimizers.step()
            yield step

    def forward(self, batch: Batch) -> tuple[Tensor, Step]:
        """The loss, for its backward, and what is kept of it."""
        with torch.autocast("cuda", torch.bfloat16, enabled=self.bf16):
            loss, weight = self.model.module(batch)
        return loss, Step(loss.detach(), weight.detach(), len(batch.label) - batch.sampled)


class PipelinedSteps(Steps):
    """Steps that overlap. The pipeline is empty before the first batch of a call and after its last, as a checkpoint needs it."""

    def __init__(self, model: DistributedModel, spec: TrainSpec) -> None:
        super().__init__(model, spec)
        self.optimizers = _EachStep(model.optimizers)
        self.pipeline = _Pipeline(model, self.optimizers, self.forward)

    def __call__(self, batches: Iterator[Batch], before: BeforeStep) -> Iterator[Step]:
        self.optimizers.before = before
        prepared = map(self._prepare, batches)
        try:
            while True:
                yield self.pipeline.progress(prepared)
        except StopIteration:
            self.pipeline.detach()  # whoever evaluates looks up without it

    def _prepare(self, batch: Batch) -> Batch:
        """What a GPU would be waited for is done on the CPU: leaving likes out, and counting the ids of each feature."""
        batch = self.model.network.prepare(batch)
        for ids in (batch.sparse, batch.whole):
            ids.sync()
        return batch.pin_memory() if self.model.device.type == "cuda" else batch


@dataclass
class _EachStep:
    """What the pipeline takes for its optimizer: it clears gradients first in every step."""

    optimizers: Optimizers
    before: BeforeStep = lambda: None

    def zero_grad(self) -> None:
        self.before()
        self.optimizers.zero_grad()

    def step(self) -> None:
        self.optimizers.step()


class _Pipeline(TrainPipelineSparseDist):
    """TorchRec's pipeline for our networks, whose losses torch.fx cannot trace: `looks_up_batch` says what it would find out.

    Tables that are not looked up by the batch's own ids send theirs when they are looked up.
    """

    def __init__(self, model: DistributedModel, optimizers: _EachStep, forward: Callable[[Batch], tuple[Tensor, Step]]) -> None:
        super().__init__(model.module, optimizers, model.device, custom_model_fwd=forward)
        self.network = model.network

    def _pipeline_model(self, batch: Batch, context: Any, pipelined_forward: type[PipelinedForward] = PipelinedForward) -> None:  # noqa: ANN401
        ebc, self._pipelined_modules, self._original_forwards = self.network.ebc, [], []
        if self.network.looks_up_batch and isinstance(ebc, ShardedModule):
            given = CallArgs(args=[ArgInfo(steps=[ArgInfoStepFactory.get_attr("sparse")])], kwargs={})
            self._original_forwards.append(ebc.forward)
            ebc.forward = pipelined_forward("ebc", given, ebc, context, self._data_dist_stream)
            self._pipelined_modules.append(ebc)
        self.start_sparse_data_dist(batch, context)  # also makes what sends ids, which the next line needs
        self._original_kjt_dist_forwards = _override_input_dist_forwards(self._pipelined_modules)


def steps_of(model: DistributedModel, spec: TrainSpec) -> Steps:
    """The steps for the device of a model."""
    return PipelinedSteps(model, spec) if model.device.type == "cuda" else Steps(model, spec)
