"""What a Spark cluster gives a run, and what runs there."""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from workers.specs import Spec

LONGEST_NAME = 60
MASTER = re.compile(r"local(\[(\*|\d+)(,\d+)?\])?|local-cluster\[\d+,\d+,\d+\]|spark://.+|yarn|k8s://.+")
OURS = ("spark.master", "spark.submit.deployMode")  # options that say what another field says, or that cannot hold here


class Compute(Spec):
    """One way to compute: the settings of Spark that a run is started with. Options in `spark` win over all that is derived here."""

    name: str = Field("", max_length=LONGEST_NAME, description="Name under which the workspace keeps it")
    master: str = Field("local[*]", description="Spark master: local[*], spark://host:port, yarn, k8s://…")
    executors: int | None = Field(None, ge=1, le=100_000, description="Executors of a preparation; empty: all that the cluster gives")
    cores: int | None = Field(None, ge=1, le=1024, description="Cores of an executor; empty: as the cluster is set up")
    memory_gb: float | None = Field(
        None, gt=0, le=100_000, description="Memory of an executor's JVM, in GB; empty: as the cluster is set up"
    )
    gpus: int = Field(1, ge=1, le=64, description="GPUs of an executor, for runs on cuda")
    wait_minutes: float = Field(5.0, gt=0, le=10_000, description="Minutes to wait for executors before a run is given up")
    environment: Path | None = Field(
        None, description="Packed Python environment (`recbench pack-environment`, conda-pack) that executors unpack; empty: none"
    )
    python: str | None = Field(
        None, description="Python of the executors, a path there; empty: of the environment, else the driver's own path"
    )
    spark: dict[str, str] = Field(
        default_factory=dict, description="Options of Spark of your own, which win: spark.executor.memoryOverhead …"
    )

    @field_validator("master")
    @classmethod
    def _known_master(cls, value: str) -> str:
        if not MASTER.fullmatch(value.strip()):
            raise ValueError(f"{value[:80]!r} is no Spark master; give local[*], spark://host:port, yarn or k8s://https://host:port.")
        return value.strip()

    @field_validator("spark")
    @classmethod
    def _options_of_spark(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not name.startswith("spark."):
                raise ValueError(f"{name[:80]!r} is no option of Spark; its options begin with spark.")
            if name in OURS:
                raise ValueError(f"{name} cannot be set among the options; the field master says it.")
        return value

    @model_validator(mode="after")
    def _one_python(self) -> Self:
        if self.environment is not None and self.python is not None:
            raise ValueError("environment and python are both given; executors run the Python of the environment: leave python empty.")
        return self

    @property
    def is_cluster(self) -> bool:
        """Whether tasks run in executors, which are processes of their own, perhaps on other machines."""
        return not (self.master == "local" or self.master.startswith("local["))

    @property
    def in_words(self) -> str:
        """What it is, for people: `spark://host:7077 · 8 executors of 16 cores and 64 GB`."""
        if not self.is_cluster:
            return "this machine" if self.master == "local[*]" else f"this machine · {self.master}"
        size = " and ".join(
            part for part in (f"{self.cores} cores" if self.cores else "", f"{self.memory_gb:g} GB" if self.memory_gb else "") if part
        )
        many = f"{self.executors:,} executors" if self.executors else "executors" if size else ""
        return " · ".join(part for part in (self.master, f"{many} of {size}" if size else many) if part)
