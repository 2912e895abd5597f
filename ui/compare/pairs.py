"""Who differs from whom: paired tests of every two contenders, as rows, or as a matrix of signs where rows would be too many."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

import engine
from engine.compare import Answer, Comparison, Reason, names, p_value
from ui.shared import address, tables, words

MOST_IN_ROWS = 6  # contenders; more make a matrix
EFFECTS = ((0.2, "negligible"), (0.5, "small"), (0.8, "medium"), (float("inf"), "large"))  # Cohen 1988
REASONS = {
    Reason.CHANCE: "no difference",
    Reason.SEEDS: "no difference: within the spread between seeds",
    Reason.SAME_SETTINGS: "no difference: the two differ in their seed alone",
}
SIGNS = {Answer.A_BETTER: "▲▼", Answer.B_BETTER: "▼▲", Answer.NO_DIFFERENCE: "··"}
Row = Mapping[Hashable, Any]  # of the frame that `engine.compare.pairs` gives
TOGETHER = {
    "user_auc": ", each weighted by its rows",
    "log_loss": ", all rows of a user together, as they are not independent",
}
HEADS = {
    "difference": "Mean of the first minus mean of the second, with its 95 % interval.",
    "p": "Probability of a difference at least this large if there were none, corrected for the number of pairs (Holm).",
    "effect": "The difference in standard deviations of the difference between users (Cohen's d).",
}


@st.cache_resource(max_entries=64, show_spinner=False)
def _tested(key: str, metric: str, _comparison: Comparison) -> pd.DataFrame:
    return engine.compare.pairs(_comparison, metric)


@st.cache_resource(max_entries=16, show_spinner=False)
def _testable(key: str, _comparison: Comparison) -> list[str]:
    return engine.compare.testable(_comparison)


def key_of(comparison: Comparison) -> str:
    """What identifies a comparison; finished runs do not change, so neither do results that are computed from it."""
    return repr([comparison.dataset, comparison.k, *((c.letter, c.run_ids, c.run_id) for c in comparison.contenders)])


def testable(comparison: Comparison) -> list[str]:
    """What `engine.compare.testable` gives, computed once."""
    return _testable(key_of(comparison), comparison)


def tested(comparison: Comparison, metric: str) -> pd.DataFrame:
    """What `engine.compare.pairs` gives, computed once."""
    return _tested(key_of(comparison), metric, comparison)


def show(comparison: Comparison) -> None:
    """The section: a choice of metrics that can be tested, bound to ?pairs=, then the pairs; no section where no two can be tested."""
    options = testable(comparison)
    if not options:
        return
    st.subheader("Who differs from whom", anchor=False)
    labels = {key: engine.specs.metric(key).label for key in options}
    metric = address.select("By", "compare.pairs", "pairs", labels, width=360)
    frame = tested(comparison, metric)
    if frame.empty:
        st.caption("No two contenders were measured on the same users or rows.")
        return
    letters = list(dict.fromkeys([*frame["a"], *frame["b"]]))
    if len(letters) > MOST_IN_ROWS:
        tables.show(matrix(frame, comparison, metric))
        st.caption("▲ the row is better than the column · ▼ worse · “·” no significant difference")
        with st.expander(f"All {len(frame)} pairs"):
            tables.show(rows(frame, comparison, metric))
    else:
        tables.show(rows(frame, comparison, metric))
    st.caption(basis(frame, metric))


def basis(frame: pd.DataFrame, metric: str) -> str:
    """How the pairs were tested."""
    many = f"{words.count(frame['n'].max())} test {frame['unit'].iloc[0]}"
    together = TOGETHER.get(metric, "") if frame["unit"].iloc[0] == "users" else ""
    kind = f"Paired DeLong tests over {many}" if metric == "auc" else f"Paired sign-flip tests over {many}{together}"
    return f"{kind} · p corrected for {_pairs(frame)} (Holm) · significant: p below 0.05"


def _pairs(frame: pd.DataFrame) -> str:
    return f"{len(frame)} pairs" if len(frame) > 1 else "1 pair"


def rows(frame: pd.DataFrame, comparison: Comparison, metric: str) -> str:
    """HTML: a row per pair, which names the better one."""
    short = _names(comparison)
    places = words.decimals(max(frame["difference"].abs().max(), 1e-4))
    shown = pd.DataFrame(
        {
            "difference": [_difference(row, places) for row in frame.to_dict("records")],
            "p": [p_value(p) for p in frame["p_holm"]],
            "effect": [effect(size) for size in frame["effect"]],
            "": [_verdict(row, comparison) for row in frame.to_dict("records")],
        },
        index=[f"{short[a]} − {short[b]}" for a, b in zip(frame["a"], frame["b"], strict=True)],
    )
    return tables.small_table(shown, head=engine.specs.metric(metric).label, tooltips=HEADS)


def _names(comparison: Comparison) -> dict[str, str]:
    """Letter -> letter and short name; of a baseline its name."""
    short = names(comparison.contenders)
    return {c.letter: f"{c.letter} {words.plain(short[c.letter], 30)}" if c.run_id else c.name for c in comparison.contenders}


def _difference(row: Row, places: int) -> str:
    difference = words.signed(row["difference"], places)
    if words.missing(row["low"]) or words.missing(row["high"]):
        return difference
    return f"{difference} ({words.signed(row['low'], places)} to {words.signed(row['high'], places)})"


def _verdict(row: Row, comparison: Comparison) -> str:
    if row["verdict"] == Answer.NO_DIFFERENCE:
        return REASONS[Reason(row["reason"])]
    better = row["a" if row["verdict"] == Answer.A_BETTER else "b"]
    return f"{next(c.letter if c.run_id else c.name for c in comparison.contenders if c.letter == better)} is better"


def effect(size: float) -> str:
    """An effect size in Cohen's words, with the number."""
    if words.missing(size):
        return words.DASH
    return f"{next(name for most, name in EFFECTS if abs(size) < most)} ({abs(size):.2f})"


def matrix(frame: pd.DataFrame, comparison: Comparison, metric: str) -> str:
    """HTML: signs of every contender, in rows, against every other, with the numbers as tooltips."""
    short, cells = _names(comparison), {}
    places = words.decimals(max(frame["difference"].abs().max(), 1e-4))
    for row in frame.to_dict("records"):
        tooltip = (
            f"{short[row['a']]} − {short[row['b']]}: {_difference(row, places)}, p {p_value(row['p_holm'])}, {_verdict(row, comparison)}"
        )
        sign = SIGNS[Answer(row["verdict"])]
        cells[row["a"], row["b"]], cells[row["b"], row["a"]] = (sign[0], tooltip), (sign[1], tooltip)
    shown = [c for c in comparison.contenders if any(c.letter in pair for pair in cells)]
    heads = "".join(f'<th scope="col">{tables.letter(c)}</th>' for c in shown)
    body = []
    for one in shown:
        marks = "".join(_mark(cells.get((one.letter, other.letter))) for other in shown)
        name = words.html(short[one.letter], 40)
        body.append(f'<tr><th scope="row" class="text">{name}</th>{marks}</tr>')
    label = words.html(f"Who is better by {engine.specs.metric(metric).label}")
    head = f'<thead><tr><th class="text">{words.html(engine.specs.metric(metric).label)}</th>{heads}</tr></thead>'
    return f'<div class="rb rb-scroll"><table class="facts" aria-label="{label}">{head}<tbody>{"".join(body)}</tbody></table></div>'


def _mark(cell: tuple[str, str] | None) -> str:
    if cell is None:
        return '<td class="dim"></td>'
    return f'<td><span title="{words.html(cell[1], 300)}">{cell[0]}</span></td>'
