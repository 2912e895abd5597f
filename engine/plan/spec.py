"""What is planned: a run, with counts changed, on machines of one's own."""

from collections.abc import Mapping
from typing import Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from workers.run import RunSpec
from workers.specs import Spec, explain

AnySpec = TypeVar("AnySpec", bound=Spec)
MOST_RANKS = 1024
MOST_ROWS = 2**31 - 2  # of a vocabulary, beside the unknown row: rows are stored as int32
DEVICES = {"cuda": "GPU", "cpu": "CPU process"}


class Counts(Spec):
    """How much data there would be; what is left out stays as it is in the dataset."""

    users: int | None = Field(None, ge=1, le=MOST_ROWS, description="Users of train")
    items: int | None = Field(None, ge=1, le=MOST_ROWS, description="Items of train")
    interactions: int | None = Field(None, ge=1, le=10**15, description="Rows of all splits")
    features: dict[str, int] = Field({}, description="Values of other vocabularies, by name")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for name, count in self.features.items():
            if not 1 <= count <= MOST_ROWS:
                raise ValueError(f"{name} is {count:,}; choose 1 to {MOST_ROWS:,}, since rows of tables are stored as 32-bit integers.")
        return self


class Fleet(Spec):
    """The machines: as many ranks as there are devices."""

    hosts: int = Field(1, ge=1, le=MOST_RANKS, description="Machines")
    devices: int = Field(8, ge=1, le=64, title="Devices each", description="GPUs of a machine, or training processes of a machine on CPUs")
    device: Literal["cuda", "cpu"] = Field("cuda", description="What a rank computes on")
    memory_gb: float = Field(
        80.0, gt=0, le=100_000, title="Memory, GB", description="Memory of a GPU, or of a process on CPUs; 1 GB is 10^9 bytes"
    )
    price: float | None = Field(
        None, ge=0, le=1e9, title="Price an hour", description="Of a machine, in a currency of your own; empty: no money is counted"
    )

    @property
    def ranks(self) -> int:
        return self.hosts * self.devices

    @property
    def memory_bytes(self) -> int:
        return int(self.memory_gb * 1e9)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.ranks > MOST_RANKS:
            raise ValueError(f"{self.hosts:,} hosts of {self.devices} devices are {self.ranks:,} ranks; plan for {MOST_RANKS:,} or fewer.")
        return self


class Speed(Spec):
    """How fast a device is, and how often it reads the rows, where that is given by hand."""

    rows_per_s: float | None = Field(
        None,
        gt=0,
        le=1e12,
        title="Rows/s each",
        description="Rows that one device learns from in a second; empty: as measured by the run",
        json_schema_extra={"empty": "measured"},
    )
    epochs: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Passes over train; empty: as many as the run took, else as many as its spec allows",
        json_schema_extra={"empty": "measured"},
    )


class PlanSpec(Speed):
    """A plan that is asked for."""

    run: RunSpec
    counts: Counts = Counts()
    fleet: Fleet = Fleet()
    measured: str | None = Field(
        None, max_length=64, description="Id of the finished run whose speed and quality are taken; empty: the newest of this model here"
    )

    @property
    def run_there(self) -> RunSpec:
        """The run as it would be launched on these machines.

        Raises:
            ValueError: its settings and the device do not go together.
        """
        train = {"processes": self.fleet.ranks, "device": self.fleet.device, "local_mode": self.fleet.hosts == 1}
        given = self.run.model_dump(exclude={"search", "continues"})
        return _checked(RunSpec, given | {"train": given["train"] | train})


def plan_spec(run: RunSpec, given: Mapping[str, object]) -> PlanSpec:
    """A plan from raw values, as forms and commands have them.

    Args:
        given: the fields of a PlanSpec but the run; counts and fleet as mappings.

    Raises:
        ValueError: sentences on what is wrong with which value.
    """
    return _checked(PlanSpec, {"run": run, **given})


def _checked(spec: type[AnySpec], given: Mapping[str, object]) -> AnySpec:
    try:
        return spec.model_validate(given)
    except ValidationError as error:
        raise ValueError(explain(error)) from error
