"""Who differs from whom: paired tests of every two contenders, as rows, or as a matrix of signs where rows would be too many."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

import engine
from engine.compare import Answer, Comparison, PairVerdict, names, p_value, pair_answer, pair_difference, pair_needed
from ui.compare import view
from ui.shared import address, contents, tables, words

MOST_IN_ROWS = 6  # contenders; more make a matrix
SIGNS = {
    Answer.A_BETTER: "▲▼", Answer.B_BETTER: "▼▲", Answer.A_SLIGHTLY: "△▽", Answer.B_SLIGHTLY: "▽△", Answer.SAME: "==", Answer.UNKNOWN: "··",
}  # fmt: skip


def testable(comparison: Comparison) -> list[str]:
    """The metrics by which some pair was tested."""
    return engine.compare.testable(comparison)


def show(comparison: Comparison) -> None:
    """The section: a choice of metrics that can be tested, bound to ?pairs=, then the pairs; no section where no two can be tested."""
    options = testable(comparison)
    if not options:
        return
    contents.header("Who differs from whom")
    labels = {key: engine.specs.metric(key).label for key in options}
    metric = address.select("By", "compare.pairs", "pairs", labels, width=360)
    view.note(pairs=metric)
    tested = engine.compare.pairs(comparison, metric)
    letters = list(dict.fromkeys(letter for pair in tested for letter in (pair.a, pair.b)))
    if len(letters) > MOST_IN_ROWS:
        tables.show(matrix(tested, comparison, metric))
        st.caption("▲ the row is better than the column · ▼ worse · △ ▽ by less than matters · = the same · “·” cannot be told")
        with st.expander(f"All {len(tested)} pairs"):
            tables.show(rows(tested, comparison, metric))
    else:
        tables.show(rows(tested, comparison, metric))
    st.caption(engine.compare.pairs_basis(tested, comparison))


def rows(tested: Sequence[PairVerdict], comparison: Comparison, metric: str) -> str:
    """HTML: a row per pair, which names the better one."""
    short = _names(comparison)
    shown = pd.DataFrame(
        {
            "answer": [pair_answer(pair, comparison) for pair in tested],
            "difference": [pair_difference(pair) for pair in tested],
            "p": [p_value(pair.p_holm) for pair in tested],
            "visible from": [words.number(pair.smallest) for pair in tested],
            "users needed": [pair_needed(pair) for pair in tested],
        },
        index=[f"{short[pair.a]} − {short[pair.b]}" for pair in tested],
    )
    return tables.small_table(shown, head=engine.specs.metric(metric).label, tooltips=engine.compare.PAIR_HEADS)


def _names(comparison: Comparison) -> dict[str, str]:
    """Letter -> letter and short name; of a baseline its name."""
    short = names(comparison.contenders)
    return {c.letter: f"{c.letter} {words.plain(short[c.letter], 30)}" if c.run_id else c.name for c in comparison.contenders}


def matrix(tested: Sequence[PairVerdict], comparison: Comparison, metric: str) -> str:
    """HTML: signs of every contender, in rows, against every other, with the numbers as tooltips."""
    short, cells = _names(comparison), {}
    for pair in tested:
        tooltip = f"{short[pair.a]} − {short[pair.b]}: {pair_difference(pair)}, p {p_value(pair.p_holm)}, {pair_answer(pair, comparison)}"
        sign = SIGNS[pair.answer]
        cells[pair.a, pair.b], cells[pair.b, pair.a] = (sign[0], tooltip), (sign[1], tooltip)
    shown = [c for c in comparison.contenders if any(c.letter in pair for pair in cells)]
    heads = "".join(f'<th scope="col">{tables.letter(c)}</th>' for c in shown)
    body = []
    for one in shown:
        marks = "".join(_mark(cells.get((one.letter, other.letter))) for other in shown)
        name = words.html(short[one.letter], 40)
        body.append(f'<tr><th scope="row" class="text">{name}</th>{marks}</tr>')
    label = f"Who is better by {engine.specs.metric(metric).label}"
    head = f'<thead><tr><th class="text">{words.html(engine.specs.metric(metric).label)}</th>{heads}</tr></thead>'
    return tables.scrolling(f'<table class="facts" aria-label="{words.html(label)}">{head}<tbody>{"".join(body)}</tbody></table>', label)


def _mark(cell: tuple[str, str] | None) -> str:
    if cell is None:
        return '<td class="dim"></td>'
    return f'<td><span title="{words.html(cell[1], 300)}">{cell[0]}</span></td>'
