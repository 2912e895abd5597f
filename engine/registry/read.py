"""What MLflow's registry holds of this workbench: models, versions, aliases."""

import json
import shlex
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from engine.registry.facts import PREFIX
from engine.registry.names import check_alias
from engine.runs import store
from engine.settings import settings
from workers.specs import mask

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

FOLDER = "registered"  # of a run's artifacts


class Registered(BaseModel):
    """A version of a model in the registry."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    aliases: tuple[str, ...]
    run_id: str
    title: str
    kind: str
    dataset: str
    dataset_name: str
    fingerprint: str
    protocol: str
    metrics: dict[str, dict[str, float | None]]  # key -> value, low, high (95 %)
    verdict: str
    comparison: str  # address of the page that compared it, below the workbench's own
    compared_with: tuple[str, ...]
    bytes: int
    users: int
    registered_at: datetime

    @property
    def uri(self) -> str:
        """How MLflow names it."""
        return f"models:/{self.name}/{self.version}"


def list_registered(name: str | None = None) -> list[Registered]:
    """Versions that this workbench registered, newest first. StoreError: the store cannot be used."""
    client, aliases = store.client(), _aliases()
    condition = f"name = '{name}'" if name and "'" not in name else None
    found = client.search_model_versions(condition, max_results=1000, order_by=["last_updated_timestamp DESC"])
    ours = [_registered(one, aliases) for one in found if PREFIX + "kind" in one.tags and (name is None or one.name == name)]
    return sorted(ours, key=lambda one: one.registered_at, reverse=True)


def get_registered(name: str, version_or_alias: str) -> Registered:
    """One version, by its number or by an alias; LookupError where there is none."""
    versions = list_registered(name)
    found = [one for one in versions if version_or_alias in (str(one.version), *one.aliases)]
    if not found:
        known = ", ".join(sorted({alias for one in versions for alias in one.aliases})) or "none"
        raise LookupError(f"There is no version {version_or_alias[:80]!r} of a registered model {name[:80]!r}; its aliases: {known}.")
    return found[0]


def run_of(text: str, dataset: str | None = None) -> str:
    """The run that a text names: its id, NAME@ALIAS or NAME/VERSION (with or without models:/), or an alias that one model has.

    Args:
        dataset: id of a dataset; an alias alone then means a model that was trained on it, if any was.

    Raises:
        LookupError: there is no such model; or several models have the alias.
    """
    bare = text.removeprefix("models:/")
    for mark in ("@", "/"):
        if mark in bare:
            name, _, rest = bare.rpartition(mark)
            return get_registered(name, rest).run_id
    having = [one for one in list_registered() if bare in one.aliases]
    having = [one for one in having if one.dataset == dataset] or having
    if len(having) > 1:
        raise LookupError(f"Several models have the alias {bare!r}: {', '.join(one.name for one in having)}. Write NAME@{bare}.")
    return having[0].run_id if having else text


def set_alias(name: str, alias: str, version: int | None) -> None:
    """Give an alias to a version, which another version then loses; None takes it from all.

    Raises:
        LookupError: no such version. ValueError: it is no alias.
    """
    check_alias(alias)
    if version is None:
        get_registered(name, alias)
        store.client().delete_registered_model_alias(name, alias)
        return
    get_registered(name, str(version))
    store.client().set_registered_model_alias(name, alias, str(version))


def add_version(name: str, run_id: str, folder: Path, tags: Mapping[str, str]) -> int:
    """Upload the folder of an MLflow model to the artifacts of its run, and make it a version; returns its number."""
    client, under = store.client(), f"{FOLDER}/{uuid.uuid4().hex[:12]}"
    store.log_folder(run_id, folder, under)
    source = f"{str(store.get(run_id).info.artifact_uri).rstrip('/')}/{under}"
    if not any(model.name == name for model in client.search_registered_models(f"name = '{name}'")):  # a name has no quotes
        client.create_registered_model(name)
    named = {PREFIX + key: value for key, value in tags.items()}
    version = client.create_model_version(name, source, run_id, tags=named, description=tags.get("verdict"), await_creation_for=60)
    return int(version.version)


def serve_command(registered: Registered, port: int = 5001) -> str:
    """The command by which a stock MLflow serves a version in an environment of its own, by its alias where it has one."""
    uri = f"models:/{registered.name}@{registered.aliases[0]}" if registered.aliases else registered.uri
    tracking = shlex.quote(mask(settings().store))
    return f"MLFLOW_TRACKING_URI={tracking} mlflow models serve --model-uri {shlex.quote(uri)} --env-manager uv --port {port}"


def _aliases() -> dict[tuple[str, str], tuple[str, ...]]:
    """(name, version) -> aliases."""
    known: dict[tuple[str, str], list[str]] = {}
    for model in store.client().search_registered_models(max_results=1000):
        for alias, version in model.aliases.items():
            known.setdefault((model.name, str(version)), []).append(alias)
    return {key: tuple(sorted(several)) for key, several in known.items()}


def _registered(version: "ModelVersion", aliases: Mapping[tuple[str, str], tuple[str, ...]]) -> Registered:
    tags: dict[str, Any] = {name.removeprefix(PREFIX): value for name, value in version.tags.items() if name.startswith(PREFIX)}
    return Registered(
        name=version.name,
        version=int(version.version),
        aliases=aliases.get((version.name, str(version.version)), ()),
        run_id=version.run_id or "",
        metrics=json.loads(tags.pop("metrics", "{}")),
        compared_with=tuple(one for one in tags.pop("compared_with", "").split(",") if one),
        registered_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        **{
            name: tags.get(name, "")
            for name in ("title", "kind", "dataset", "dataset_name", "fingerprint", "protocol", "verdict", "comparison")
        },
        bytes=int(tags.get("bytes", 0)),
        users=int(tags.get("users", 0)),
    )
