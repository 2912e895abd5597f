"""The epochs of a run: steps and their reports, validation, the checkpoint of the best epoch, early stopping."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist

from workers.artifacts import CHECKPOINT, METRICS, VALID, Metric, checkpoint
from workers.evaluation import evaluate_network, users_to_validate
from workers.networks import Batch
from workers.run import RunContext, RunSpec
from workers.specs import ITEM_ID, TrainSpec
from workers.training.sharding import DistributedModel, optimizer_state

log = logging.getLogger(__name__)
FALLBACK = "auc"  # picks the epoch where a split has no users to rank for


class Start(NamedTuple):
    """Where training begins: the epoch of the weights, the seconds and rows spent on them, and their metrics on validation."""

    epoch: int = 0
    seconds: float = 0.0
    rows: int = 0
    valid: dict[str, float] = {}  # noqa: RUF012 (never written to)


NOTHING = Start()


@dataclass
class Loop:
    """Training under way on one rank. All ranks take the same calls in the same order.

    `batches(epoch)` gives exactly `steps` batches. A run that continues another starts from `first`.
    """

    context: RunContext[RunSpec]
    model: DistributedModel
    batches: Callable[[int], Iterator[Batch]]
    steps: int
    first: Start = NOTHING
    seconds: float = 0.0
    rows: int = 0
    losses: list[float] = field(default_factory=list)  # mean training loss of each epoch
    valid: list[float] = field(default_factory=list)  # the value of each epoch, as of `value`
    metric: Metric = METRICS[FALLBACK]  # the validation metric behind it
    epoch: int = 0  # the last one
    stopped_early: bool = False

    @property
    def spec(self) -> TrainSpec:
        return self.context.spec.train

    def fit(self) -> dict[str, Any]:
        """Train until the epochs are through or patience is; keep a checkpoint of the best. Returns cost and best epoch."""
        best, best_epoch, epoch = -float("inf"), 0, self.first.epoch
        if self.first.epoch:
            best, best_epoch = self.value(self.first.valid), self.first.epoch
            self.valid.append(best)
            self.keep(self.first.epoch, self.first.valid)
        for epoch in range(self.first.epoch + 1, self.first.epoch + self.spec.epochs + 1):
            self.train(epoch)
            metrics = self.validate(epoch)
            value, self.epoch = self.value(metrics), epoch
            self.valid.append(value)
            if best_epoch == 0 or value > best:
                best, best_epoch = (value if np.isfinite(value) else best), epoch
                self.keep(epoch, metrics)
            elif self.spec.patience is not None and epoch - best_epoch >= self.spec.patience:
                log.info("no better validation for %d epochs: stopping early", self.spec.patience)
                self.stopped_early = True
                break
        return {
            "best_epoch": best_epoch,
            "epochs": epoch,
            "training_s": self.first.seconds + self.seconds,
            "rows": self.first.rows + self.rows,
            "rows_per_s": self.rows / max(self.seconds, 1e-9),
        }

    def value(self, metrics: dict[str, float]) -> float:
        """The validation metric that picks the epoch, signed so that more is better; nan where it is undefined."""
        wanted = self.context.spec.network.selection_metric(self.context.dataset.task)
        self.metric = METRICS[wanted if wanted in metrics else FALLBACK]
        return metrics.get(self.metric.key, float("nan")) * (1 if self.metric.better == "higher" else -1)

    def keep(self, epoch: int, metrics: dict[str, float]) -> None:
        """Write the checkpoint of an epoch."""
        spent = {"seconds": self.first.seconds + self.seconds, "rows": self.first.rows + self.rows}
        context, schema = self.context, self.context.dataset.schema
        facts = {"spec": context.spec.model_dump(mode="json"), "schema": schema.model_dump(mode="json"), "valid": metrics, **spent}
        state = self.model.module.state_dict() | optimizer_state(self.model.optimizers)
        checkpoint.save(context.folder / CHECKPOINT, state, epoch, facts)

    def train(self, epoch: int) -> None:
        """One pass; every so many steps the ranks agree on the mean loss and rank 0 reports it."""
        every = max(1, min(50, self.steps // 10))
        first, last = self.first.epoch * self.steps, (self.first.epoch + self.spec.epochs) * self.steps
        module, optimizers, _, device = self.model
        module.train()
        self.losses.append(0.0)
        sums, since = torch.zeros(3, dtype=torch.float64), time.monotonic()  # loss times weight, weight, rows
        for step, batch in enumerate(self.batches(epoch), (epoch - 1) * self.steps + 1):
            if self.spec.schedule != "constant" or step - first <= self.spec.warmup_steps + 1:
                optimizers.set_rate(self.spec.rate(step - first, last - first))
            optimizers.zero_grad()
            with torch.autocast("cuda", torch.bfloat16, enabled=self.spec.precision == "bf16"):
                loss, weight = module(batch.to(device))
            loss.backward()
            optimizers.step()
            rows = len(batch.label) - batch.sampled
            sums += torch.tensor([float(loss.detach()) * float(weight), float(weight), rows], dtype=torch.float64)
            if step == first + 1:
                self.context.journal.event("first step")
            if step % every == 0 or step == epoch * self.steps:
                dist.all_reduce(sums)  # over the rows of all ranks
                self.report(step, epoch, sums, time.monotonic() - since)
                sums, since = torch.zeros(3, dtype=torch.float64), time.monotonic()

    def report(self, step: int, epoch: int, sums: torch.Tensor, elapsed: float) -> None:
        """Journal the mean loss and the rate since the last time; FloatingPointError when the loss is not finite."""
        loss, rows = float(sums[0] / sums[1].clamp(min=1e-12)), int(sums[2])
        self.seconds, self.rows = self.seconds + elapsed, self.rows + rows
        self.losses[-1] += loss * rows / (self.steps * self.spec.batch_size * dist.get_world_size())
        rate, epochs = rows / elapsed, self.first.epoch + self.spec.epochs
        self.context.journal.metrics({"train_loss": loss, "rows_per_s": rate}, step=step, epoch=epoch, rows=self.first.rows + self.rows)
        own = step - self.first.epoch * self.steps
        left = (epochs * self.steps - step) / own * self.seconds if own > 10 else None
        self.context.journal.progress("training", step, epochs * self.steps, epoch=epoch, epochs=epochs, rows_per_s=rate, eta_s=left)
        if not np.isfinite(loss):
            raise FloatingPointError(f"The loss is {loss} at step {step}; lower the learning rates.")

    def validate(self, epoch: int) -> dict[str, float]:
        """The protocol on the validation split, for a bounded number of users."""
        spec, dataset = self.context.spec, self.context.dataset
        limit = users_to_validate(dataset.schema.feature(ITEM_ID).num_rows - 1) if dataset.schema.can_rank else None
        evaluation = evaluate_network(
            self.model.network, dataset, VALID, predicts_label=spec.network.predicts_label, protocol=spec.protocol, limit=limit
        )
        metrics = {name: value for name, value in evaluation.metrics.items() if name in METRICS}
        named = {f"valid_{name}": value for name, value in metrics.items()}
        self.context.journal.metrics(named, step=epoch * self.steps, epoch=epoch, rows=self.first.rows + self.rows)
        log.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4f}" for name, value in named.items()))
        return metrics
