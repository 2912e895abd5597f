"""Funnels on the Compare page: one contender's model retrieves, another's ranks; relevant items lost at each stage, by candidates."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

import engine
from engine import compare
from engine.compare import COLORS, Comparison, Contender
from ui.runs import launch, live
from ui.shared import charts, contents, words

KIND = "funnel"
PARTS = (
    ("found", "found", COLORS[2]),
    ("lost_at_ranking", "lost at ranking", COLORS[3]),
    ("lost_at_retrieval", "lost at retrieval", COLORS[1]),
)
TIMES = (("latency_p50_ms", "median", "solid"), ("latency_p99_ms", "99th percentile", "dot"))
HEIGHT = 340


def section(comparison: Comparison) -> None:
    """What each funnel of the comparison reaches and loses, and a form that measures another one."""
    runs = [c for c in comparison.contenders if c.run_id is not None]
    made, parts = [c for c in runs if c.model == KIND], [c for c in runs if c.model != KIND]
    if not made and len(parts) < 2:
        return
    contents.header("Funnels")
    if made:
        _losses(comparison, made)
    if len(parts) > 1:
        _form(comparison, parts)


@st.fragment
def _losses(comparison: Comparison, made: list[Contender]) -> None:
    short = engine.compare.names(comparison.contenders)
    names = {c.runs[0]: f"{c.letter} {words.plain(short[c.letter], 80)}" for c in made}
    run_id = made[0].runs[0]
    if len(made) > 1:
        run_id = st.selectbox("Funnel", list(names), format_func=lambda one: names[one], key="compare.funnel") or run_id
    try:
        found = engine.runs.funnel_losses(run_id)
    except (LookupError, ValueError, OSError) as error:
        st.info(words.md(error, 400), icon=":material/block:")
        return
    curve = pd.DataFrame(found["curve"])
    sizes = [int(n) for n in curve["candidates"]]
    own = found["candidates"] if found["candidates"] in sizes else sizes[-1]
    n = st.select_slider("Candidates, N", sizes, value=own, key=f"compare.funnel.n.{run_id}", format_func=words.count)
    row = curve[curve["candidates"] == n].iloc[0].to_dict()
    st.markdown(sentence(row, found["k"]))
    if "order" in found:
        st.markdown(ordered(found["order"], found["k"]))
    left, right = st.columns(2)
    with left:
        charts.show(
            reached(curve, found["k"], n), f"Recall ceiling and final quality of {names[run_id]} over N", key="compare.funnel.reached"
        )
    with right:
        if "latency_p50_ms" in curve:
            charts.show(waited(curve, n), f"Time for one list of {names[run_id]} over N", key="compare.funnel.waited")
    if found.get("order", {}).get("tried"):
        alt = f"Validation of {names[run_id]} over the retriever's share in the order"
        charts.show(shared(found["order"], found["k"]), alt, key="compare.funnel.shared")
    charts.show(lost(curve, n), "Shares of the relevant items found and lost, for each N", key="compare.funnel.lost")
    st.caption(index_sentence(found["index"]))


def sentence(row: Mapping[Hashable, Any], k: int) -> str:
    """Markdown: what becomes of the relevant items with some number of candidates, and how long a list takes."""
    shares = ", ".join(f"**{words.percent(row[key])}** {'were ' if key == 'found' else ''}{name}" for key, name, _ in PARTS)
    text = f"With N = {words.count(row['candidates'])}, of the relevant items that fit into a list of {k}, {shares}."
    if "latency_p50_ms" in row:
        parts = ", ".join(
            f"{name} {words.number(row[f'{name}_p50_ms'])}" for name in ("encode", "retrieve", "rank") if f"{name}_p50_ms" in row
        )
        text += (
            f" One list takes {words.number(row['latency_p50_ms'])} ms on one thread (99th percentile "
            f"{words.number(row['latency_p99_ms'])} ms): {parts}."
        )
    return text


def ordered(order: dict[str, Any], k: int) -> str:
    """Markdown: how much of the order is the retriever's, and its NDCG on validation."""
    share = order["share"]
    alone = {0: "The order is the ranker's alone", 1: "The order is the retriever's alone"}
    text = alone.get(share, f"The order is **{words.percent(share)}** the retriever's score")
    tried = {row["share"]: row["ndcg"] for row in order["tried"]}
    if not tried:
        return f"{text}."
    of = f"on {words.count(order['users'])} validation users NDCG@{k} is {words.number(tried[share])}"
    rankers = f", with the ranker alone {words.number(tried[0.0])}" if share else ""
    return f"{text}{', chosen on validation' if order['tuned'] else ''}: {of}{rankers}."


def index_sentence(facts: dict[str, Any]) -> str:
    """Markdown: which index the candidates come from, and how close to exact search it is."""
    if not facts.get("factory"):
        return "The retriever has no vectors: candidates are its best items by score, out of the whole catalogue."
    kind = "exact search" if facts["factory"] == "Flat" else f"index {words.md(facts['factory'], 60)}"
    recall = f", recall of the exact top 100: {words.number(facts['recall_at_100'])}" if facts["factory"] != "Flat" else ""
    return f"Candidates come from a FAISS {kind} over {words.count(facts['items'])} items{recall}."


def _over_candidates(curve: pd.DataFrame, y: str) -> go.Figure:
    figure = charts.blank("candidates, N", y, height=HEIGHT, legend=True)
    sizes = curve["candidates"].tolist()
    apart = [n for at, n in enumerate(sizes) if at in (0, len(sizes) - 1) or sizes[-1] / n > 1.5]  # labels that would touch are left out
    figure.update_xaxes(type="log", tickvals=apart, ticktext=[words.count(n) for n in apart])
    return figure


def _mark(figure: go.Figure, n: float) -> go.Figure:
    figure.add_vline(x=n, line={"color": compare.GRAY, "dash": "dash", "width": 1})
    return figure


def reached(curve: pd.DataFrame, k: int, n: int) -> go.Figure:
    """Recall ceiling, recall@k and NDCG@k over N."""
    figure = _over_candidates(curve, "share, or NDCG")
    drawn = (("recall_ceiling", "recall ceiling"), (f"recall_at_{k}", f"recall@{k}"), (f"ndcg_at_{k}", f"NDCG@{k}"))
    for at, (key, name) in enumerate(drawn):
        look = compare.look(at)
        figure.add_scatter(
            x=curve["candidates"], y=curve[key], name=name, mode="lines+markers", hovertemplate="%{y:.3f}",
            line={"color": look.color, "dash": look.dash, "width": 2}, marker={"symbol": look.marker, "size": 7},
        )  # fmt: skip
    return _mark(figure, n)


def shared(order: dict[str, Any], k: int) -> go.Figure:
    """NDCG@k on validation over the retriever's share in the order."""
    figure, look = charts.blank("retriever's share in the order (%)", f"NDCG@{k}, validation", height=240), compare.look(2)
    figure.add_scatter(
        x=[100 * row["share"] for row in order["tried"]], y=[row["ndcg"] for row in order["tried"]], mode="lines+markers",
        hovertemplate="%{y:.4f}", line={"color": look.color, "dash": look.dash, "width": 2}, marker={"symbol": look.marker, "size": 7},
    )  # fmt: skip
    return _mark(figure, 100 * order["share"])


def waited(curve: pd.DataFrame, n: int) -> go.Figure:
    """Milliseconds of one list over N."""
    figure, look = _over_candidates(curve, "time for one list (ms)"), compare.look(3)
    for key, name, dash in TIMES:
        figure.add_scatter(
            x=curve["candidates"], y=curve[key], name=name, mode="lines+markers", hovertemplate="%{y:.2f} ms",
            line={"color": look.color, "dash": dash, "width": 2}, marker={"symbol": look.marker, "size": 7},
        )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    return _mark(figure, n)


def lost(curve: pd.DataFrame, n: int) -> go.Figure:
    """A bar for each N: found, lost at ranking, lost at retrieval; the chosen N is the one in full colour."""
    names = [words.count(size) for size in curve["candidates"]]
    figure = charts.blank("share of the relevant items (%)", "N", height=70 + 30 * len(curve), legend=True)
    for key, name, color in PARTS:
        opacity = [1.0 if size == n else 0.55 for size in curve["candidates"]]
        figure.add_bar(
            y=names, x=100 * curve[key], name=name, orientation="h", hovertemplate="%{x:.1f} %",
            marker={"color": color, "opacity": opacity, "line": {"width": 0}},
        )  # fmt: skip
    figure.update_layout(barmode="stack", hovermode="y unified", bargap=0.25)
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_xaxes(range=[0, 100])
    return figure


def _form(comparison: Comparison, parts: list[Contender]) -> None:
    """Choose retriever, ranker and N, and measure the funnel as a run of its own."""
    short = engine.compare.names(comparison.contenders)
    names = {c.runs[0]: f"{c.letter} · {words.plain(short[c.letter], 80)}" for c in parts}
    stages = {c.runs[0]: getattr(engine.specs.MODELS.get(c.model), "stage", "ranking") for c in parts}
    firsts = sorted(names, key=lambda one: stages[one] != "retrieval")
    with st.expander("Measure a funnel", icon=":material/filter_alt:", expanded=False, key="compare.funnel.form"):
        st.caption("One model picks N candidates out of the whole catalogue, another orders them. Nothing is trained; it takes seconds.")
        left, middle, right = st.columns([2, 2, 1])
        retriever = left.selectbox("Retriever", firsts, format_func=lambda one: names[one], key="compare.funnel.retriever") or firsts[0]
        others = [one for one in sorted(names, key=lambda one: stages[one] != "ranking") if one != retriever]
        ranker = (
            middle.selectbox("Ranker", others, format_func=lambda one: names[one], key=f"compare.funnel.ranker.{retriever}") or others[0]
        )
        candidates = right.number_input("Candidates, N", 10, 10_000, 200, 50, key="compare.funnel.candidates")
        share = st.select_slider(
            "The retriever's share in the order", [None, *(tenth / 10 for tenth in range(11))], key="compare.funnel.share",
            format_func=lambda one: "chosen on validation" if one is None else words.percent(one),
            help="The candidates' order adds the scores of both, each divided by its standard deviation; 0 %: the ranker alone orders "
            "them, 100 %: the retriever alone",
        )  # fmt: skip
        try:
            spec = engine.runs.funnel(retriever, ranker, int(candidates), share=share)
        except (LookupError, ValueError) as error:
            st.info(words.md(error, 600), icon=":material/block:")
            return
        launched = launch.button([spec], complete=True, key="compare.funnel", label="Measure the funnel")
        if launched and live.watch(launched):
            together = {"runs": ",".join([*(c.run_id for c in comparison.contenders if c.run_id), *launched])}
            st.page_link("compare/page.py", label="Compare it with these", icon=":material/balance:", query_params=together)
