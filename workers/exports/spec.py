"""An export of lists: the top k of one finished run for many users, written to files by a process of its own. Imports no torch."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from workers.models import RUN_ID
from workers.specs import Spec

CHOSEN = "users.txt"  # in the export's run folder: the ids of chosen users, one per line
LISTS = "lists"  # in the folder of the run whose lists are exported: exports without a folder of their own
TOP_PARQUET, TOP_CSV = "top.parquet", "top.csv"
MOST = 10_000


class ListExportSpec(Spec):
    """Which run's lists are exported, for which users, how long they are, and to which folder."""

    run: str = Field(pattern=RUN_ID, description="Finished run whose model makes the lists")
    title: str = Field("", max_length=120, description="Name of that run")
    dataset: str = Field(description="Id of the prepared dataset that it was trained on")
    k: int = Field(10, ge=1, le=MOST, description="Maximum number of items in a list")
    users: Literal["all", "test", "chosen"] = Field(
        "all", description="All users of the dataset, the test users that models are measured on, or chosen ones"
    )
    exclude_seen: bool = Field(True, description="Leave out the items that a user met before test")
    folder: str | None = Field(None, max_length=4000, description="Folder for the files; empty: beside the run's results")

    def target(self, runs: Path, export: str) -> Path:
        """The folder that appears when the export is complete: the given one, or one of its own beside the run's results."""
        return Path(self.folder) if self.folder else runs / self.run / LISTS / export


def staging(target: Path, export: str) -> Path:
    """The hidden folder in which an export (by its run id) is written before one rename completes it: on the same file system."""
    return target.parent / f".{export}.partial"
