"""Take runs in from their folders: after a deleted, emptied, damaged or replaced store, what the folders hold is in the store again."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine import datasets, locks
from engine.runs import given_ids, outbox, processes, records, store
from engine.runs.described import described
from engine.runs.read import VERDICT, RunState, final_values, how_it_ended
from engine.runs.settle import STATUS, settle
from engine.runs.spec import parse
from engine.runs.store_errors import StoreError
from engine.runs.writes import DatasetWrite, FileWrite, FinalWrite, OnePerStep, StatusWrite, TagWrite, Write
from engine.settings import settings
from workers.artifacts import CHECKPOINT, DONE, JOURNAL, LOG, RESULTS, SPEC
from workers.run import read_journal

log = logging.getLogger(__name__)

RUN_ID = re.compile(r"[0-9a-f]{32}")
KEPT = (RESULTS, CHECKPOINT, SPEC, DONE, LOG)  # artifacts of a run
KEYS: dict[str, store.Kind] = {
    "model": "train",
    "source": "prepare",
    "key": "download",
    "run": "export",
    "features_of": "features",
}  # of specs, to tell them apart


class Adoption(NamedTuple):
    """The runs that were taken in anew, those that the store knew less of, and the folders that were left, each with the reason."""

    new: tuple[str, ...]
    completed: tuple[str, ...]
    left: tuple[tuple[str, str], ...]


def unknown() -> list[str]:
    """The ids of run folders of this workspace that the store does not know."""
    here = set(_folders())
    return sorted(run_id for run_id in (here - given_ids.known() if here else here) if (settings().runs / run_id / SPEC).is_file())


def adoption_hint() -> str | None:
    """A sentence where run folders are here that the store does not know, with what to do; None where there is none."""
    if not (here := _folders()):
        return None
    if why := given_ids.refusal():
        return None if store.search(store.EXPERIMENTS, 1) else f"The store is new, but {len(here)} run folders are here. {why}"
    if not (missing := unknown()):
        return None
    number = f"{len(missing)} run {'folder is' if len(missing) == 1 else 'folders are'}"
    if len(missing) == len(here):
        return f"The store is new, but {number} here: adopt them with `recbench adopt`."
    return f"{number} here that the store does not know: adopt them with `recbench adopt`."


def adopt() -> Adoption:
    """Take in the runs of this workspace whose folders say more than the store: state, times, parameters, tags, metrics, inputs, artifacts
    and notes, under the ids that they have. Runs under way are taken in too. What is there already is left as it is.

    Raises:
        StoreError: the store cannot be used, or takes no run under its own id; says what to do.
    """
    new, completed, left = [], [], []
    with locks.held(".adopt.lock", 600, "Taking runs in"):
        known = given_ids.known()
        if set(unknown()) and (why := given_ids.refusal()):
            raise StoreError(why)
        for run_id in sorted(_folders()):
            folder = settings().runs / run_id
            try:
                if run_id not in known:
                    _insert(run_id, folder)
                    _fill(run_id, folder)
                    new.append(run_id)
                elif missing := _missing(run_id, folder):
                    log.info("run %s: the store does not have %s", run_id, missing)
                    _fill(run_id, folder)
                    completed.append(run_id)
            except (ValueError, LookupError, FileNotFoundError) as error:
                left.append((run_id, str(error)))
    return Adoption(tuple(new), tuple(completed), tuple(left))


def _folders() -> list[str]:
    try:
        return [path.name for path in settings().runs.iterdir() if RUN_ID.fullmatch(path.name)]
    except FileNotFoundError:
        return []


def _insert(run_id: str, folder: Path) -> None:
    """Record a run as it was submitted, with what people wrote on it."""
    text = (folder / SPEC).read_text(encoding="utf-8")
    submitted, noted = records.submitted(folder) or _guessed(run_id, folder, json.loads(text)), records.annotations(folder)
    if submitted.run_id != run_id:
        raise ValueError(f"{folder} is a copy of run {submitted.run_id}; remove the copy.")
    title = noted.name if noted and noted.name else submitted.title
    given_ids.insert(
        run_id, submitted.kind, title, submitted.submitted_ms, store.identified(submitted.kind, _compact(text), submitted.tags)
    )
    if noted:
        store.set_raw_tags(run_id, noted.tags)


def _compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"))


def _fill(run_id: str, folder: Path) -> None:
    """Deliver once more all that the run wrote, and how it ended."""
    kind = store.get(run_id).data.tags[f"{store.TAG}kind"]
    try:
        store.log_params(run_id, parse(kind, (folder / SPEC).read_text(encoding="utf-8")))
    except ValueError as error:
        log.warning("run %s has no parameters in the store: %s", run_id, error)
    with outbox.sole(folder) as alone:
        if alone:  # else its driver, or another process, delivers: it sees that the store is another
            if not (folder / outbox.OUTBOX).exists():
                lines = [write.model_dump_json().encode() + b"\n" for write in _writes(kind, folder)]
                outbox.append(folder / outbox.OUTBOX, b"".join(lines))
            (folder / outbox.DELIVERED).unlink(missing_ok=True)
            outbox.deliver_alone(run_id)
    settle(run_id)


def _writes(kind: store.Kind, folder: Path) -> Iterator[Write]:
    """What the driver of a run without an outbox wrote to the store, from the run's other files."""
    if (folder / processes.LOCK).exists() and _time_ms(folder / JOURNAL):
        yield StatusWrite(status="RUNNING", time=_time_ms(folder / JOURNAL))
    spec, done = _json(folder / SPEC), _json(folder / DONE)
    if kind == "train":
        yield from _input(spec.get("dataset", ""))
    if kind == "prepare" and "dataset" in done:
        yield TagWrite(name="dataset", value=str(done["dataset"]))
    if done:
        yield FinalWrite(values=store.numbers(final_values(done)), time=_time_ms(folder / DONE))
    if kind == "train" and done:
        yield from (FileWrite(name=name) for name in (RESULTS, CHECKPOINT, SPEC, DONE))
    if (folder / LOG).is_file():
        yield FileWrite(name=LOG)
    if verdict := _json(folder / VERDICT):
        yield StatusWrite(status=verdict["status"], message=verdict["message"], time=int(1000 * verdict["time"]))


def _input(dataset_id: str) -> Iterator[DatasetWrite]:
    try:
        dataset = datasets.get_dataset(dataset_id)
    except (LookupError, ValueError):
        return
    counts, fingerprint = json.dumps(dataset.manifest["counts"]), str(dataset.manifest.get("fingerprint", ""))
    yield DatasetWrite(name=dataset.name, fingerprint=fingerprint, path=str(dataset.path), counts=counts)


def _missing(run_id: str, folder: Path) -> str | None:
    """What the folder of a run that has ended has and the store does not; None where it has all."""
    if processes.is_alive(run_id) or not (folder / SPEC).is_file():
        return None
    stored = store.get(run_id)
    if f"{store.TAG}kind" not in stored.data.tags or stored.info.lifecycle_stage != "active":
        return None
    state, _ = how_it_ended(folder)
    if stored.info.status not in store.ENDED or (state != RunState.INTERRUPTED and stored.info.status != STATUS.get(state, "FAILED")):
        return "how it ended"
    if lost := set(store.numbers(final_values(_json(folder / DONE)))) - set(stored.data.metrics):
        return f"final metrics: {', '.join(sorted(lost))}"
    steps = {metric.key: metric.step for metric in stored.data._metric_objs}
    for record in OnePerStep()(read_journal(folder / JOURNAL)[0]):
        for name, value in record["values"].items():
            if value is not None and record["step"] > steps.get(name, -1):
                return f"{name} at step {record['step']}"
    if state != RunState.FINISHED or stored.data.tags[f"{store.TAG}kind"] != "train":
        return None
    there = {file.path for file in store.client().list_artifacts(run_id)}
    return next((f"the artifact {name}" for name in KEPT if (folder / name).exists() and name not in there), None)


def _guessed(run_id: str, folder: Path, spec: dict[str, Any]) -> records.Submitted:
    """What a run of an earlier version, which wrote no run.json, was submitted as."""
    kind = next((kind for key, kind in KEYS.items() if key in spec), None)
    if kind is None:
        raise ValueError(f"{folder / SPEC} is the spec of no kind of run; remove the folder.")
    try:
        _, title, tags = described(parse(kind, json.dumps(spec)))
    except ValueError:  # settings that this version does not accept: listed and read all the same
        title, tags = str(spec.get("name") or run_id[:8]), {"dataset": str(spec["dataset"])} if "dataset" in spec else {}
    begun = _time_ms(folder / JOURNAL) or int(1000 * (folder / SPEC).stat().st_mtime)
    return records.Submitted(run_id=run_id, kind=kind, title=title, tags=tags, submitted_ms=begun, workspace_id="", host="")


def _time_ms(path: Path) -> int:
    """The time of the first record of a journal, or when another file was written last; 0 without one."""
    if not path.is_file():
        return 0
    if path.name == JOURNAL and (found := read_journal(path)[0]):
        return int(1000 * found[0]["time"])
    return int(1000 * path.stat().st_mtime)


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
