"""How a network is trained: everything about a run that is not the data or the architecture."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from workers.specs.search import Choices, Range, searched
from workers.specs.spec import MORE, Spec

Sharding = Literal["table_wise", "row_wise", "column_wise", "data_parallel"]
SHARDINGS = ("table_wise", "row_wise", "column_wise", "data_parallel")


class TrainSpec(Spec):
    """Everything about a run that is not the data or the architecture."""

    epochs: int = Field(
        40, ge=1, le=1000, description="Maximum number of passes over the training split; early stopping may end the run sooner"
    )
    batch_size: int = Field(
        1024,
        ge=2,
        le=1 << 20,
        description="Rows that each process reads in a step",
        json_schema_extra=searched(Choices(choices=(256, 1024, 4096))),
    )
    processes: int = Field(1, ge=1, le=1024, description="Training processes (ranks) that TorchDistributor starts")
    table_learning_rate: float | None = Field(
        None,
        gt=0,
        le=10,
        description="Learning rate of the embedding tables; empty: the model's default",
        json_schema_extra=searched(Range(low=0.01, high=0.3, log=True)),
    )
    table_epsilon: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Epsilon of Adagrad in the tables: a larger one makes the first updates of rare rows smaller, so that a high learning "
        "rate suits rare and frequent rows alike; empty: the model's default",
        json_schema_extra=MORE,
    )
    dense_learning_rate: float = Field(
        0.001,
        gt=0,
        le=10,
        description="Learning rate of all other weights",
        json_schema_extra=searched(Range(low=0.0001, high=0.01, log=True)),
    )
    patience: int | None = Field(
        3, ge=1, description="Stop after this many epochs without a better validation metric; empty: never stop early"
    )
    seed: int = Field(1, ge=0, lt=2**31, description="Seed of weights, shuffling and dropout", json_schema_extra=MORE)
    user_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the users whose rows of train are learned from, for a learning curve: those of a smaller share are all in "
        "every larger one. Everybody's likes stay known when lists are made",
        json_schema_extra=MORE,
    )
    table_optimizer: Literal["rowwise_adagrad", "adagrad", "adam", "sgd"] = Field(
        "rowwise_adagrad",
        description="Optimizer of the tables, fused into the backward pass; adam needs cuda, or data_parallel sharding",
        json_schema_extra=MORE,
    )
    dense_optimizer: Literal["adam", "adamw"] = Field("adam", description="Optimizer of all other weights", json_schema_extra=MORE)
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="Weight decay of all weights outside the tables (decoupled with adamw)", json_schema_extra=MORE
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="Learning rates after the warm-up: constant, or down to 0 over all epochs", json_schema_extra=MORE
    )
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rates rise from 0", json_schema_extra=MORE)
    gradient_clip: float | None = Field(
        None,
        gt=0,
        description="Maximum norm of the gradient of all weights outside the tables; empty: no clipping",
        json_schema_extra=MORE,
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="Arithmetic of the network on a GPU: bf16 is faster; tables and losses stay in fp32", json_schema_extra=MORE
    )
    sharding: Literal["auto", "table_wise", "row_wise", "column_wise", "data_parallel"] = Field(
        "auto",
        description="How tables are split over processes; auto: whole tables on CPUs, else as TorchRec's planner decides",
        json_schema_extra=MORE,
    )
    shared_tables: bool = Field(
        True,
        description="On CPUs: processes of one host look up tables and average gradients in memory that they share, which is faster; off: "
        "TorchRec's own way",
        json_schema_extra=MORE,
    )
    table_sharding: tuple[str, ...] = Field(
        (), description="Sharding of single tables, such as user_id=row_wise, genres=data_parallel", json_schema_extra=MORE
    )
    local_mode: bool = Field(
        True,
        description="Ranks run beside the driver; off: as barrier tasks on the Spark cluster's executors",
        json_schema_extra=MORE,
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="cpu uses gloo, cuda uses NCCL and one GPU per process", json_schema_extra=MORE
    )
    timeout_s: int = Field(
        120, ge=10, le=7200, description="Seconds that a rank waits for another before the run fails", json_schema_extra=MORE
    )
    checkpoint_minutes: float = Field(
        10.0,
        gt=0,
        le=1440,
        description="Minutes between checkpoints within an epoch",
        json_schema_extra=MORE,
    )
    checkpoint_steps: int | None = Field(
        None, ge=1, description="Steps between checkpoints within an epoch; empty: by minutes only", json_schema_extra=MORE
    )
    retries: int = Field(
        1,
        ge=0,
        le=10,
        description="Attempts that may follow by themselves, from the newest checkpoint, when a process was killed or a host lost; never "
        "after an error of the run's own",
        json_schema_extra=MORE,
    )

    @property
    def sharding_of(self) -> dict[str, str]:
        """Table -> the sharding that `table_sharding` asks for."""
        return dict(entry.split("=", 1) for entry in self.table_sharding)  # type: ignore[misc]

    def rate(self, step: float, steps: float) -> float:
        """The factor of the learning rates at a step (from 1) of `steps` in all; that of the last step is above 0.

        Steps of a run that goes on with another number of ranks are fractions of those that it began with.
        """
        if step <= self.warmup_steps:
            return step / self.warmup_steps
        left = min(1, 1 - (step - self.warmup_steps - 1) / max(1, steps - self.warmup_steps))
        return {"constant": 1.0, "linear": left, "cosine": 0.5 * (1 - math.cos(math.pi * left))}[self.schedule]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for entry in self.table_sharding:
            name, _, kind = entry.partition("=")
            if not name or kind not in SHARDINGS:
                raise ValueError(f"table_sharding has {entry[:80]!r}; write table=sharding, sharding being one of {', '.join(SHARDINGS)}.")
        shardings = {self.sharding, *self.sharding_of.values()}
        if self.device == "cpu" and self.table_optimizer == "adam" and shardings != {"data_parallel"}:
            raise ValueError(
                "table_optimizer is adam, which fbgemm has no CPU kernel for; choose rowwise_adagrad or adagrad, device cuda, or "
                "sharding data_parallel (slower: gradients of whole tables)."
            )
        if self.device == "cpu" and self.precision != "fp32":
            raise ValueError(f"precision is {self.precision}, which is for GPUs alone; choose fp32, or device cuda.")
        return self


class Sampling(Spec):
    """Items drawn from the catalogue at each step, as candidates for all of its rows."""

    draw: Literal["uniform", "popularity"]
    candidates: int
