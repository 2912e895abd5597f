"""The epochs of a run: steps, what is told of them, validation, the checkpoint of the best, early stopping."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torchrec.distributed import DistributedModelParallel

from workers import checkpoint
from workers.journal import Journal
from workers.modules.ranker import Batch
from workers.results import CHECKPOINT, METRICS, VALID
from workers.scoring import judge
from workers.specs import BINARY, ITEM_ID, FeatureSchema, RunSpec, Task

log = logging.getLogger(__name__)
VALID_PAIRS = 2_000_000  # user-item pairs that an epoch's validation may score: bounds its cost on large catalogues
FALLBACK = "auc"  # picks the epoch where a split leaves nobody to rank for


@dataclass
class Loop:
    """Training under way on one rank. All ranks take the same calls in the same order.

    `batches(epoch)` gives exactly `steps` batches; `adam` is None where every weight is in a fused table.
    """

    run: Path
    dataset: Path
    spec: RunSpec
    schema: FeatureSchema
    distributed: DistributedModelParallel
    adam: torch.optim.Optimizer | None
    batches: Callable[[int], Iterator[Batch]]
    steps: int
    device: torch.device
    journal: Journal
    task: Task = BINARY
    seconds: float = 0.0
    rows: int = 0

    def fit(self) -> dict[str, Any]:
        """Train until the epochs are through or patience is; keep a checkpoint of the best. Returns cost and best epoch."""
        best, best_epoch, epoch = -float("inf"), 0, 0
        for epoch in range(1, self.spec.train.epochs + 1):
            self.train(epoch)
            found = self.validate(epoch)
            wanted = self.spec.network.selection_metric(self.task)
            metric = METRICS[wanted if wanted in found else FALLBACK]
            value = found.get(metric.key, float("nan")) * (1 if metric.better == "higher" else -1)
            if best_epoch == 0 or value > best:
                best, best_epoch = (value if np.isfinite(value) else best), epoch
                kept = {"spec": self.spec.model_dump(mode="json"), "schema": self.schema.model_dump(mode="json"), "valid": found}
                checkpoint.save(self.run / CHECKPOINT, self.distributed.state_dict(), epoch, kept)
            elif self.spec.train.patience is not None and epoch - best_epoch >= self.spec.train.patience:
                log.info("no better %s for %d epochs: stopping early", metric.label, self.spec.train.patience)
                break
        rate = self.rows / self.seconds
        return {"best_epoch": best_epoch, "epochs": epoch, "training_s": self.seconds, "rows": self.rows, "rows_per_s": rate}

    def train(self, epoch: int) -> None:
        """One pass; every so many steps the ranks agree on the mean loss and rank 0 tells it."""
        every = max(1, min(50, self.steps // 10))
        self.distributed.train()
        sums, since = torch.zeros(3, dtype=torch.float64), time.monotonic()  # loss times weight, weight, rows
        for step, batch in enumerate(self.batches(epoch), (epoch - 1) * self.steps + 1):
            if self.adam is not None:
                self.adam.zero_grad()
            loss, weight = self.distributed(batch.to(self.device))
            loss.backward()
            if self.adam is not None:
                self.adam.step()
            sums += torch.tensor([float(loss.detach()) * float(weight), float(weight), len(batch.label)], dtype=torch.float64)
            if step == 1:
                self.journal.event("first step")
            if step % every == 0 or step == epoch * self.steps:
                dist.all_reduce(sums)  # over the rows of all ranks
                self.tell(step, epoch, sums, time.monotonic() - since)
                sums, since = torch.zeros(3, dtype=torch.float64), time.monotonic()

    def tell(self, step: int, epoch: int, sums: torch.Tensor, elapsed: float) -> None:
        """Journal the mean loss and the rate since the last time; FloatingPointError when the loss is not finite."""
        loss, rows = float(sums[0] / sums[1].clamp(min=1e-12)), int(sums[2])
        self.seconds, self.rows = self.seconds + elapsed, self.rows + rows
        rate, epochs = rows / elapsed, self.spec.train.epochs
        self.journal.metrics({"train_loss": loss, "rows_per_s": rate}, step=step, epoch=epoch, rows=self.rows)
        left = (epochs * self.steps - step) / step * self.seconds if step > 10 else None
        self.journal.progress("training", step, epochs * self.steps, epoch=epoch, epochs=epochs, rows_per_s=rate, eta_s=left)
        if not np.isfinite(loss):
            raise FloatingPointError(f"The loss is {loss} at step {step}; lower the learning rates.")

    def validate(self, epoch: int) -> dict[str, float]:
        """The protocol on the validation split, for a bounded number of users."""
        limit = max(50, VALID_PAIRS // self.schema.feature(ITEM_ID).num_rows) if self.schema.can_rank else None
        model = self.distributed.module.model
        judged = judge(model, self.dataset, VALID, self.schema, probability=self.spec.network.is_probability, limit=limit)
        found = {name: value for name, value in judged.metrics.items() if name in METRICS}
        told = {f"valid_{name}": value for name, value in found.items()}
        self.journal.metrics(told, step=epoch * self.steps, epoch=epoch, rows=self.rows)
        log.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4f}" for name, value in told.items()))
        return found
