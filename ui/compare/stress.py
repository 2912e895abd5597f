"""Stress test: the same contenders under many protocols, as a grid of who is best and how surely, with a sentence above it."""

import plotly.graph_objects as go
import streamlit as st

import engine
from engine.compare import GRAY, Comparison, StressRow, StressTest
from ui.compare import slices, verdict
from ui.shared import address, charts, contents, words

ROW, AROUND = 26, 84  # pixels of a row; of what is above and below all rows
LONGEST = 46  # characters of a protocol's name
SHADES, INK = ((0, "#f1f6fa"), (1, "#66add6")), "#1b2630"  # opaque: the ink is read on them in light and in dark
HELP = (
    "NDCG under other protocols that could be defended as well, from the lists that runs stored: another k, the first or the last like as "
    "the target, users by their likes in training, items weighted against popularity, other thresholds of a like, halves of the period."
)


@st.cache_resource(max_entries=8, show_spinner=False)
def _tested(key: str, _comparison: Comparison) -> StressTest:
    return engine.compare.stress_test(_comparison)


def show(comparison: Comparison) -> None:
    """The section: a switch bound to ?stress=, then the sentence, the grid and what is not in it; no section where no two have lists."""
    if not engine.compare.can_stress(comparison):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        contents.header("Stress test", width="content")
        address.seed("compare.stress", "stress", address.value("stress") == "on")
        on = st.toggle("Try other protocols", key="compare.stress", help=HELP)
        address.remember("compare.stress", "stress", "on" if on else None)
    if not on:
        return
    try:
        with st.spinner("Measuring the stored lists under other protocols …"):
            test = _tested(_key_of(comparison), comparison)
    except (LookupError, ValueError) as error:
        st.info(words.md(error.args[0], 300))
        return
    sentence = engine.compare.stress_sentence(test)
    st.markdown(verdict.markdown(sentence))
    alt = f"NDCG of {len(shown(test))} contenders under {len(test.rows)} protocols. {engine.compare.plain(sentence)}"
    charts.show(figure(test), alt, key="compare.stress.grid")
    st.caption("★ surely best · ☆ best, but not surely · darker: closer to the best of the row · pale: fewer than 10 users")
    missing = [verdict.markdown(one) for one in engine.compare.not_here(test)]
    if missing:
        st.caption(" ".join(missing))


def _key_of(comparison: Comparison) -> str:
    """What identifies a stress test: the comparison, what its contenders are called, and what was repeated to say what seeds do."""
    repeated = [len(one.metrics) for one in comparison.repeats]
    return repr([slices.key_of(comparison), engine.compare.names(comparison.contenders), repeated])


def shown(test: StressTest) -> list[str]:
    """The letters of the columns: without random lists where popularity is there."""
    return [letter for letter in test.names if letter != "rnd" or "pop" not in test.names]


def figure(test: StressTest) -> go.Figure:
    """Protocols from top to bottom, contenders side by side; colour is a value as a share of the best of its row."""
    letters, places = shown(test), list(range(len(test.rows)))
    shares = [[_share(row, letter) for letter in letters] for row in test.rows]
    drawn = charts.blank("", "", height=ROW * len(places) + AROUND)
    drawn.add_heatmap(
        x=list(range(len(letters))),
        y=places,
        z=shares,
        zmin=min(min(row) for row in shares),
        zmax=1,
        colorscale=SHADES,
        textfont={"color": INK},
        showscale=False,
        xgap=2,
        ygap=2,
        text=[[_cell(row, letter) for letter in letters] for row in test.rows],
        texttemplate="%{text}",
        customdata=[[_told(row, test, letter) for letter in letters] for row in test.rows],
        hovertemplate="%{customdata}<extra></extra>",
    )
    labels = [_label(row) for row in test.rows]
    drawn.update_yaxes(tickvals=places, ticktext=labels, range=[len(places) - 0.5, -0.5], showgrid=False, fixedrange=True)
    heads = [words.html(test.names[letter] if letter in ("pop", "rnd") else letter, 12) for letter in letters]
    drawn.update_xaxes(tickvals=list(range(len(letters))), ticktext=heads, side="top", showgrid=False, fixedrange=True)
    longest = max(min(LONGEST, len(row.variant.name)) for row in test.rows)
    drawn.update_layout(hovermode="closest", margin={"l": 16 + 7 * longest, "t": 44, "b": 16})
    return drawn


def _share(row: StressRow, letter: str) -> float:
    best = max(row.values.values())
    return row.values[letter] / best if best > 0 else 1.0


def _cell(row: StressRow, letter: str) -> str:
    mark = "" if row.best != letter else "★ " if row.surely else "☆ "
    return f"{mark}{words.number(row.values[letter])}"


def _label(row: StressRow) -> str:
    name = words.html(row.variant.name, LONGEST)
    return f'<span style="color:{GRAY}">{name}</span>' if row.users < engine.compare.FEW_IN_SLICE else name


def _told(row: StressRow, test: StressTest, letter: str) -> str:
    share = words.percent(_share(row, letter))
    return (
        f"{words.html(row.variant.name, 80)}<br>{words.html(test.names[letter], 60)}: NDCG@{row.variant.k} "
        f"{words.number(row.values[letter])}, {share} of the best · {row.users:,} users"
    )
