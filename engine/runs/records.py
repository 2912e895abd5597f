"""What a run folder says of its run beside its spec: enough to take the run in again, should the store be lost."""

import time
from pathlib import Path

from pydantic import ValidationError

from engine.runs import claims, identity, store
from engine.settings import settings
from workers.artifacts import SPEC, write_json
from workers.specs import Spec

RUN, ANNOTATIONS = "run.json", "annotations.json"
FORMAT = 1


class Submitted(Spec):
    """run.json: a run as it was submitted. Its settings are in spec.json."""

    format: int = FORMAT
    run_id: str
    kind: store.Kind
    title: str
    tags: dict[str, str]  # ours, without their prefix: dataset, model, key, tour, download
    submitted_ms: int
    workspace_id: str
    host: str


class Annotations(Spec):
    """annotations.json: what people wrote on a run, as the store's tags."""

    format: int = FORMAT
    name: str
    tags: dict[str, str]  # as the store names them


ANNOTATED = (store.NOTE, *(store.TAG + name for name in ("tags", "pinned", "trashed")))


def create(claim: "claims.Claim", kind: store.Kind, title: str, spec: Spec, tags: dict[str, str]) -> str:
    """Record a run in the store, and in its folder as it is in the store; returns the run id."""
    now = int(time.time() * 1000)
    run_id = store.create(kind, title, spec, tags | {claims.CLAIM: claim.name}, now)
    submitted = Submitted(
        run_id=run_id, kind=kind, title=title, tags=tags, submitted_ms=now, workspace_id=identity.workspace_id(),
        host=identity.machine().host,
    )  # fmt: skip
    write_json(claim.folder / RUN, submitted.model_dump())
    return run_id


def mirror(run_id: str) -> None:
    """Write into a run's folder what the store has of people's notes; nothing where the folder is not here."""
    folder = settings().runs / run_id
    if not (folder / SPEC).is_file():
        return
    stored = store.get(run_id)
    kept = {name: value for name, value in stored.data.tags.items() if name in ANNOTATED}
    write_json(folder / ANNOTATIONS, Annotations(name=stored.info.run_name or "", tags=kept).model_dump())


def submitted(folder: Path) -> Submitted | None:
    """run.json of a folder; None where there is none that can be read."""
    try:
        return Submitted.model_validate_json((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def annotations(folder: Path) -> Annotations | None:
    """annotations.json of a folder; None where there is none that can be read."""
    try:
        return Annotations.model_validate_json((folder / ANNOTATIONS).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
