"""Controls for annotations of runs: name, note, tags, the pinned baseline and the trash."""

from collections.abc import Callable, Sequence

import streamlit as st

import engine
from engine.runs import Run
from ui.shared import address, layout, words

UNDO = "annotations.undo"  # in the session: the runs that were moved to the trash last
TOAST = "annotations.toast"


def note(run: Run) -> None:
    """The tags and the note of a run; nothing where it has none."""
    if run.pinned or run.tags:
        with st.container(horizontal=True, gap="small"):
            if run.pinned:
                st.badge("pinned baseline", icon=":material/keep:", color="blue", width="content")
            for one in run.tags:
                st.badge(words.md(one, engine.runs.LONGEST_TAG), color="gray", width="content")
    if run.note:
        st.caption("  \n".join(words.md(line, engine.runs.LONGEST_NOTE) or "\u00a0" for line in run.note.splitlines()))


def edit(run: Run, runs: Sequence[Run]) -> None:
    """A popover to rename, annotate and tag a run; the tags of all runs are offered."""
    with st.popover("Name and notes", icon=":material/edit_note:"), st.form(f"keep.{run.run_id}", border=False):
        name = st.text_input("Name", run.title, max_chars=engine.runs.LONGEST_NAME, key=f"keep.name.{run.run_id}")
        text = st.text_area("Note", run.note or "", max_chars=engine.runs.LONGEST_NOTE, key=f"keep.note.{run.run_id}", height=140)
        known = list(dict.fromkeys([*run.tags, *(one for other in runs for one in other.tags)]))
        tags = st.multiselect(
            "Tags", known, list(run.tags), accept_new_options=True, max_selections=engine.runs.MOST_TAGS, key=f"keep.tags.{run.run_id}"
        )
        if st.form_submit_button("Save", type="primary", key=f"keep.save.{run.run_id}"):
            _save(run, name, text, tags)


def _save(run: Run, name: str, text: str, tags: Sequence[str]) -> None:
    def write() -> None:
        if name != run.title:
            engine.runs.rename(run.run_id, name)
        if text != (run.note or ""):
            engine.runs.annotate(run.run_id, text)
        if tuple(tags) != run.tags:
            engine.runs.tag(run.run_id, tags)

    done(write, "Saved")


def done(write: Callable[[], str | None], message: str) -> None:
    """Write, then rerun the page with a toast; a refusal is shown beside the button.

    Args:
        message: of the toast, where `write` returns none.
    """
    try:
        result = write()
    except (ValueError, LookupError) as error:
        st.error(words.md(error.args[0] if error.args else error, 400))
        return
    st.session_state[TOAST] = message if result is None else result
    st.rerun()


def pin(run: Run) -> None:
    """A button that makes a finished training its dataset's baseline, or no longer."""
    if run.pinned:
        tooltip = "Comparisons on its dataset show differences to this run. After unpinning, they show differences to popularity again."
        if st.button("Unpin", icon=":material/keep_off:", key=f"unpin.{run.run_id}", help=tooltip):
            done(lambda: engine.runs.unpin(run.run_id), "Unpinned")
        return
    tooltip = "Comparisons on its dataset then show differences to this run, until another is pinned or it is unpinned."
    if st.button("Pin as baseline", icon=":material/keep:", key=f"pin.{run.run_id}", help=tooltip):
        done(lambda: engine.runs.pin(run.run_id), "Pinned as the baseline of its dataset")


def throw(run: Run, runs: Sequence[Run]) -> None:
    """A popover to move a run to the trash. It names the runs that depend on it, or says why the run cannot be moved."""
    with st.popover("Trash", icon=":material/delete:"):
        if why := engine.runs.why_kept(run):
            st.markdown(f"This run cannot be moved to the trash: {words.md(why)}.")
            return
        whose = engine.runs.why_not_yours(run.owner)
        if not allowed(whose, f"throw.force.{run.run_id}", "Move it all the same"):
            return
        _needed([run], runs)
        st.markdown("It disappears from all lists and can be restored for 30 days. Nothing is deleted.")
        if st.button("Move to trash", type="primary", key=f"throw.{run.run_id}"):
            _throw([run.run_id], force=whose is not None)


def allowed(why: str | None, key: str, label: str) -> bool:
    """Whether an action may go on: nothing speaks against it, or a person ticks that it may all the same."""
    if why is None:
        return True
    st.warning(words.md(f"{why[:1].upper()}{why[1:].rstrip('.')}.", 400), icon=":material/person_alert:")
    return st.checkbox(label, key=key)


def _needed(some: Sequence[Run], runs: Sequence[Run]) -> None:
    """Warn of runs that continue some of these, or use one in a funnel."""
    for run in some:
        if others := engine.runs.dependents(run.run_id, runs):
            named = ", ".join(words.md(other.title, 60) for other in others[:3]) + (" …" if len(others) > 3 else "")
            st.warning(
                f"{named} depends on {words.md(run.title, 60)}: it continues that run, or uses it in a funnel.", icon=":material/link:"
            )


def _throw(run_ids: list[str], force: bool = False) -> None:
    def move() -> str:
        refusals = engine.runs.trash(run_ids, force)
        gone = [run_id for run_id in run_ids if run_id not in {one.run_id for one in refusals}]
        st.session_state[UNDO] = gone
        st.session_state["annotations.refusals"] = [(one.title, one.reason) for one in refusals]
        if gone:
            st.query_params.pop("run", None)
        return "" if not gone else f"Moved {'the run' if len(gone) == 1 else f'{len(gone)} runs'} to the trash"

    done(move, "")


def undo() -> None:
    """At the top of the page: the toast of the last change, and an undo button for the last move to the trash."""
    if message := st.session_state.pop(TOAST, None):
        st.toast(words.md(message), icon=":material/check:")
    for title, reason in st.session_state.pop("annotations.refusals", []):
        st.warning(f"**{words.md(title, 80)}** was kept: {words.md(reason, 200)}.", icon=":material/keep:")
    if address.value("run"):  # another run was opened
        st.session_state.pop(UNDO, None)
    trashed = st.session_state.get(UNDO) or []
    there = {run.run_id for run in engine.runs.list_trash()} if trashed else set()
    gone = [run_id for run_id in trashed if run_id in there]
    if not gone:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        named = words.md(engine.runs.get_run(gone[0]).title, 80) if len(gone) == 1 else f"{len(gone)} runs"
        st.markdown(f"{named} moved to the trash.", width="content")
        if st.button("Undo", icon=":material/undo:", key="annotations.undo.button"):
            st.session_state.pop(UNDO)
            done(lambda: engine.runs.restore(gone), "Restored")


def trash() -> None:
    """An expander with the runs that can be restored."""
    trashed = engine.runs.list_trash()
    with st.expander(f"Trash ({len(trashed)})" if trashed else "Trash", icon=":material/delete:", key="annotations.trash"):
        if not trashed:
            st.caption("The trash is empty. Runs moved here disappear from all lists and can be restored for 30 days.")
        for run in trashed:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                if st.button("Restore", icon=":material/undo:", key=f"restore.{run.run_id}"):
                    done(lambda run=run: engine.runs.restore([run.run_id]), "Restored")  # type: ignore[misc]
                st.markdown(words.md(run.title, 80), width="content")
                st.caption(f"{words.md(run.dataset_name or '')} · moved here {words.ago(run.trashed_at)}", width="content")


def throw_several(ticked: Sequence[Run], runs: Sequence[Run]) -> None:
    """A popover that moves several runs to the trash; says which of them must stay, and which others depend on them."""
    with st.popover("Trash", icon=":material/delete:"):
        kept = {run.run_id: why for run in ticked if (why := engine.runs.why_kept(run) or engine.runs.why_not_yours(run.owner))}
        for run in (run for run in ticked if run.run_id in kept):
            st.caption(f"{words.md(run.title, 80)} stays: {words.md(kept[run.run_id], 200)}.")
        free = [run for run in ticked if run.run_id not in kept]
        _needed(free, runs)
        st.markdown("They disappear from all lists and can be restored for 30 days. Nothing is deleted.")
        if free and st.button(f"Move {len(free)} to trash", type="primary", key="annotations.several.button"):
            _throw([run.run_id for run in free])


def missing(noun: str, run_ids: Sequence[str]) -> None:
    """Runs in the address that cannot be shown: those in the trash, and unknown ones."""
    known = {run_id: _known(run_id) for run_id in run_ids}
    trashed = [run for run in known.values() if run is not None and run.trashed_at]
    for run in trashed:
        st.warning(
            f"**{words.md(run.title, 80)}** was moved to the trash {words.ago(run.trashed_at)}, so it is not shown. "
            "Restore it on the Runs page, under *Trash*, to see it again.",
            icon=":material/delete:",
        )
    if trashed:
        st.page_link("runs/page.py", label="Go to the Runs page", icon=":material/list:")
    unknown = [run_id for run_id in run_ids if run_id not in {run.run_id for run in trashed}]
    if unknown:
        layout.unknown(noun, unknown)


def _known(run_id: str) -> Run | None:
    try:
        return engine.runs.get_run(run_id)
    except LookupError:
        return None
