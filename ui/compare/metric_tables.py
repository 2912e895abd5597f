"""The tables of a comparison: metrics, leaderboard, costs, settings."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

import engine
from ui.compare import protocol
from ui.compare.contenders import names
from ui.shared import tables, words

FAMILIES = {
    "ranking": "Ranking the whole catalogue",
    "lists": "What the lists are like",
    "pointwise": "Judging shown items",
    "value": "Predicting the value",
    "classes": "Predicting the class",
    "actions": "Predicting actions",
    "sets": "Rating sets of items",
}


ROOMY = 6  # columns that have room for wide cells at 1440 pixels


BEST = "best: ahead of every other by more than σ, the deviation between seeds, where runs were repeated with other seeds"


CLOSE = "ahead, but not surely of"


Near = Mapping[str, Sequence[str]]  # metric -> letters of whom its best is not surely ahead; what is not in it goes by intervals


def _head(contenders: Sequence[Any], first: str, alarms: Mapping[str, list[str]] | None = None) -> str:
    short, cells = names(contenders), [f'<th scope="col" class="text">{first}</th>']
    cells += [f'<th scope="col">{_who(one, short, alarms)}</th>' for one in contenders]
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _who(one: Any, short: Mapping[str, str], alarms: Mapping[str, list[str]] | None) -> str:
    """A contender's letter, a sign where it looks wrong, and below what sets it apart."""
    wrong = " ".join((alarms or {}).get(one.letter, []))
    mark = f' <span class="alarm" role="img" aria-label="looks wrong" title="{words.html(wrong, 900)}">⚠</span>' if wrong else ""
    below = ("nothing can beat it" if one.model == "oracle" else "baseline") if one.run_id is None else short[one.letter]
    who = f'<span class="who">{tables.letter(one)}{mark}</span>'
    return f'{who}<span class="name" title="{words.html(one.name)}">{words.html(below, 60)}</span>'


def metric_table(
    comparison: Any,
    baseline: str,
    alarms: Mapping[str, list[str]] | None = None,
    keys: Sequence[str] | None = None,
    unsure: Near | None = None,
) -> str:
    """HTML of the metric table: a column a contender, best in bold with a star, the difference to the baseline and σ below.

    Args:
        baseline: letter of the contender that differences are against; its own column shows none.
        alarms: letter -> what looks wrong with it.
        keys: the metrics that are shown; None: all that were measured.
        unsure: of whom the best of a metric is not surely ahead, as far as that was tested.
    """
    cells = {(row["metric"], row["contender"]): row for row in comparison.table.to_dict("records") if not pd.isna(row["value"])}
    rows, family = [], None
    for key in dict.fromkeys(name for name, _ in cells):  # in the order of the protocol
        metric = engine.specs.metric(key)
        values = [abs(row["value"]) for (name, _), row in cells.items() if name == key]
        if keys is not None and key not in keys:
            continue
        if metric.family != family:
            family = metric.family
            span = len(comparison.contenders) + 1
            rows.append(f'<tr class="group"><td class="text" colspan="{span}"><span>{FAMILIES.get(family, family)}</span></td></tr>')
        places = words.decimals(max(values))
        near = (unsure or {}).get(key, _near(comparison, [cell for (name, _), cell in cells.items() if name == key]))
        shown = "".join(
            _metric_cell(cells.get((key, c.letter)), places, c.letter == baseline, near, len(c.run_ids)) for c in comparison.contenders
        )
        rows.append(f'<tr><th scope="row" class="text">{_metric_name(metric)}</th>{shown}</tr>')
    return tables.table(_head(comparison.contenders, "metric", alarms), rows, "Metrics of the compared runs", _look(comparison.contenders))


def leaderboard(
    comparison: Any,
    baseline: str,
    keys: Sequence[str],
    order: str,
    alarms: Mapping[str, list[str]] | None = None,
    unsure: Near | None = None,
) -> str:
    """HTML of the metric table turned round: a row a contender, best first by one metric, whoever lacks it last.

    Args:
        keys: the metrics that are columns. order: the one of them that says who comes first. The others: as `metric_table`.
    """
    cells = {(row["metric"], row["contender"]): row for row in comparison.table.to_dict("records") if not pd.isna(row["value"])}
    groups: dict[str, int] = {}
    for key in keys:
        groups[engine.specs.metric(key).family] = groups.get(engine.specs.metric(key).family, 0) + 1
    heads = [f'<th scope="col"{_sorted(key, order)}>{_metric_name(engine.specs.metric(key))}</th>' for key in keys]
    over = [f'<th scope="colgroup" colspan="{n}">{FAMILIES.get(family, family)}</th>' for family, n in groups.items()]
    of_metric = {key: [row for (name, _), row in cells.items() if name == key] for key in keys}
    places = {key: words.decimals(max(abs(row["value"]) for row in rows)) if rows else 3 for key, rows in of_metric.items()}
    near = {key: (unsure or {}).get(key, _near(comparison, rows)) for key, rows in of_metric.items()}
    rows, short = [], names(comparison.contenders)
    for one in sorted(comparison.contenders, key=lambda c: _rank(cells.get((order, c.letter)), engine.specs.metric(order).better)):
        shown = "".join(
            _metric_cell(cells.get((key, one.letter)), places[key], one.letter == baseline, near[key], len(one.run_ids)) for key in keys
        )
        rows.append(f'<tr><th scope="row" class="text">{_who(one, short, alarms)}</th>{shown}</tr>')
    head = (
        f'<thead><tr class="over"><td></td>{"".join(over)}</tr><tr><th scope="col" class="text">contender</th>{"".join(heads)}</tr></thead>'
    )
    look = "wide dense turned" if len(keys) > ROOMY else "wide turned"
    return tables.table(head, rows, f"Contenders by {engine.specs.metric(order).label}, best first", look)


def _sorted(key: str, order: str) -> str:
    """What says of a column's head that rows are ordered by it."""
    way = {"higher": "descending", "lower": "ascending", "one": "other"}[engine.specs.metric(key).better]
    return f' aria-sort="{way}" class="sorted"' if key == order else ""


def _rank(row: dict[str, Any] | None, better: str) -> float:
    """Where a contender stands among the others, less is better; one without a value is last."""
    if row is None:
        return float("inf")
    return {"higher": -row["value"], "lower": row["value"], "one": abs(row["value"] - 1)}[better]


def _metric_name(metric: Any) -> str:
    arrow, better = words.DIRECTIONS[metric.better]
    return f'<abbr title="{words.html(f"{metric.description} {better}", 300)}">{words.html(metric.label)}</abbr> {arrow}'


def _metric_cell(row: dict[str, Any] | None, places: int, is_baseline: bool, near: Sequence[str], seeds: int) -> str:
    if row is None:
        return f'<td class="dim">{words.DASH}</td>'
    shown = words.number(row["value"], places)
    if row["best"]:
        mark = f'<span title="{CLOSE} {", ".join(near)}">☆</span>' if near else f'<span title="{BEST}">★</span>'
        shown = f'<span class="best">{mark} {shown}</span>'
    if pd.notna(row["low"]) and pd.notna(row["high"]):
        interval = f"{words.number(row['low'], places)} to {words.number(row['high'], places)}"
        half = words.short((row["high"] - row["low"]) / 2, places)
        shown += f' <span class="dim" title="95 % interval: {interval}">±{half}</span>'
    below = [words.signed(row["delta"], places)] if not is_baseline and pd.notna(row["delta"]) else []
    if pd.notna(row.get("std")):
        told = f"standard deviation between {seeds} seeds; a lead that is no greater is not called best"
        below.append(f'<span title="{told}">σ {words.short(row["std"], places)}</span>')
    return f'<td>{shown}{"<br>" if below else ""}<span class="dim">{" ".join(below)}</span></td>'


def _near(comparison: Any, rows: list[dict[str, Any]]) -> list[str]:
    """Whose interval overlaps with that of the best of one metric; baselines that are the same or that nobody can beat do not count."""
    known = {row["contender"]: row for row in rows if pd.notna(row["low"]) and pd.notna(row["high"])}
    best = next((one for one, row in known.items() if row["best"]), None)
    if best is None:
        return []
    models = {c.letter: c.model for c in comparison.contenders}
    same = {c.letter for c in comparison.contenders if c.run_id is None and c.model in ("oracle", models[best])}
    low, high = known[best]["low"], known[best]["high"]
    return [one for one, row in known.items() if one not in {best, *same} and row["low"] <= high and low <= row["high"]]


def legend(comparison: Any) -> str:
    """What the marks of the metric table mean."""
    against = next((c.name if c.run_id is None else c.letter for c in comparison.contenders if c.letter == comparison.against), "")
    seeds = ["σ deviation between seeds"] if any(len(c.run_ids) > 1 for c in comparison.contenders) else []
    said = ["★ best", "☆ ahead, but perhaps by chance", "± half of the 95 % interval"]
    return " · ".join([*said, *seeds, f"below: difference to {words.md(against, 60)}"])


def _look(contenders: Sequence[Any]) -> str:
    return "wide dense" if len(contenders) > ROOMY else "wide"


def fact_table(frame: pd.DataFrame, contenders: list[Any], name: str, unit: str | None = None) -> str:
    """HTML of settings or costs: a row a fact, a column a contender.

    Args:
        frame: a column `name`, optionally a column `unit`, and one column a contender's letter.
    """
    shown = [one for one in contenders if one.letter in frame.columns]
    rows = []
    for row in frame.to_dict("records"):
        measured = str(row.get(unit, "") or "") if unit else ""
        cells = "".join(f"<td>{_fact(row[one.letter], measured if unit else None)}</td>" for one in shown)
        rows.append(f'<tr><th scope="row" class="text">{words.html(row[name])}</th>{cells}</tr>')
    return tables.table(_head(shown, name), rows, f"Each run's {name}s", _look(shown))


def _fact(value: Any, unit: str | None) -> str:
    if value is None or (isinstance(value, float) and words.missing(value)) or value is pd.NA:
        return f'<span class="dim">{words.DASH}</span>'
    if unit is not None and isinstance(value, int | float) and not isinstance(value, bool):
        text = words.quantity(value, unit)
        self_told = unit in ("s", "seconds", "B", "bytes", "")
        return words.html(text) if self_told else f'{words.html(text)} <span class="dim">{words.html(unit)}</span>'
    if isinstance(value, list | tuple):
        return words.html(", ".join(map(str, value)) or "none")
    return words.html({"True": "yes", "False": "no"}.get(str(value), value))


def settings_table(frame: pd.DataFrame, contenders: Sequence[Any]) -> str:
    """HTML of settings: a row each that several contenders have, and one for all that a contender has alone, its tuned ones among them.

    Args:
        frame: a column setting, and one column a contender's letter: text, None where there is no such setting.
    """
    shown = [one for one in contenders if one.letter in frame.columns]
    letters = [one.letter for one in shown]
    alone = (frame[letters].notna().sum(axis=1) == 1) & (len(letters) > 1)
    rows = []
    for row in frame[~alone].to_dict("records"):
        rows.append(tables.row(_setting(row["setting"]), [_fact(row[one], None) for one in letters]))
    if alone.any():
        own = [frame.loc[alone & frame[one].notna(), ["setting", one]].to_numpy().tolist() for one in letters]
        told = [[f"{_setting(name)}&nbsp;{_fact(value, None)}" for name, value in pairs] for pairs in own]
        rows.append(tables.row("its own", ["<br>".join(lines) or f'<span class="dim">{words.DASH}</span>' for lines in told]))
    return tables.table(_head(shown, "setting"), rows, "Each run's settings", f"{_look(shown)} settings")


def _setting(name: str) -> str:
    """model.embedding_dim -> embedding dim; what is said of training keeps the word, and what is measured has its own."""
    if name.startswith("protocol."):
        return words.html(f"measured · {protocol.setting(name.removeprefix('protocol.'))}")
    return words.html(name.removeprefix("model.").replace("train.", "train · ").replace("_", " "))
