"""Whose a run is: the person who submitted it, from which workspace, on which machine. What may be done to a run of somebody else."""

from collections.abc import Mapping

from engine.runs import identity
from engine.runs.opened import TAG
from engine.settings import settings
from workers.specs import Spec

USER, HOST, BOOT, WORKSPACE, WORKSPACE_ID = "user", "host", "boot", "workspace", "workspace_id"  # tags of a run, without their prefix


class OwnerError(ValueError):
    """A run is somebody else's, or runs where it cannot be reached from here; the message says whose and what to do."""


class Owner(Spec):
    """Who submitted a run, and where its driver runs. Each is None where a run of an earlier version does not say."""

    user: str | None = None
    host: str | None = None
    boot: str | None = None
    workspace: str | None = None  # its path there
    workspace_id: str | None = None

    @property
    def machine(self) -> identity.Machine | None:
        return identity.Machine(self.host, self.boot or "") if self.host else None

    @property
    def is_here(self) -> bool:
        """Whether the run is of this workspace, as far as it says."""
        return self.workspace_id in (None, identity.workspace_id())

    @property
    def is_me(self) -> bool:
        """Whether the run is of this user in this workspace, as far as it says."""
        return self.is_here and self.user in (None, identity.user())

    @property
    def place(self) -> str:
        """Where the run is, in words."""
        return f"in the workspace {self.workspace or 'of another machine'}{f' on {self.host}' if self.host else ''}"


def tags_of_here() -> dict[str, str]:
    """The tags of a run that this process submits, without their prefix."""
    host, boot = identity.machine()
    return {WORKSPACE: str(settings().workspace), WORKSPACE_ID: identity.workspace_id(), USER: identity.user(), HOST: host, BOOT: boot}


def owner_of(tags: Mapping[str, str]) -> Owner:
    """The owner of a stored run, by its tags with their prefix."""
    return Owner(**{name: tags.get(TAG + name) or None for name in (USER, HOST, BOOT, WORKSPACE, WORKSPACE_ID)})


def why_not_yours(owner: Owner) -> str | None:
    """Whose a run of this owner is, as the beginning of a sentence, where it is not this user's in this workspace; None where it is."""
    if owner.is_me:
        return None
    whose = f"{owner.user}, {owner.place}" if owner.user else f"somebody {owner.place}"
    return f"it belongs to {whose}, and you are {identity.user()}{'' if owner.is_here else ' in another workspace'}"
