"""Where tables go, as a picture: ranks from left to right, above what each holds in all, below a row for each table."""

from collections.abc import Callable
from typing import Literal

import plotly.graph_objects as go

from engine.compare import COLORS
from engine.plan import Plan
from engine.preflight import UNITS, size
from ui.shared import charts, words

Amount = Literal["bytes", "lookups"]
AMOUNTS: dict[str, str] = {"bytes": "Bytes", "lookups": "Lookups of a step"}
MOST_TABLES = 40  # rows of the picture
ROW, BARS, AROUND = 24, 170, 110  # pixels: of a table, of the bars, of titles and ticks
MOST_HOSTS = 32  # with more of them, lines between hosts would hide the tables
SHADES = ((0, "rgba(0,114,178,0.32)"), (1, "rgba(0,114,178,1)"))
PARTS = (("tables", "table_bytes", COLORS[0], ""), ("optimizer", "state_bytes", COLORS[1], "/"), ("a step", "step_bytes", COLORS[2], "."))
SEEN = 0.03  # of the memory for tables: with less in use, a line there would leave nothing of the bars


def placement(plan: Plan, amount: Amount) -> go.Figure:
    """The picture of a plan that fits."""
    tables = plan.tables[:MOST_TABLES]
    below = ROW * max(3, len(tables))
    drawn = charts.blank("rank", "", BARS + below + AROUND, legend=amount == "bytes")
    cells, hover = _cells(plan, amount)
    drawn.add_heatmap(
        z=cells,
        x=list(range(plan.devices)),
        y=list(range(len(tables))),
        zmin=0,
        colorscale=SHADES,
        showscale=False,
        xgap=1 if plan.devices <= 128 else 0,
        ygap=2,
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
    )
    _bars(drawn, plan, amount)
    share = below / (BARS + below)
    names = [words.html(table.name, 22) for table in tables]
    ticks = {"tickvals": list(range(len(tables))), "ticktext": names, "range": [len(tables) - 0.5, -0.5], "showgrid": False}
    drawn.update_layout(
        yaxis=ticks | {"domain": [0, share - 0.03], "title": None, "automargin": True},
        yaxis2={"domain": [share + 0.03, 1], "gridcolor": charts.GRID, "anchor": "x", "title": {"text": _unit(plan, amount)[0]}},
        barmode="stack",
        bargap=0.15 if plan.devices <= 128 else 0,
        hovermode="closest",
    )
    drawn.update_xaxes(range=[-0.5, plan.devices - 0.5], showgrid=False, dtick=1 if plan.devices <= 16 else None)
    per_host = -(-plan.devices // plan.hosts)
    for host in range(1, plan.hosts if plan.hosts <= MOST_HOSTS else 1):
        drawn.add_vline(x=host * per_host - 0.5, line={"color": "rgba(128,138,150,0.5)", "width": 1})
    return drawn


def _cells(plan: Plan, amount: Amount) -> tuple[list[list[float | None]], list[list[str]]]:
    """Amounts and hover texts [tables][ranks]; None where a rank has nothing of a table."""
    cells: list[list[float | None]] = []
    hover: list[list[str]] = []
    for table in plan.tables[:MOST_TABLES]:
        row: list[float | None] = [None] * plan.devices
        texts = [f"{words.html(table.name, 60)}<br>rank {rank}: nothing" for rank in range(plan.devices)]
        for part in table.parts:
            held = part.table_bytes + part.state_bytes
            row[part.rank] = (row[part.rank] or 0) + (held if amount == "bytes" else part.lookups)
            texts[part.rank] = (
                f"{words.html(table.name, 60)} · {table.sharding}<br>rank {part.rank}: {part.rows:,} × {part.columns:,}, {size(held)}"
                f"<br>{part.lookups:,.0f} lookups a step"
            )
        cells.append(row)
        hover.append(texts)
    return cells, hover


def _unit(plan: Plan, amount: Amount) -> tuple[str, float]:
    """The unit of the bars, and what one of it is."""
    if amount == "lookups":
        return "ids", 1
    most = plan.fullest.bytes if plan.fullest else 0
    name = size(most).split()[-1]
    return name, 1000.0 ** UNITS.index(name)


def _bars(drawn: go.Figure, plan: Plan, amount: Amount) -> None:
    """What each rank has in all, on the second axis."""
    ranks, (_, unit) = [one.rank for one in plan.ranks], _unit(plan, amount)
    if amount == "lookups":
        looked, hover = [one.lookups for one in plan.ranks], "rank %{x}: %{y:,.0f} ids a step<extra></extra>"
        drawn.add_bar(x=ranks, y=looked, yaxis="y2", marker={"color": COLORS[0]}, hovertemplate=hover)
        return
    for name, field, color, pattern in PARTS:
        values = [getattr(one, field) for one in plan.ranks]
        drawn.add_bar(
            x=ranks,
            y=[value / unit for value in values],
            yaxis="y2",
            name=name,
            marker={"color": color, "pattern": {"shape": pattern, "size": 5, "solidity": 0.35}},
            customdata=[size(value) for value in values],
            hovertemplate=f"rank %{{x}}: %{{customdata}} {name}<extra></extra>",
        )
    room = plan.memory_bytes - plan.reserved_bytes
    if plan.fullest is not None and plan.fullest.bytes > SEEN * room:
        ends, line = [-0.5, plan.devices - 0.5], {"color": COLORS[5], "dash": "dash", "width": 2}
        hover = f"{size(room)} for tables<extra></extra>"
        drawn.add_scatter(x=ends, y=[room / unit] * 2, yaxis="y2", mode="lines", name="room for tables", line=line, hovertemplate=hover)


def alt(plan: Plan, amount: Amount, said: Callable[[Plan], str]) -> str:
    """The picture in words."""
    balance = plan.balance if amount == "bytes" else plan.lookup_balance
    uneven = "" if balance is None else f" The fullest rank has {balance:.2f} times the mean."
    return f"{AMOUNTS[amount]} of {len(plan.tables)} tables on {plan.devices} ranks. {said(plan)}{uneven}"
