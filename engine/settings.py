"""Settings from the environment: folders, store URIs and limits. The defaults suit a laptop."""

import os
import tempfile
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from workers.specs import Spec


class Settings(Spec):
    """Where files are stored and how much may run at the same time. Every field has an environment variable RECBENCH_<FIELD>."""

    may_hold_credentials: ClassVar[bool] = True  # given by the environment, masked wherever they are shown

    workspace: Path = Field(Path("workspace"), description="Folder of all datasets, runs and caches")
    spark_master: str = Field("local[*]", description="Spark master: local[*], spark://host:port, yarn, k8s://…")
    tracking_uri: str | None = Field(None, description="MLflow store; empty: SQLite in the workspace")
    artifact_root: str | None = Field(None, description="MLflow artifacts, e.g. s3://bucket/path; empty: next to the store")
    concurrent_runs: int = Field(1, ge=1, le=64, description="Runs that may compute at the same time on this machine")
    data_roots: tuple[Path, ...] = Field(
        (), description="Folders that files may be read from, separated like PATH; empty: home, current folder, /data, /mnt, /media, /tmp"
    )

    @field_validator("data_roots", mode="before")
    @classmethod
    def _like_path(cls, value: object) -> object:
        return tuple(part for part in value.split(os.pathsep) if part.strip()) if isinstance(value, str) else value

    @property
    def readable(self) -> tuple[Path, ...]:
        """The folders that files may be read from, resolved; always includes the workspace."""
        usual = (Path.home(), Path.cwd(), Path("/data"), Path("/mnt"), Path("/media"), Path("/tmp"), Path(tempfile.gettempdir()))
        roots = self.data_roots or [root for root in usual if root != Path("/")]  # a service may have / as home
        return tuple(dict.fromkeys(root.expanduser().resolve() for root in (*roots, self.workspace)))

    @property
    def inherited(self) -> dict[str, str]:
        """The variables that give a process in another folder the same workspace and the same folders to read."""
        return {"RECBENCH_WORKSPACE": str(self.workspace), "RECBENCH_DATA_ROOTS": os.pathsep.join(map(str, self.readable))}

    @property
    def datasets(self) -> Path:
        return self.workspace / "datasets"

    @property
    def runs(self) -> Path:
        return self.workspace / "runs"

    @property
    def uploads(self) -> Path:
        return self.workspace / "uploads"

    @property
    def store(self) -> str:
        return self.tracking_uri or f"sqlite:///{self.workspace / 'mlflow.db'}"

    @property
    def artifacts(self) -> str:
        return self.artifact_root or (self.workspace / "artifacts").as_uri()


def settings() -> Settings:
    """The current settings; creates the workspace if it is missing."""
    given = {name: os.environ[key] for name in Settings.model_fields if os.environ.get(key := f"RECBENCH_{name.upper()}")}
    new = Settings.model_validate(given)
    workspace = new.workspace.expanduser().resolve()
    workspace.mkdir(parents=True, exist_ok=True)
    return new.model_copy(update={"workspace": workspace})
