"""The search of a run, live or ended: which trial it is at, the best so far, what each trial reached, and which settings mattered."""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

import engine
from engine.compare import COLORS, GRAY
from engine.runs import Run
from engine.searches import Search, SearchTrial
from ui.runs import parallel
from ui.shared import charts, words

MARKS = {"done": ("circle", "through"), "pruned": ("triangle-down-open", "ended early"), "failed": ("x-thin-open", "failed")}
NEW_BEST = "Best so far"
MEANING = (
    "The share of the variance over what was tried that a setting explains, alone and with others (fANOVA, Hutter et al., ICML 2014). "
    "It says where another value would matter, not which value is best."
)


def section(run: Run, search: Search) -> None:
    """Where the search is, the chart of its trials, importance and parallel coordinates once there are enough trials."""
    st.subheader("Search", anchor=False)
    _where(run, search)
    if not search.trials:
        st.caption("The first trial is under way.")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown(f"**{_label(search)} by trial**")
        charts.show(trials_chart(search), _alt(search), key=f"trials.{search.run_id}")
        st.caption(_counted(search))
    mattered = right.container()
    _what_was_tried(search)
    with mattered:  # last, since it takes seconds to compute
        _importance(search)


def _where(run: Run, search: Search) -> None:
    """Trial 3 of 20, the best so far and its settings."""
    done, best, progress = len(search.trials), search.best, run.progress
    under_way = progress.trial if run.live and progress and progress.trial else None
    tried = f"{words.count(done)} of {words.count(search.of)}"
    cells = (
        [("Trial", f"{under_way} of {search.of}", f"{tried} trials are through.")] if under_way else [("Trials", tried, _limits(search))]
    )
    if best is not None and best.value is not None:
        cells.append((f"Best {_label(search)}", words.number(_shown(search, best)), f"On validation, of trial {best.number}."))
    cells.append(("Time of trials", words.duration(sum(one.seconds for one in search.trials)), "Training and validation of all."))
    grid = st.grid(min_column_width=150, gap="small")
    for label, value, tooltip in cells:
        grid.metric(label, value, help=tooltip)
    if best is not None:
        st.markdown(f"**{'Best so far' if run.live else 'Chosen'}**, trial {best.number}: {words.md(settings_of(best), 800)}")


def _limits(search: Search) -> str:
    how = {"tpe": "Proposed by TPE", "random": "Drawn at random"}[search.sampler]
    ends = "" if search.minutes is None else f"; none began after {search.minutes:g} min"
    return f"{how}{ends}. The first trial has the settings as they were given."


def settings_of(trial: SearchTrial) -> str:
    """Embedding dim 64 · dropout 0.2."""
    parts = [f"{words.field_label(name.rpartition('.')[2])} {_text(value)}" for name, value in trial.settings.items()]
    return " · ".join(parts) or "nothing to set"


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _label(search: Search) -> str:
    return engine.specs.METRICS[search.metric].label if search.metric in engine.specs.METRICS else "Validation"


def _shown(search: Search, trial: SearchTrial) -> float | None:
    """The metric itself, where the value by which trials are chosen has another sign."""
    return trial.valid.get(search.metric or "", trial.value)  # type: ignore[arg-type]


def trials_chart(search: Search) -> go.Figure:
    """A mark for each trial by how it ended, and the best so far as a line in steps; those that failed are at the lower edge."""
    drawn = charts.blank("trial", f"{_label(search)} (validation)", 300, legend=True)
    known = [value for one in search.trials if (value := _shown(search, one)) is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    below = low - 0.08 * ((high - low) or 1.0)
    steps = best_so_far(search)
    drawn.add_scatter(
        x=[at for at, _ in steps], y=[value for _, value in steps], mode="lines", name=NEW_BEST, hovertemplate="%{y:.4g}",
        line={"color": COLORS[0], "width": 2, "shape": "hv"},
    )  # fmt: skip
    for state, (symbol, name) in MARKS.items():
        those = [one for one in search.trials if one.state == state]
        if not those:
            continue
        outline = {"width": 0 if state == "done" else 2}
        heights = [below if (value := _shown(search, one)) is None else value for one in those]
        drawn.add_scatter(
            x=[one.number for one in those], y=heights, mode="markers", name=name, hovertemplate="%{customdata}<extra></extra>",
            marker={"symbol": symbol, "size": 9, "color": COLORS[0] if state == "done" else GRAY, "line": outline},
            customdata=[_hover(search, one) for one in those],
        )  # fmt: skip
    drawn.update_layout(hovermode="closest")
    if len(search.trials) <= 12:
        drawn.update_xaxes(tick0=1, dtick=1)
    return drawn


def _hover(search: Search, trial: SearchTrial) -> str:
    reached = words.number(_shown(search, trial)) if trial.value is not None else trial.why or "no value"
    settings = "<br>".join(words.html(part, 80) for part in settings_of(trial).split(" · "))
    return f"trial {trial.number}: {words.html(reached, 120)}<br>{settings}"


def best_so_far(search: Search) -> list[tuple[int, float]]:
    """(trial, the metric of the best up to it), from the first that has a value to the last."""
    found, best = [], None
    for one in search.trials:
        if one.value is not None and (best is None or one.value > best.value):  # type: ignore[operator]
            best = one
        if best is not None and (shown := _shown(search, best)) is not None:
            found.append((one.number, shown))
    return found


def _counted(search: Search) -> str:
    """How the trials ended; of those that failed the last reason."""
    counts = {name: sum(one.state == state for one in search.trials) for state, (_, name) in MARKS.items()}
    said = ", ".join(f"{words.count(count)} {name}" for name, count in counts.items() if count)
    why = next((one.why for one in reversed(search.trials) if one.state == "failed" and one.why), "")
    return f"{said}.{f' The last failure: {words.md(why, 300)}' if why else ''}"


def _alt(search: Search) -> str:
    best = search.best
    reached = "" if best is None else f"; the best is trial {best.number} with {words.number(_shown(search, best))}"
    return f"{_label(search)} on validation of {len(search.trials)} trials{reached}"


def _importance(search: Search) -> None:
    """Bars of how much each setting mattered; says how many trials are missing while there are too few."""
    st.markdown("**Which settings mattered**", help=MEANING)
    left = engine.searches.FEWEST - len(search.with_value)
    if left > 0:
        st.caption(f"From {engine.searches.FEWEST} trials with a value on; {left} to go.")
        return
    with st.spinner("Computing the importance of settings …"):
        shares = engine.searches.importance(search.run_id)
    if not shares:
        st.caption("All trials reached the same value, so no setting mattered.")
        return
    names = [words.html(words.field_label(one.setting.rpartition(".")[2]), 40) for one in shares]
    drawn = charts.blank("share of the variance", "", max(140, 60 + 26 * len(shares)))
    drawn.add_bar(
        x=[one.share for one in shares], y=names, orientation="h", marker={"color": COLORS[0]}, hovertemplate="%{x:.0%}<extra></extra>"
    )
    drawn.update_layout(margin={"l": 150}, hovermode="closest")
    drawn.update_yaxes(autorange="reversed")
    drawn.update_xaxes(tickformat=".0%", rangemode="tozero")
    said = ", ".join(f"{name} {words.percent(one.share)}" for name, one in zip(names, shares, strict=True))
    charts.show(drawn, f"Importance of settings: {said}", key=f"importance.{search.run_id}")


def _what_was_tried(search: Search) -> None:
    """Parallel coordinates over the settings, coloured by the value; from two trials with values on."""
    trials, named = search.with_value, dict[str, list[Any]]()
    for name in dict.fromkeys(name for one in trials for name in one.settings):
        title, values = words.field_label(name.rpartition(".")[2]), [parallel.cell(_plain(one.settings.get(name))) for one in trials]
        if len(set(values)) > 1:
            named[title if title not in named else f"{title} ({name.partition('.')[0]})"] = values
    if len(trials) < 2 or not named:
        return
    reached = [_shown(search, one) for one in trials]
    st.markdown("**What was tried**")
    st.caption(
        f"A line is a trial; its colour goes from blue, the lowest {_label(search)}, to orange. Drag along an axis to pick out a range."
    )
    axes = [parallel.axis(title, values) for title, values in (named | {_label(search): reached}).items()]
    charts.show(parallel.figure(axes, reached), f"{len(trials)} trials over {', '.join(named)}", key=f"tried.{search.run_id}")


def _plain(value: object) -> object:
    """A value for an axis: numbers as they are, all else as text."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)
