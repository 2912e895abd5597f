"""Pictures of the README: python -m tests.pictures [--workspace FOLDER]

Prepares the sample ratings and trains a two-tower and a DLRM on them as the Home page does, then photographs the Compare and
the Recommend page in headless Chromium, and writes `ui/assets/compare.png` and `ui/assets/recommend.png`.
"""

import argparse
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ASSETS = Path(__file__).resolve().parents[1] / "ui" / "assets"
WIDTH, HEIGHT = 1280, 1150
COLOURS = 256  # of the palette: enough for text, lines and marks, and a third of the file
MOST_BYTES = 120_000
MINUTE_MS = 60_000
PAGES = {
    "compare": ("compare?runs={runs}", "Metrics on test"),
    "recommend": ("recommend?runs={runs}&browse=a_not_b&k=5", "Popularity (baseline)"),  # somebody for whom the lists differ in a hit
}  # picture: address, and a text that is there once the page is drawn


def chromium() -> str | None:
    """The browser: CHROMIUM, or the first that is installed; None where there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)


def train_on_the_sample() -> list[str]:
    """Run the tour to its end; returns the ids of the two training runs, reusing those of a workspace that has them.

    Raises:
        RuntimeError: one of the runs did not finish; says which and why.
    """
    import engine

    finished = [run for run in engine.runs.list_runs("train") if run.state == engine.runs.RunState.FINISHED]
    newest = {run.model: run.run_id for run in reversed(finished)}
    if {"two_tower", "dlrm"} <= newest.keys():
        return [newest["two_tower"], newest["dlrm"]]
    run_ids = engine.runs.submit_tour()
    for run_id in run_ids:
        while (run := engine.runs.get_run(run_id)).live:
            time.sleep(1)
        if run.state != engine.runs.RunState.FINISHED:
            raise RuntimeError(f"{run.title} {run.state.value}: {run.message}")
    return run_ids[1:]


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The workbench as `recbench` starts it, on RECBENCH_WORKSPACE; gives its address and ends it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from engine.cli import main; main()", "ui", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process)
        yield url
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The workbench did not start on {url}; see server.log in its folder.") from None
            time.sleep(0.3)


def photograph(page: Page, text: str) -> bytes:
    """The page's first screen as PNG, once a text is there, nothing runs any more and charts are drawn."""
    page.get_by_text(text).first.wait_for(timeout=2 * MINUTE_MS)
    page.get_by_test_id("stSpinner").first.wait_for(state="detached", timeout=2 * MINUTE_MS)
    page.get_by_test_id("stStatusWidget").wait_for(state="detached", timeout=2 * MINUTE_MS)
    page.wait_for_timeout(2500)  # charts fade in
    return page.screenshot()


def small(picture: bytes) -> bytes:
    """The same picture in fewer colours, as PNG; ValueError when it is still larger than a README should carry."""
    written = io.BytesIO()
    few = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(written, "PNG", optimize=True)
    if written.tell() > MOST_BYTES:
        raise ValueError(f"The picture has {written.tell():,} bytes; choose fewer colours or a smaller window than {MOST_BYTES:,} allow.")
    return written.getvalue()


def make(folder: Path) -> None:
    """Write every picture of PAGES into ASSETS, from the runs of a workspace in `folder`."""
    run_ids = train_on_the_sample()
    ASSETS.mkdir(exist_ok=True)
    with serve(folder) as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu", "--no-first-run"])
        for name, (address, text) in PAGES.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, base_url=url, color_scheme="light")
            page.goto("/" + address.format(runs=",".join(run_ids)))
            path = ASSETS / f"{name}.png"
            path.write_bytes(small(photograph(page, text)))
            print(f"written: {path} ({path.stat().st_size:,} bytes)")
            page.close()
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--workspace", type=Path, help="a workspace that is kept, and used again; default: one that is thrown away")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        os.environ["RECBENCH_WORKSPACE"] = str((args.workspace or Path(folder) / "workspace").resolve())
        make(Path(folder))


if __name__ == "__main__":
    main()
