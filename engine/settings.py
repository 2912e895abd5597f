"""Settings from the environment: folders, store URIs and limits. The defaults suit a laptop."""

import getpass
import os
import stat
import tempfile
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, field_validator

from workers.specs import Spec, mask

VOLUMES = "/Volumes/"  # where Databricks mounts Unity Catalog volumes: docs.databricks.com/aws/en/volumes/volume-files (limitations)


class SettingsError(ValueError):
    """A variable of the environment, or the workspace that it names, cannot be used; the message says why and what to do."""


class Settings(Spec):
    """Where files are stored and how much may run at the same time. Every field has an environment variable RECBENCH_<FIELD>."""

    may_hold_credentials: ClassVar[bool] = True  # given by the environment, masked wherever they are shown

    workspace: Path = Field(Path("workspace"), description="Folder of all datasets, runs and caches")
    spark_master: str = Field("local[*]", description="Spark master: local[*], spark://host:port, yarn, k8s://…")
    tracking_uri: str | None = Field(
        None, description="MLflow server (https://…) or database (postgresql://…); empty: SQLite in the workspace"
    )
    artifact_root: str | None = Field(None, description="MLflow artifacts, e.g. s3://bucket/path; empty: next to the store")
    concurrent_runs: int = Field(1, ge=1, le=64, description="Runs that may compute at the same time on this machine")
    user: str | None = Field(None, max_length=80, description="Whose name is on runs; empty: the user of this machine")
    shared_group: bool = Field(
        False,
        description="The workspace is shared by the users of its group; off: only its owner may read it, unless they shared it",
    )
    gpu_discovery: Path | None = Field(
        None, description="Program that prints Spark's list of GPUs, on this machine and on executors; empty: nvidia-smi is asked"
    )
    gpus_per_executor: int = Field(1, ge=1, le=64, description="GPUs that each Spark executor of a run on cuda asks its cluster for")
    data_roots: tuple[Path, ...] = Field(
        (),
        description="Folders that files may be read from, separated like PATH; empty: home, current folder, /data, /mnt, /media, /Volumes "
        "and /tmp",
    )

    webhook: str | None = Field(None, description="Address that gets a POST of JSON when a run ends; empty: none")

    @field_validator("webhook")
    @classmethod
    def _of_the_web(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith(("https://", "http://")) and urlsplit(value).hostname):
            raise ValueError("RECBENCH_WEBHOOK is no address of the web; give one that begins with https:// or http://, or unset it.")
        return value

    @field_validator("workspace", mode="before")
    @classmethod
    def _a_folder(cls, value: object) -> object:
        """A URI of an object store is no folder: runs lock, append and rename files there."""
        if isinstance(value, str) and value.startswith(VOLUMES):
            raise ValueError(
                f"RECBENCH_WORKSPACE is {value}, a Unity Catalog volume, where files cannot be locked or appended to; give a folder on a "
                f"disk of this machine, and set RECBENCH_ARTIFACT_ROOT=dbfs:{value} to keep what runs leave."
            )
        if not isinstance(value, str) or "://" not in value:
            return value
        if value.startswith("file://"):
            return unquote(urlsplit(value).path)
        raise ValueError(
            f"RECBENCH_WORKSPACE is {mask(value)}, which is no folder; give a folder of this machine or of storage that is mounted on it. "
            "Artifacts alone may be in a store: set RECBENCH_ARTIFACT_ROOT for that."
        )

    @field_validator("data_roots", mode="before")
    @classmethod
    def _like_path(cls, value: object) -> object:
        return tuple(part for part in value.split(os.pathsep) if part.strip()) if isinstance(value, str) else value

    @property
    def readable(self) -> tuple[Path, ...]:
        """The folders that files may be read from, resolved; always includes the workspace."""
        usual = (
            Path.home(),
            Path.cwd(),
            Path("/data"),
            Path("/mnt"),
            Path("/media"),
            Path(VOLUMES),
            Path("/tmp"),
            Path(tempfile.gettempdir()),
        )
        roots = self.data_roots or [root for root in usual if root != Path("/")]  # a service may have / as home
        return tuple(dict.fromkeys(root.expanduser().resolve() for root in (*roots, self.workspace)))

    @property
    def inherited(self) -> dict[str, str]:
        """The variables that give a process in another folder the same workspace and the same folders to read."""
        folders = {"RECBENCH_WORKSPACE": str(self.workspace), "RECBENCH_DATA_ROOTS": os.pathsep.join(map(str, self.readable))}
        return folders | {"RECBENCH_SHARED_GROUP": str(self.shared_group).lower()}

    @property
    def folder_mode(self) -> int:
        """Permissions of the workspace: its owner's alone, or its group's too, to which what is made inside then belongs."""
        return 0o2770 if self.shared_group else 0o700

    @property
    def file_mode(self) -> int:
        """Permissions of files that several processes open: their owner's alone, or the group's too."""
        return 0o660 if self.shared_group else 0o600

    @property
    def who(self) -> str:
        """Whose name runs and locks of this process carry."""
        if self.user is not None:
            return self.user
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # a container that runs under a number without a name
            return f"user {os.getuid()}"

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
    """The current settings; creates the workspace if it is missing, for its owner alone or for its group."""
    new = _given()
    if not new.workspace.is_dir():
        try:
            new.workspace.mkdir(mode=new.folder_mode, parents=True, exist_ok=True)
            new.workspace.chmod(new.folder_mode)  # not subject to the umask, and with the group's bit
        except OSError as error:
            raise SettingsError(
                f"The workspace {new.workspace} cannot be made ({error.strerror}); set RECBENCH_WORKSPACE to one that you may write to."
            ) from error
    if not os.access(new.workspace, os.R_OK | os.X_OK, effective_ids=True):
        raise SettingsError(
            f"The workspace {new.workspace} is of another user, who has not opened it to {new.who}: they set RECBENCH_SHARED_GROUP=true, "
            f"and run `chmod -R u=rwX,g=rwXs,o= {new.workspace}`; or set RECBENCH_WORKSPACE to a folder of your own."
        )
    return new if new.shared_group else new.model_copy(update={"shared_group": _is_the_groups(new.workspace)})


def _is_the_groups(workspace: Path) -> bool:
    """Whether its owner shared a workspace with its group: what others write there has to be the group's, too, whatever they set."""
    return workspace.stat().st_mode & 0o2070 == 0o2070


def readable() -> tuple[Path, ...]:
    """The folders that files may be read from; creates nothing."""
    return _given().readable


def _given() -> Settings:
    given = {name: os.environ[key] for name in Settings.model_fields if os.environ.get(key := f"RECBENCH_{name.upper()}")}
    try:
        new = Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(" ".join(_sentence(given, one["loc"], one["msg"]) for one in error.errors())) from error
    return new.model_copy(update={"workspace": new.workspace.expanduser().resolve()})


def _sentence(given: dict[str, str], where: tuple[int | str, ...], said: str) -> str:
    """What is wrong with a variable, in a sentence that names it."""
    said, name = said.removeprefix("Value error, "), str(where[0]) if where else ""
    if said.startswith("RECBENCH_") or name not in given:
        return said
    return f"RECBENCH_{name.upper()} is {mask(given[name])[:200]!r}: {said[:1].lower()}{said[1:]}; correct it, or unset it."


def keep_private() -> None:
    """Let all that this process and its children write be for their user alone, or for the group of a shared workspace too."""
    os.umask(0o007 if settings().shared_group else 0o077)


def exposure() -> str | None:
    """A sentence on a workspace whose permissions are wider than the settings say, with the command that mends it; None where they are not.

    Nothing is changed: who may read an existing workspace is for its owner to say.
    """
    where = settings()
    mode = stat.S_IMODE(where.workspace.stat().st_mode)
    if not mode & ~where.folder_mode & 0o077:
        return None
    who = "Other users of this machine" if mode & 0o007 else "The users of its group"
    wanted = "u=rwX,g=rwXs,o=" if where.shared_group else "go="
    return f"{who} can enter the workspace (its mode is {mode:03o}); `chmod -R {wanted} {where.workspace}` closes it."
