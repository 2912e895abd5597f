"""The epochs of a run: steps and their reports, validation, checkpoints, early stopping, and stopping on request."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
import torch.distributed as dist

from workers.artifacts import CANCEL, KEEP, METRICS, STOPPED, VALID, Metric, checkpoint, write_json
from workers.evaluation import evaluate_network, users_to_validate
from workers.networks import Batch
from workers.run import RunContext, RunSpec, attempts
from workers.specs import ITEM_ID, TrainSpec
from workers.training.progress import Ends, Learned, Progress, finite, never
from workers.training.sharding import DistributedModel, optimizer_state
from workers.training.steps import Batches, steps_of

log = logging.getLogger(__name__)
FALLBACK = "auc"  # picks the epoch where a split has no users to rank for
REPORT_S = 5.0  # ranks that report less often than this do so after fewer steps: a wish to stop is seen at a report
NUMBERS = 6  # that ranks add up at a report: loss times weight, weight, rows, and what rank 0 wishes
WISHES = slice(3, NUMBERS)


@dataclass
class Loop:
    """Training under way on one rank. All ranks take the same calls in the same order, and decide alike.

    `begin`: nothing was done, or how far an earlier attempt of the run came.
    """

    context: RunContext[RunSpec]
    model: DistributedModel
    batches: Batches
    begin: Progress
    ends: Ends = never
    step: int = 0  # of the run, over all attempts
    epoch: int = 0  # the one under way, or the last one
    epoch_rows: int = 0
    scheduled: float = 0.0
    seconds: float = 0.0
    rows: int = 0
    best: float = -float("inf")
    best_epoch: int = 0
    losses: list[float] = field(default_factory=list)  # mean training loss of each epoch
    valid: list[float] = field(default_factory=list)  # the value of each epoch, as of `value`
    metric: Metric = METRICS[FALLBACK]  # the validation metric behind it
    stopped_early: bool = False
    concluded: bool = False  # whether it trains no more since somebody wants it measured as it is
    pruned: bool = False  # whether it trains no more since it is worse than others of its search

    def __post_init__(self) -> None:
        begin = self.begin
        self.step, self.epoch, self.epoch_rows, self.scheduled = begin.step, begin.epoch, begin.epoch_rows, begin.scheduled
        self.seconds, self.rows, self.best_epoch, self.stopped_early = begin.seconds, begin.rows, begin.best_epoch, begin.stopped_early
        self.best = -float("inf") if begin.best is None else begin.best
        self.losses, self.valid = ([float("nan") if one is None else one for one in values] for values in (begin.losses, begin.valid))
        self.every = max(1, min(50, self.batches.steps // 10))
        self.steps = steps_of(self.model, self.spec)
        self.first_step, self.saved_step, self.saved_s = self.step, self.step, time.monotonic()
        ahead = self.last_epoch - begin.epoch
        left = ahead * self.batches.steps + (0 if begin.done else self.batches.left(begin.epoch))
        self.last_step = self.step + left
        self.planned = begin.planned or float(self.spec.epochs * self.batches.steps)
        # with another number of ranks, a step is another part of what is left of the schedule
        self.pace = (self.planned - self.scheduled) / max(1, left)

    @property
    def spec(self) -> TrainSpec:
        return self.context.spec.train

    @property
    def last_epoch(self) -> int:
        return self.begin.first.epoch + self.spec.epochs

    def fit(self) -> Learned | None:
        """Train until the epochs are through or patience is; None where training stopped on request."""
        first = self.begin.first
        if first.epoch and not self.best_epoch:  # the weights that another run ended with are the best so far
            self.end(first.epoch, first.valid)
        self.concluded = self.step > 0 and attempts.current(self.context.folder).concludes
        if self.concluded and not self.best_epoch:
            self.end(self.epoch, self.validate(self.epoch))  # the weights of its first epoch so far are all there is
        for epoch in range(self.epoch + (1 if self.begin.done else 0), self.last_epoch + 1):
            if self.stopped_early or self.concluded or self.pruned:
                break
            if self.train(epoch) or self.end(epoch, self.validate(epoch)):
                return None
        return Learned(
            best_epoch=self.best_epoch,
            epochs=self.epoch,
            planned_epochs=self.last_epoch,
            training_s=first.seconds + self.seconds,
            rows=first.rows + self.rows,
            rows_per_s=self.rows / max(self.seconds, 1e-9),
            metric=self.metric.key,
            best=finite(self.best),
            valid=tuple(finite(value) for value in self.valid),
            losses=tuple(finite(value) for value in self.losses),
            stopped_early=self.stopped_early,
            concluded=self.concluded,
            pruned=self.pruned,
        )

    def train(self, epoch: int) -> bool:
        """One pass, or what is left of it; every so many steps the ranks agree on the mean loss and on what rank 0 wishes.

        Returns:
            Whether training stopped on request, after a checkpoint.
        """
        end, total = self._begin_epoch(epoch)
        self.model.module.train()
        batches = iter(self.batches(epoch))
        while self.step < end:
            since, sums = time.monotonic(), self._take_steps(batches, self._until_report(end))
            sums[WISHES] = self._wishes(time.monotonic() - since)
            dist.all_reduce(sums)  # over the rows of all ranks
            self.report(sums, time.monotonic() - since, total)
            save, stop, slow = sums[WISHES].bool().tolist()
            if self._act(save and self.step < end, stop, slow):
                return True
        assert next(batches, None) is None  # the reader ends its epoch
        return False

    def _until_report(self, end: int) -> int:
        """Steps until the ranks report: to a multiple of `every`, to the checkpoint that is due, or to the end of the epoch."""
        until_due = self.saved_step + self.spec.checkpoint_steps - self.step if self.spec.checkpoint_steps else end
        return max(1, min(self.every - self.step % self.every, end - self.step, until_due))

    def _take_steps(self, batches: Iterator[Batch], count: int) -> torch.Tensor:
        """Some steps. Their numbers are added up where they are computed, and read once: [NUMBERS] float64, the wishes 0."""
        sums = torch.zeros(2, dtype=torch.float64, device=self.model.device)
        first, rows = self.step, 0
        for step in self.steps(islice(batches, count), self._before_step):
            weight = step.weight.double()
            sums += torch.stack([step.loss.double() * weight, weight])
            rows += step.rows
            if self.step == self.first_step + 1:
                self.context.journal.event("first step")
            if self.step <= self.first_step + self.every:  # the first report of a loss may be minutes away
                self.say("training")
        assert self.step == first + count, "there are fewer batches than `left` says"
        return torch.cat([sums.cpu(), torch.tensor([rows] + [0] * (NUMBERS - 3), dtype=torch.float64)])

    def _before_step(self) -> None:
        self.step += 1
        self.scheduled += self.pace
        if self.spec.schedule != "constant" or self.scheduled - self.pace <= self.spec.warmup_steps:
            self.model.optimizers.set_rate(self.spec.rate(self.scheduled, self.planned))

    def _begin_epoch(self, epoch: int) -> tuple[int, int]:
        """The last step of an epoch, and its rows over all ranks."""
        if self.begin.done or epoch != self.begin.epoch:
            self.epoch_rows = 0
            self.losses.append(0.0)
        self.epoch, left = epoch, self.batches.left(epoch)
        return self.step + left, self.epoch_rows + round(left * self.batches.together)

    def _wishes(self, elapsed: float) -> torch.Tensor:
        """What rank 0 wishes, as 0 or 1 (others wish nothing): a checkpoint, to stop, and to report more often."""
        due = time.monotonic() - self.saved_s > 60 * self.spec.checkpoint_minutes
        due |= self.spec.checkpoint_steps is not None and self.step - self.saved_step >= self.spec.checkpoint_steps
        wishes = [due, self._asked_to_stop(), elapsed > REPORT_S] if dist.get_rank() == 0 else [False] * 3
        return torch.tensor(wishes, dtype=torch.float64)

    def _asked_to_stop(self) -> bool:
        try:
            return (self.context.folder / CANCEL).read_text().strip() == KEEP
        except OSError:
            return False

    def _act(self, save: bool, stop: bool, slow: bool) -> bool:
        """Do what rank 0 wishes; returns whether to stop. An epoch's end has a checkpoint of its own, after the validation."""
        if slow:
            self.every = max(1, self.every // 2)
        if save or stop:
            self.save(done=False)
        if stop:
            self.stop()
        return stop

    def stop(self) -> None:
        """Say that the ranks end here because they were asked to, with a checkpoint of this step."""
        log.info("stopping at step %d, as asked; its checkpoint is kept", self.step)
        if dist.get_rank() == 0:
            self.context.refuse_older()
            write_json(self.context.folder / STOPPED, {"attempt": self.context.attempt, "step": self.step, "epoch": self.epoch})

    def report(self, sums: torch.Tensor, elapsed: float, total: int) -> None:
        """Journal the mean loss and the rate since the last time; FloatingPointError when the loss is not finite.

        Args:
            sums: loss times weight, weight and rows, over the ranks. total: rows of the epoch.
        """
        loss, rows = float(sums[0] / sums[1].clamp(min=1e-12)), int(sums[2])
        self.seconds, self.rows, self.epoch_rows = self.seconds + elapsed, self.rows + rows, self.epoch_rows + rows
        self.losses[-1] += loss * rows / total
        rate, first, step = rows / elapsed, self.begin.first, self.step
        self.context.journal.metrics({"train_loss": loss, "rows_per_s": rate}, step=step, epoch=self.epoch, rows=first.rows + self.rows)
        each = self.batches.together
        left = (self.last_step - step) * each / self.rows * self.seconds if self.rows > 10 * each else None
        self.say("training", rate, left)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"The loss is {loss} at step {step}; lower the learning rates, or look for extreme values in the data."
            )

    def say(self, phase: str, rate: float | None = None, left: float | None = None) -> None:
        """Replace the progress of the run: what it does at this step, in rows per second, with the seconds left."""
        self.context.journal.progress(
            phase, self.step, self.last_step, epoch=self.epoch, epochs=self.last_epoch, rows_per_s=rate, eta_s=left
        )

    def validate(self, epoch: int) -> dict[str, float]:
        """The protocol on the validation split, for a bounded number of users."""
        self.say("validating")
        spec, dataset = self.context.spec, self.context.dataset
        limit = users_to_validate(dataset.schema.feature(ITEM_ID).num_rows - 1) if dataset.schema.can_rank else None
        evaluation = evaluate_network(
            self.model.network, dataset, VALID, predicts_label=spec.network.predicts_label, protocol=spec.protocol, limit=limit
        )
        metrics = {name: value for name, value in evaluation.metrics.items() if name in METRICS}
        named = {f"valid_{name}": value for name, value in metrics.items()}
        self.context.journal.metrics(named, step=self.step, epoch=epoch, rows=self.begin.first.rows + self.rows)
        log.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4f}" for name, value in named.items()))
        return metrics

    def value(self, metrics: dict[str, float]) -> float:
        """The validation metric that picks the epoch, signed so that more is better; nan where it is undefined."""
        wanted = self.context.spec.network.selection_metric(self.context.dataset.task)
        self.metric = METRICS[wanted if wanted in metrics else FALLBACK]
        return metrics.get(self.metric.key, float("nan")) * (1 if self.metric.better == "higher" else -1)

    def end(self, epoch: int, metrics: dict[str, float]) -> bool:
        """Judge an epoch by its metrics on validation, and write its checkpoint; returns whether to stop on request."""
        value = self.value(metrics)
        self.valid.append(value)
        better = self.best_epoch == 0 or value > self.best
        if better:
            self.best, self.best_epoch = (value if np.isfinite(value) else self.best), epoch
        elif self.spec.patience is not None and epoch - self.best_epoch >= self.spec.patience:
            log.info("no better validation for %d epochs: stopping early", self.spec.patience)
            self.stopped_early = True
        self.save(done=True, metrics=metrics, best_epoch=epoch if better else None)
        leads = dist.get_rank() == 0
        wishes = torch.tensor([leads and self._asked_to_stop(), leads and self.ends(epoch, value)], dtype=torch.float32)
        dist.all_reduce(wishes)
        asked, self.pruned = wishes.bool().tolist()
        if asked:
            self.stop()
        return bool(asked)

    def save(self, *, done: bool, metrics: dict[str, float] | None = None, best_epoch: int | None = None) -> None:
        """Write a checkpoint of this step. done: whether the epoch is through. best_epoch: the epoch, where it is the best so far."""
        context, first = self.context, self.begin.first
        facts = {
            "epoch": self.epoch,
            "spec": context.spec.model_dump(mode="json"),
            "schema": context.dataset.schema.model_dump(mode="json"),
            "valid": {name: value for name, value in (metrics or {}).items() if np.isfinite(value)},
            "seconds": first.seconds + self.seconds,
            "rows": first.rows + self.rows,
            "progress": self.progress(done).model_dump(mode="json"),
        }
        state = self.model.module.state_dict() | optimizer_state(self.model.optimizers)
        checkpoint.save(
            context.checkpoints,
            state,
            self.step,
            facts,
            self.batches.position(done),
            best_epoch=best_epoch,
            attempt=context.attempt,
            fence=context.refuse_older,
        )
        self.saved_step, self.saved_s = self.step, time.monotonic()

    def progress(self, done: bool) -> Progress:
        """How far the run has come. done: whether the epoch is through."""
        return Progress(
            first=self.begin.first,
            step=self.step,
            epoch=self.epoch,
            done=done,
            epoch_rows=self.epoch_rows,
            scheduled=self.scheduled,
            planned=self.planned,
            best=finite(self.best),
            best_epoch=self.best_epoch,
            valid=tuple(finite(value) for value in self.valid),
            losses=tuple(finite(value) for value in self.losses),
            seconds=self.seconds,
            rows=self.rows,
            stopped_early=self.stopped_early,
        )
