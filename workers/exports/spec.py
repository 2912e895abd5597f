"""An export of lists: the top k of one finished run for many users, written to files by a process of its own. Imports no torch."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from workers.models import RUN_ID
from workers.specs import Spec

CHOSEN = "users.txt"  # in the export's run folder: the users that were chosen, one a line
LISTS = "lists"  # in the folder of the run whose lists they are: exports that were given no other place
TOP_PARQUET, TOP_CSV = "top.parquet", "top.csv"
MOST = 10_000


class ListExportSpec(Spec):
    """Whose lists, for whom, how long, and where they go."""

    run: str = Field(pattern=RUN_ID, description="Finished run whose model makes the lists")
    title: str = Field("", max_length=120, description="What that run is called")
    dataset: str = Field(description="Id of the prepared dataset that it was trained on")
    k: int = Field(10, ge=1, le=MOST, description="Items of a list at most")
    users: Literal["all", "test", "chosen"] = Field("all", description="All users of the dataset, those ranked for on test, or chosen ones")
    exclude_seen: bool = Field(True, description="Leave out the items that a user met in train")
    folder: str | None = Field(None, max_length=4000, description="Where the files go; empty: beside the run's results")

    def target(self, runs: Path, export: str) -> Path:
        """The folder that is there once the export is whole: the given one, or one of its own beside the run's results."""
        return Path(self.folder) if self.folder else runs / self.run / LISTS / export


def staging(target: Path, export: str) -> Path:
    """Where an export (its run id) is written before one rename makes it whole: on the same file system, out of sight."""
    return target.parent / f".{export}.partial"
