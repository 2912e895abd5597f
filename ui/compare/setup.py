"""Parts of the Compare page: the baseline, runs that cannot be compared with the others, settings."""

import math

import streamlit as st

import engine
from engine.compare import Comparison
from engine.specs import TARGETS, Target
from ui.compare import metric_tables
from ui.shared import address, contents, picker, tables, words

BASELINES = {"popularity": "Popularity", "random": "Random", "user_mean": "User mean", "oracle": "Best possible"}
BESIDE = 3  # contenders whose table has room beside the curves; a wider one gets the width of the page


def baseline(groups: list[list[str]]) -> str:
    """The contender that differences are taken from: a baseline of the dataset or a run, by default the pinned one; bound to ?baseline=.

    Args:
        groups: the run ids behind each contender, in the order of their letters.
    """
    firsts = [group[0] for group in groups]
    options = [*_known_baselines(firsts), *firsts]
    pinned = [group[0] for group in groups if any(engine.runs.get_run(run_id).pinned for run_id in group)]
    asked, usual = address.value("baseline"), (pinned or options)[0]
    asked = next((group[0] for group in groups if asked in group), asked)
    address.seed("compare.baseline", "baseline", asked if asked in options else usual)
    if st.session_state["compare.baseline"] not in options:
        st.session_state["compare.baseline"] = usual
    short = words.short_names({run_id: engine.runs.get_run(run_id).title for run_id in firsts})
    names = {name: BASELINES.get(name, words.field_label(name)) for name in options} | {
        run_id: f"{chr(65 + at)} · {words.plain(short[run_id], 60)}{' · pinned' if run_id in pinned else ''}"
        for at, run_id in enumerate(firsts)
    }
    chosen = st.selectbox("Differences against", options, format_func=lambda name: names[name], key="compare.baseline")
    address.remember("compare.baseline", "baseline", None if chosen == usual else chosen)
    if not pinned:
        _offer_pinned(groups)
    return chosen or usual


def _offer_pinned(groups: list[list[str]]) -> None:
    """A link that adds the dataset's pinned baseline, where there is one that is not compared."""
    ids = [run_id for group in groups for run_id in group]
    found = engine.runs.pinned(engine.runs.get_run(ids[0]).dataset or "")
    if found is not None:
        label = f"Add the pinned {words.md(found.title, 40)}"
        st.page_link("compare/page.py", label=label, icon=":material/keep:", query_params={"runs": ",".join([*ids, found.run_id])})


def _known_baselines(run_ids: list[str]) -> list[str]:
    """Baselines of the first run's dataset, the usual ones first; none where the dataset is gone."""
    try:
        found = engine.datasets.baseline_results(engine.runs.get_run(run_ids[0]).dataset or "")
    except (LookupError, ValueError, OSError):
        return []
    return sorted(found, key=lambda name: list(BASELINES).index(name) if name in BASELINES else len(BASELINES))


def threshold() -> float:
    """The difference that matters to the person, as a share of a value; bound to ?matters=, in percent."""
    usual = 100 * engine.compare.THRESHOLD
    try:
        asked = float(address.value("matters") or usual)
    except ValueError:
        asked = usual
    address.seed("compare.matters", "matters", min(50.0, max(0.0, asked)) if math.isfinite(asked) else usual)
    text = "The smallest difference that would change your choice, in percent of a value (of an AUC: of its distance from 0.5)."
    chosen = float(st.number_input("What matters, in %", 0.0, 50.0, step=0.5, format="%g", key="compare.matters", help=text))
    address.remember("compare.matters", "matters", None if chosen == usual else f"{chosen:g}")
    return chosen / 100


def question(run_id: str) -> Target | None:
    """Which of the items that users went on to like count, where the dataset of a run knows several; bound to ?question=.

    None: as it was measured.
    """
    first = engine.runs.get_run(run_id)
    targets = engine.compare.targets_of(first.dataset or "")
    usual = engine.compare.protocol_of(first).target
    if len(targets) < 2 or usual not in targets:
        return None
    asked = address.value("question")
    address.seed("compare.question", "question", asked if asked in targets else usual)
    help_text = "What a list should hold. Runs are measured again by their stored lists; nothing is trained."
    chosen = st.selectbox("Question", targets, format_func=lambda one: TARGETS[one].capitalize(), key="compare.question", help=help_text)
    address.remember("compare.question", "question", None if chosen == usual else chosen)
    return chosen


def compared(
    run_ids: tuple[str, ...],
    baseline_name: str,
    seeds: bool,
    matters: float,
    k: int = engine.compare.STORED_K,
    target: Target | None = None,
) -> Comparison:
    """The comparison of finished runs, lists cut at k; made once, until a run is renamed or another training of the dataset ends."""
    first = engine.runs.get_run(run_ids[0])
    others = sum(run.dataset == first.dataset for run in picker.finished())  # repeats among them say what seeds do
    titles = tuple(engine.runs.get_run(run_id).title for run_id in run_ids)
    lacking = tuple(engine.runs.why_incomplete(run_id) for run_id in run_ids)  # it may come to be reached
    return _compared(run_ids, baseline_name, seeds, matters, k, target, (*titles, *lacking), others)


@st.cache_resource(max_entries=16, show_spinner=False)
def _compared(
    run_ids: tuple[str, ...],
    baseline_name: str,
    seeds: bool,
    matters: float,
    k: int,
    target: Target | None,
    known: tuple[str | None, ...],
    others: int,
) -> Comparison:
    """Results of finished runs no longer change, so neither does this."""
    return engine.compare.compare(run_ids, baseline=baseline_name, seeds=seeds, k=k, threshold=matters, target=target)


def apart(comparison: Comparison) -> None:
    """Runs that were chosen but cannot be compared with the others, each with the reason."""
    for title, reason in comparison.apart:
        st.warning(f"**{words.md(title, 80)}** is not compared: {words.md(reason, 400)}.", icon=":material/call_split:")
    for letter, why in comparison.incomplete.items():
        st.warning(f"**{words.md(letter)}** can win nothing: {words.md(why, 600)}.", icon=":material/cloud_off:")


def dataset_name(comparison: Comparison) -> str:
    """The dataset's title; its id when it is gone."""
    try:
        return str(engine.datasets.get_dataset(comparison.dataset).title)
    except LookupError:
        return str(comparison.dataset)


def no_ranking(comparison: Comparison) -> str | None:
    """Why the runs can only be compared by predictions of rows; None where they rank, or where their dataset is gone."""
    try:
        return engine.datasets.why_no_ranking(engine.datasets.get_dataset(comparison.dataset))
    except LookupError:
        return None


def settings(comparison: Comparison) -> None:
    """The settings in which the runs differ, or all of them; bound to ?settings=all."""
    runs = [c for c in comparison.contenders if c.run_id is not None]
    if len(runs) < 2:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        contents.header("Settings", width="content")
        address.seed("compare.differs", "settings", address.value("settings") != "all")
        only = st.toggle("Only what differs", key="compare.differs")
        address.remember("compare.differs", "settings", None if only else "all")
    frame = comparison.differences if only else comparison.settings
    if frame is None or frame.empty:
        st.caption("The runs have the same settings.")
        return
    tables.show(metric_tables.settings_table(frame, runs))
