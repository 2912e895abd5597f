"""The epochs of a run: steps, what is told of them, validation, the checkpoint of the best, early stopping."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torchrec.distributed import DistributedModelParallel

from workers.artifacts import CHECKPOINT, METRICS, VALID, checkpoint
from workers.evaluation import evaluate_network, users_to_validate
from workers.networks import Batch
from workers.run import Journal, RunSpec
from workers.specs import ITEM_ID, FeatureSchema, Task
from workers.training.sharding import Optimizers, optimizer_state

log = logging.getLogger(__name__)
FALLBACK = "auc"  # picks the epoch where a split leaves nobody to rank for


class Start(NamedTuple):
    """Where training begins: the epoch of the weights, what was spent on them, and what they reached on validation."""

    epoch: int = 0
    seconds: float = 0.0
    rows: int = 0
    valid: dict[str, float] = {}  # noqa: RUF012 (never written to)


NOTHING = Start()


@dataclass
class Loop:
    """Training under way on one rank. All ranks take the same calls in the same order.

    `batches(epoch)` gives exactly `steps` batches. A run that goes on where another ended starts from `first`, the epoch of its weights,
    with the rows and seconds spent on them and what they reached on validation.
    """

    run: Path
    dataset: Path
    spec: RunSpec
    task: Task
    schema: FeatureSchema
    distributed: DistributedModelParallel
    optimizers: Optimizers
    batches: Callable[[int], Iterator[Batch]]
    steps: int
    device: torch.device
    journal: Journal
    first: Start = NOTHING
    seconds: float = 0.0
    rows: int = 0
    losses: list[float] = field(default_factory=list)

    def fit(self) -> dict[str, Any]:
        """Train until the epochs are through or patience is; keep a checkpoint of the best. Returns cost and best epoch."""
        best, best_epoch, epoch = -float("inf"), 0, self.first.epoch
        if self.first.epoch:
            best, best_epoch = self.value(self.first.valid), self.first.epoch
            self.keep(self.first.epoch, self.first.valid)
        for epoch in range(self.first.epoch + 1, self.first.epoch + self.spec.train.epochs + 1):
            self.train(epoch)
            found = self.validate(epoch)
            value = self.value(found)
            if best_epoch == 0 or value > best:
                best, best_epoch = (value if np.isfinite(value) else best), epoch
                self.keep(epoch, found)
            elif self.spec.train.patience is not None and epoch - best_epoch >= self.spec.train.patience:
                log.info("no better validation for %d epochs: stopping early", self.spec.train.patience)
                break
        return {
            "best_epoch": best_epoch,
            "epochs": epoch,
            "training_s": self.first.seconds + self.seconds,
            "rows": self.first.rows + self.rows,
            "rows_per_s": self.rows / max(self.seconds, 1e-9),
        }

    def value(self, found: dict[str, float]) -> float:
        """What picks the epoch: more is better."""
        wanted = self.spec.network.selection_metric(self.task)
        metric = METRICS[wanted if wanted in found else FALLBACK]
        return found.get(metric.key, float("nan")) * (1 if metric.better == "higher" else -1)

    def keep(self, epoch: int, found: dict[str, float]) -> None:
        """Write the checkpoint of an epoch."""
        spent = {"seconds": self.first.seconds + self.seconds, "rows": self.first.rows + self.rows}
        facts = {"spec": self.spec.model_dump(mode="json"), "schema": self.schema.model_dump(mode="json"), "valid": found, **spent}
        state = self.distributed.state_dict() | optimizer_state(self.optimizers)
        checkpoint.save(self.run / CHECKPOINT, state, epoch, facts)

    def train(self, epoch: int) -> None:
        """One pass; every so many steps the ranks agree on the mean loss and rank 0 tells it."""
        every = max(1, min(50, self.steps // 10))
        first, last = self.first.epoch * self.steps, (self.first.epoch + self.spec.train.epochs) * self.steps
        self.distributed.train()
        self.losses.append(0.0)
        sums, since = torch.zeros(3, dtype=torch.float64), time.monotonic()  # loss times weight, weight, rows
        for step, batch in enumerate(self.batches(epoch), (epoch - 1) * self.steps + 1):
            if self.spec.train.schedule != "constant" or step - first <= self.spec.train.warmup_steps + 1:
                self.optimizers.set_rate(self.spec.train.rate(step - first, last - first))
            self.optimizers.zero_grad()
            with torch.autocast("cuda", torch.bfloat16, enabled=self.spec.train.precision == "bf16"):
                loss, weight = self.distributed(batch.to(self.device))
            loss.backward()
            self.optimizers.step()
            rows = len(batch.label) - batch.sampled
            sums += torch.tensor([float(loss.detach()) * float(weight), float(weight), rows], dtype=torch.float64)
            if step == first + 1:
                self.journal.event("first step")
            if step % every == 0 or step == epoch * self.steps:
                dist.all_reduce(sums)  # over the rows of all ranks
                self.tell(step, epoch, sums, time.monotonic() - since)
                sums, since = torch.zeros(3, dtype=torch.float64), time.monotonic()

    def tell(self, step: int, epoch: int, sums: torch.Tensor, elapsed: float) -> None:
        """Journal the mean loss and the rate since the last time; FloatingPointError when the loss is not finite."""
        loss, rows = float(sums[0] / sums[1].clamp(min=1e-12)), int(sums[2])
        self.seconds, self.rows = self.seconds + elapsed, self.rows + rows
        self.losses[-1] += loss * rows / (self.steps * self.spec.train.batch_size * dist.get_world_size())
        rate, epochs = rows / elapsed, self.first.epoch + self.spec.train.epochs
        self.journal.metrics({"train_loss": loss, "rows_per_s": rate}, step=step, epoch=epoch, rows=self.first.rows + self.rows)
        own = step - self.first.epoch * self.steps
        left = (epochs * self.steps - step) / own * self.seconds if own > 10 else None
        self.journal.progress("training", step, epochs * self.steps, epoch=epoch, epochs=epochs, rows_per_s=rate, eta_s=left)
        if not np.isfinite(loss):
            raise FloatingPointError(f"The loss is {loss} at step {step}; lower the learning rates.")

    def validate(self, epoch: int) -> dict[str, float]:
        """The protocol on the validation split, for a bounded number of users."""
        limit = users_to_validate(self.schema.feature(ITEM_ID).num_rows - 1) if self.schema.can_rank else None
        model = self.distributed.module.model
        protocol, foretells = self.spec.protocol, not self.spec.network.learns_choice
        judged = evaluate_network(
            model, self.dataset, VALID, self.schema, task=self.task, foretells=foretells, protocol=protocol, limit=limit
        )
        found = {name: value for name, value in judged.metrics.items() if name in METRICS}
        told = {f"valid_{name}": value for name, value in found.items()}
        self.journal.metrics(told, step=epoch * self.steps, epoch=epoch, rows=self.first.rows + self.rows)
        log.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4f}" for name, value in told.items()))
        return found
