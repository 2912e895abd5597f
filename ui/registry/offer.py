"""A popover that registers a finished run: its name and alias, how large it will be, and progress."""

from collections.abc import Sequence

import streamlit as st

import engine
from ui.shared import words

ALIAS = "champion"
KNOWS = "The server then takes user_id. Their ids, what the model reads of them, and what they met leave the workbench with the model."


def offer(titles: dict[str, str], compared_with: Sequence[str] = (), best: str | None = None, key: str = "register") -> None:
    """Offer to register one of some runs.

    Args:
        titles: run id -> what the page calls it. compared_with: all runs of the comparison that it is chosen from. best: the run that is
            offered first; None: the first.
    """
    if not titles:
        return
    with st.popover("Register", icon=":material/inventory_2:", key=f"{key}.box", on_change="rerun") as box:
        if not box.open:  # what follows reads the run's files, or fetches them from where it was trained
            return
        st.caption("Puts a model into MLflow's registry, from which `mlflow models serve` serves the lists of these pages.")
        options = list(titles)
        run_id = options[0]
        if len(options) > 1:
            at = options.index(best) if best in titles else 0
            run_id = st.selectbox("Model", options, at, format_func=lambda one: words.plain(titles[one], 80), key=f"{key}.run") or run_id
        run = engine.runs.get_run(run_id)
        if why := engine.registry.why_not_registered(run):
            st.info(words.md(why, 400), icon=":material/block:")
            return
        left, right = st.columns(2)
        usual = engine.registry.default_name(run.dataset_name or run.dataset or "")
        name = left.text_input("Name", usual, max_chars=100, key=f"{key}.name.{run.dataset}")
        alias = right.text_input("Alias", ALIAS, max_chars=50, key=f"{key}.alias", help="This version gets it, and another one loses it.")
        users = st.toggle("Know users by id", True, key=f"{key}.users", help=KNOWS)
        if not _say_size(run_id, users):
            return
        if st.button("Register", type="primary", icon=":material/inventory_2:", key=f"{key}.go"):
            _register(run_id, name.strip(), alias.strip(), users, compared_with)


def _say_size(run_id: str, users: bool) -> bool:
    """Whether the size is known; else why not is said."""
    try:
        size = engine.registry.sizes(run_id, users)
    except (LookupError, ValueError, OSError) as error:
        st.error(words.md(error.args[0] if error.args else error, 600), icon=":material/error:")
        return False
    parts = {"weights": size.weights, "index": size.vectors, "items": size.items, "users": size.people}
    said = ", ".join(f"{part} {words.size(count)}" for part, count in parts.items() if count)
    st.caption(f"About {words.size(size.whole)}: {said}.")
    return True


def _register(run_id: str, name: str, alias: str, users: bool, compared_with: Sequence[str]) -> None:
    bar = st.progress(0.0, "Opening the model")

    def report(what: str, done: int, of: int) -> None:
        bar.progress(min(1.0, done / max(1, of)), what[:1].upper() + what[1:])

    try:
        made = engine.registry.register(run_id, name or None, alias or None, users, compared_with, report)
    except (LookupError, ValueError, OSError) as error:
        bar.empty()
        st.error(words.md(error.args[0] if error.args else error, 600), icon=":material/error:", title="Not registered")
        return
    bar.empty()
    st.success(f"{words.md(made.name, 100)}, version {made.version}, is registered.", icon=":material/check_circle:")
    st.page_link(
        "registry/page.py",
        label="See it, and how it is served",
        icon=":material/inventory_2:",
        query_params={"model": made.name, "version": str(made.version)},
    )
