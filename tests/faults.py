"""python -m tests.faults [pytest arguments]: inject every fault for real, and write the table of what was expected and seen.

A test names the fault that it injects, `@pytest.mark.fault("F04")`, and may record the seconds that passed until the workbench told the
truth about it, `record_property("truth_s", seconds)`. Faults that no machine of ours can have are in `ELSEWHERE`, with the reason.
"""

import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

FAULTS = {  # what is injected, and what must come of it
    "F01": ("browser refresh / close / second tab while training", "run continues; new page shows same progress, curve, logs"),
    "F02": ("kill -9 Streamlit", "run continues; restart shows it"),
    "F03": ("kill -9 the app and whatever started the run, restart", "the run goes on and is shown live; no second copy started"),
    "F04": ("kill -9 driver", "ranks die (pdeathsig) or are swept; run INTERRUPTED, resumable"),
    "F05": ("kill -9 rank 0", "attempt FAILED(rank 0, signal 9) <= 15 s; auto-retry from checkpoint if policy"),
    "F06": ("kill -9 rank 1 of 2", "same; survivors gone"),
    "F07": ("SIGSTOP one rank", "watchdog fails attempt <= 120 s with stacks"),
    "F08": ("rank ignores SIGTERM on cancel", "SIGKILL by token; CANCELLED only after none alive"),
    "F09": ("train code raises", "FAILED with exception type, message, last 50 lines (wrapper rc 0 must not fool us)"),
    "F10": ("sys.exit(0) early, no done.json", "FAILED('ended without result')"),
    "F11": ("kill -9 whole tree between checkpoint and db update", "restart finds checkpoint, reconciles, resumes there"),
    "F12": ("machine reboot simulation (boot id change, reused pid)", "no foreign pid signalled; runs INTERRUPTED"),
    "F13": ("double click / replayed form", "one run (idempotency key)"),
    "F14": (
        "cancel while QUEUED / PREPARING / during checkpoint / after success",
        "right terminal state each time, no half checkpoint as latest",
    ),
    "F15": ("two apps on one workspace", "both show the same; no run starts twice"),
    "F16": ("old attempt wakes after new attempt began", "its writes refused (fencing)"),
    "F17": ("JVM/driver dies", "INTERRUPTED, executors' ranks gone, resume works"),
    "F18": ("Spark slots < processes", "preflight blocks; forced: fails < 60 s, cancellable"),
    "F19": ("rendezvous port taken; two runs at once", "retry with a new port; both finish, logs not mixed"),
    "F20": ("heartbeat delayed 30 s but process alive (CPU starved)", "LOST badge then back to RUNNING, not failed"),
    "F21": ("wall clock jumps ±1 h", "durations monotonic; no false LOST"),
    "F22": ("non-UTF-8, 1 MB line, ANSI, carriage-return progress in logs", "no crash; shown escaped/truncated"),
    "F23": ("ENOSPC during checkpoint", "old checkpoint intact; run PAUSED/FAILED(disk) with 'free N MB, then Resume' (SimpleTuner#2353)"),
    "F24": ("ENOSPC on sqlite / journal", "no corrupted db; state kept in memory and retried; banner"),
    "F25": ("truncated checkpoint file", "digest mismatch; falls back to previous, says so"),
    "F26": ("flipped byte in checkpoint / manifest missing / latest dangling", "refused; previous used"),
    "F27": ("kill between tmp write and rename", "tmp ignored and swept"),
    "F28": ("MLflow db locked 60 s", "training not slowed > 5 %; metrics flushed later, none missing"),
    "F29": ("MLflow db deleted / read-only / newer schema", "run completes on journal; 'tracking detached', re-import offered"),
    "F30": ("remote MLflow down, slow, 500s", "same; bounded queue"),
    "F31": ("MLflow RUNNING with dead process at start-up", "reconciled to FAILED/KILLED with reason tag"),
    "F32": ("NaN / inf loss", "recorded as flags, chart gap, early stop rule, never 1.8e308 in a table"),
    "F33": ("metric name recall@10, long param, changed param on resume", "mapped name; param kept; difference tagged"),
    "F34": ("resume re-logs steps", "history has one value per step in the UI"),
    "F35": ("stale /dev/shm/0000xx_* and lock files from a dead run", "new run starts; only own/dead-owner segments removed"),
    "F36": ("two runs on the same dataset at once", "both finish; neither cleans the other's shm"),
    "F37": ("/dev/shm full or 64 MB", "clear message, workers reduced; not 'Bus error' only"),
    "F38": (
        "local shard flipped byte / truncated / missing / index.json empty",
        "detected by digest before or at read; shard named; rebuild offered",
    ),
    "F39": (
        "kill mid-epoch, resume same and different worker/process count",
        "id multiset per epoch exact; loss curve matches unbroken run within tolerance",
    ),
    "F40": ("dataset rebuilt between attempts", "fingerprint mismatch blocks resume"),
    "F41": ("RAM limit (cgroup) -> OOM kill -9, DataLoader worker killed", "FAILED(out of memory), peak shown, smaller batch suggested"),
    "F42": ("tables larger than RAM in preflight", "blocked with numbers"),
    "F43": ("GPU OOM / GPU vanishes / GPU busy by another job", "clear cause; CPU fallback only if asked"),
    "F44": ("fork with threads, num_workers=0/8", "no deadlock (60 s watchdog)"),
    "F45": ("1-row dataset, batch > rows, drop_last leaves 0 batches", "refused before start"),
    "F46": ("empty file, header only, BOM, UTF-16, latin-1, mixed newlines, NUL bytes", "detected or refused with line number"),
    "F47": ("header with spaces/duplicate names/case changes", "mapping screen proposes; autotrain#101 case passes"),
    "F48": (
        "ids 'NA', 'null', '007', 19-digit ints, 1e5, mixed types",
        "kept as text exactly (dtype=str, keep_default_na=False; pandas#10224, #48175, workflow-use PR#174)",
    ),
    "F49": ("NaN/empty user or item id", "rows quarantined, counted, downloadable"),
    "F50": (
        "duplicate interactions, exact and conflicting ratings",
        "policy chosen and reported; counts reconcile in = used + quarantined",
    ),
    "F51": ("out-of-range labels, negative, inf, text ratings, all one class", "flagged; training blocked if nothing to learn"),
    "F52": (
        "unsorted, duplicate, ms/µs/s mix, future, 1970, time-zone timestamps",
        "unit detected per column, ambiguous → ask; time split stable",
    ),
    "F53": ("ids in interactions missing from the catalogue and reverse", "shown; no index out of range; unknown bucket"),
    "F54": ("id beyond vocab at inference, negative id", "error or unknown bucket, never row 0"),
    "F55": ("user with 0, 1, 100k interactions; item with 1", "no crash in split/eval/browse; cold label"),
    "F56": ("user whose all items are in train (no test)", "excluded from metric with count"),
    "F57": ("5 GB file by path; 500 MB upload", "streamed; upload refused with the path option"),
    "F58": (
        "zip bomb, nested zip, ../ member, symlink, wrong extension, parquet extension type/pickle",
        "refused before extraction (ratio, count, size, path)",
    ),
    "F59": ("titles with =cmd(), <script>, emoji, RTL, 10k chars", "shown inert; CSV safe, negative numbers intact"),
    "F60": ("malformed config YAML, unknown key, lr=0/NaN, huge dim, path traversal in run name", "field-level message; nothing started"),
    "F61": ("train/test leakage (same row both sides)", "detected and refused"),
    "F62": ("pickle/.pt uploaded as a model or MDS pkl column", "refused"),
    "F63": ("URL with unknown/deleted run ids, 10k-char query, wrong types", "message + link home"),
    "F64": ("compare runs with different data, K or split", "guard banner, deltas greyed"),
    "F65": ("1,000 runs, 100k-step curves, 1M users", "page < 2 s, memory bounded, downsampled"),
    "F66": ("store locked or unreachable", "read-only page with cause, retry, no traceback"),
    "F67": ("websocket drop 60 s", "same session or clean reload; no second submit"),
    "F68": ("two users cancel/launch at once", "one wins, other told"),
    "F69": ("foreign Host header / cross-site POST / path traversal in download", "refused"),
    "F70": ("git clean machine, no network, read-only home, TMPDIR with spaces, umask 077", "starts, sample comparison works"),
}
ELSEWHERE: dict[str, str] = {}  # fault -> why no test injects it here


class Seen(NamedTuple):
    """The tests of one fault: how many passed, which failed, and the longest time until the truth in seconds."""

    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    truth_s: float | None = None

    @property
    def text(self) -> str:
        """ok (3 tests); else what failed, or why nothing ran."""
        if self.failed:
            return f"FAILED: {', '.join(self.failed)}"
        if not self.passed:
            return f"not seen: {', '.join(self.skipped)}" if self.skipped else "not seen: no test"
        return f"ok ({self.passed} {'test' if self.passed == 1 else 'tests'})"


def read(report: Path) -> dict[str, Seen]:
    """What a JUnit report of pytest says of each fault."""
    seen: dict[str, Seen] = defaultdict(Seen)
    for case in ElementTree.parse(report).iter("testcase"):
        properties = [(one.get("name"), one.get("value") or "") for one in case.iter("property")]
        truths = [float(value) for name, value in properties if name == "truth_s"]
        for fault in (value for name, value in properties if name == "fault"):
            before, name = seen[fault], case.get("name") or ""
            failed = case.find("failure") is not None or case.find("error") is not None
            skipped = case.find("skipped") is not None
            longest = max([*truths, *([] if before.truth_s is None else [before.truth_s])], default=None)
            seen[fault] = Seen(
                before.passed + (not failed and not skipped),
                (*before.failed, name) if failed else before.failed,
                (*before.skipped, name) if skipped else before.skipped,
                longest,
            )
    return dict(seen)


def table(seen: dict[str, Seen]) -> str:
    """The table in Markdown: a row a fault."""
    lines = ["| fault | injected | expected | seen | s until the truth |", "|---|---|---|---|---|"]
    for fault, (injected, expected) in FAULTS.items():
        one = seen.get(fault, Seen())
        text = f"not here: {ELSEWHERE[fault]}" if fault in ELSEWHERE and not one.passed and not one.failed else one.text
        seconds = "" if one.truth_s is None else f"{one.truth_s:.1f}"
        lines.append(f"| {fault} | {injected} | {expected} | {text} | {seconds} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run the tests of faults and print the table; 1 where one failed or a fault was not seen."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [sys.executable, "-m", "pytest", "-q", "-m", "fault", f"--junitxml={report}", *arguments]
        subprocess.run(words, check=False, stdout=sys.stderr)
        seen = read(report)
    print(table(seen))
    whole = all(fault in ELSEWHERE or seen.get(fault, Seen()).passed for fault in FAULTS)
    return 0 if whole and not any(one.failed for one in seen.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
