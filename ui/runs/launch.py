"""The launch button: specs become runs, once per click."""

import hashlib
import uuid
from collections.abc import Sequence

import streamlit as st

import engine
from engine.datasets import DatasetSpec
from engine.runs import Run, SubmittedSpec
from engine.specs import RunSpec
from ui.runs import live
from ui.shared import words

MORE_EPOCHS = 5
MOST_RUNS = 30  # of one launch: each waits in its own process of about 240 MB


def as_command(spec: DatasetSpec | RunSpec, key: str) -> None:
    """The spec as JSON and the command that repeats it."""
    with st.expander("As JSON and as a command", icon=":material/terminal:", key=key):
        st.code(engine.compare.command_line(spec), language="bash", wrap_lines=True)
        st.code(spec.model_dump_json(indent=2), language="json", height=260)


def button(
    wanted: Sequence[SubmittedSpec], complete: bool, key: str = "train", label: str | None = None, primary: bool = True
) -> list[str]:
    """The launch button. Repeated clicks on the same form with the same settings launch once.

    Args:
        primary: whether it is the one that the page is about.

    Returns:
        The ids of the runs last launched from here in this tab.
    """
    nonce = st.session_state.setdefault(f"{key}.nonce", uuid.uuid4().hex)
    where = "".join(engine.compute.files().values())  # the same runs on another cluster are another launch
    digest = hashlib.sha256("".join([*(spec.model_dump_json() for spec in wanted), where]).encode()).hexdigest()[:16]
    done = st.session_state.setdefault(f"{key}.launched", {})
    text = label or ("Launch" if len(wanted) < 2 else f"Launch {len(wanted)} runs")
    if len(wanted) > MOST_RUNS:
        st.warning(f"{len(wanted)} runs are too many for one launch: at most {MOST_RUNS}. Choose fewer seeds or contenders.")
    with st.container(horizontal=True, vertical_alignment="center"):
        ready = complete and 0 < len(wanted) <= MOST_RUNS
        off = not ready or digest in done
        clicked = st.button(
            text, type="primary" if primary else "secondary", icon=":material/play_arrow:", disabled=off, key=f"{key}.launch"
        )
        if digest in done and st.button("Launch the same again", key=f"{key}.again", type="tertiary", icon=":material/replay:"):
            st.session_state[f"{key}.nonce"] = uuid.uuid4().hex
            del done[digest]
            st.rerun()
    if clicked and ready and digest not in done:
        try:
            done[digest] = [engine.runs.submit(spec, key=f"{nonce}-{digest}-{at}") for at, spec in enumerate(wanted)]
        except (LookupError, ValueError, OSError) as error:
            st.error(words.md(error, 600), icon=":material/error:", title="Not launched")
            return []
        st.session_state[f"{key}.last"] = done[digest]
        st.rerun()
    return list(st.session_state.get(f"{key}.last", []))


def launched(key: str) -> bool:
    """Whether the launch button of a key was used in this tab."""
    return bool(st.session_state.get(f"{key}.last"))


def more_epochs(run: Run) -> None:
    """Train a finished network for more epochs: a new run that starts from the weights of this one."""
    with st.expander("Continue for more epochs", icon=":material/fast_forward:", key=f"continue.{run.run_id}"):
        st.caption("Starts a new run from the best epoch of this one, with the same model and settings. This run does not change.")
        requested = st.number_input("More epochs", 1, 1000, MORE_EPOCHS, key=f"continue.epochs.{run.run_id}", width=220)
        try:
            spec = engine.runs.continued(run.run_id, int(requested))
        except (LookupError, ValueError) as error:
            st.info(words.md(error, 600), icon=":material/block:")
            return
        launched = button([spec], complete=True, key=f"continue.{run.run_id}", label="Continue")
        as_command(spec, key=f"continue.spec.{run.run_id}")
        if launched:
            live.watch(launched)


def resume(run: Run) -> None:
    """Let a training that ended before it was done go on from its newest checkpoint; nothing where it cannot."""
    spec = run.spec
    if engine.runs.why_not_resumable(run) is not None or not isinstance(spec, RunSpec):
        return
    with st.popover("Resume", icon=":material/resume:"):
        st.markdown("Goes on from the newest checkpoint, as the same run with one curve.")
        usual = spec.train.processes
        processes = int(
            st.number_input("Processes", 1, 1024, usual, key=f"resume.processes.{run.run_id}", help="It may be another number than before.")
        )
        with st.container(horizontal=True):
            goes_on = st.button("Resume the run", type="primary", key=f"resume.{run.run_id}")
            tooltip = (
                "Trains no more: measures the best epoch so far, so that it can be compared and browsed as it is. It is marked as such."
            )
            concludes = st.button("Measure it as it is", key=f"conclude.{run.run_id}", help=tooltip)
        if goes_on or concludes:
            try:
                engine.runs.resume(run.run_id, None if processes == usual else processes, concludes)
            except (LookupError, ValueError, OSError) as error:
                st.error(words.md(error, 600), icon=":material/error:", title="Not resumed")
                return
            st.rerun()
