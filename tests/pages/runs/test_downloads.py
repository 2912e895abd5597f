"""Downloads on the Runs page: how far they are, and where they lead."""

from engine.datasets import DOWNLOADS, DownloadSpec
from engine.runs import Progress, RunState, get_run, processes, store, submit
from engine.settings import settings
from tests.pages.reading import Says, Visit, button, links, plainly
from tests.records import run
from tests.workspace import Workspace
from ui.shared import states
from workers.run import Journal

FETCHING = Progress(phase="downloading", step=12_300_000, total=78_000_000, bytes_per_s=2_000_000.0, eta_s=33.0)


def downloading() -> str:
    """A download under way, whose driver waits after its first bytes."""
    run_id = submit(DownloadSpec(key=next(iter(DOWNLOADS))))
    store.set_status(run_id, "RUNNING")
    far = FETCHING.model_dump(exclude={"phase", "step", "total"}, exclude_none=True)
    Journal(settings().runs / run_id).progress(FETCHING.phase, FETCHING.step, FETCHING.total, force=True, **far)
    return run_id


def test_a_download_is_told_in_bytes(empty: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    run_id = downloading()
    at = visit("runs", run=run_id)
    told = plainly(at.get("progress")[0].proto.text)
    assert told == "Running · downloading · 12.3 MB of 78.0 MB (16 %) · 2.00 MB/s · 35 s left"
    assert at.dataframe[0].value["Kind"].tolist() == ["Download"]
    assert any(caption.value.startswith(f"run {run_id}") for caption in at.caption)
    button(at, "Stop the run").click().run()
    assert get_run(run_id).state == RunState.CANCELLING
    assert get_run(run_id).title in plainly(says(visit("home")))


def test_a_download_of_unknown_size_claims_no_share() -> None:
    unknown = FETCHING.model_copy(update={"total": FETCHING.step, "eta_s": None})
    told = states.sentence(run("get", None, RunState.RUNNING, kind="download", progress=unknown))
    assert told == "Running · downloading · 12.3 MB · 2.00 MB/s"


def test_a_finished_download_leads_back_to_the_sources(empty: Workspace, drivers: None, visit: Visit) -> None:
    run_id = downloading()
    processes.sweep(run_id)
    store.set_status(run_id, "FINISHED")
    at = visit("runs", run=run_id)
    assert "Open the sources" in links(at)
    assert not {"See the dataset", "Compare"} & set(links(at))
