"""Cards of items: title, genres, score, hit mark. Titles are text from data and are escaped here, once."""

import pandas as pd
import streamlit as st

from ui.shared import words


def _card(
    rank: str, title: object, side: str, below: tuple[str, str], hit: bool = False, tooltip: str = "", why: tuple[str, str] = ("", "")
) -> str:
    mark = '<span role="img" aria-label="held-out like">✓</span> ' if hit else ""
    reason = f'<span class="why" title="{words.html(why[1], 400)}">{words.html(why[0], 200)}</span>' if why[0] else ""
    return (
        f'<li class="{"hit" if hit else ""}{"" if rank else " bare"}" title="{words.html(tooltip)}">'
        f'<span class="rank">{words.html(rank)}</span>'
        f'<span class="title">{mark}{words.html(title)}</span><span class="side">{words.html(side)}</span>'
        f'<span class="sub"><span>{words.html(below[0])}</span><span>{words.html(below[1])}</span></span>{reason}</li>'
    )


SCALES = "Each model has a scale of its own: compare ranks between contenders, not these numbers."


def _genres(value: str | float | None) -> str:
    return "" if pd.isna(value) else str(value).replace("|", ", ")


def _list(cards: list[str], label: str, over: str = "") -> None:
    """A list of cards; `over` names the numbers at their right."""
    heads = f'<span class="rank">#</span><span>item</span><span title="{words.html(SCALES, 200)}">{words.html(over)}</span>'
    head = f'<div class="heads">{heads}</div>' if over else ""
    st.html(f'<div class="rb">{head}<ol aria-label="{words.html(label)}">{"".join(cards)}</ol></div>')


def interactions(frame: pd.DataFrame, label: str) -> None:
    """Items that a user interacted with.

    Args:
        frame: columns item_id, title, genres, rating, timestamp (unix seconds).
    """
    cards = []
    for row in frame.to_dict("records"):
        day = pd.to_datetime(row.get("timestamp") or float("nan"), unit="s", errors="coerce")  # 0 where the data have no time
        when = "" if pd.isna(day) else f"{day:%Y-%m-%d}"
        cards.append(
            _card(
                "",
                row["title"],
                "" if pd.isna(row.get("rating")) else f"{row['rating']:g} ★",
                (_genres(row["genres"]), when),
                tooltip=f"item {row['item_id']}",
            )
        )
    _list(cards, label)


def recommendations(
    frame: pd.DataFrame,
    label: str,
    ranks: dict[str, int] | None = None,
    first: str = "A",
    depth: int = 0,
    counts: bool = False,
    method: str = "",
    over: str = "score",
) -> None:
    """A top-k list.

    Args:
        frame: columns rank, item_id, title, genres, score, liked; seen, and why where there is an explanation.
        ranks: item -> rank in the first contender's list; None for the first contender's own list, which shows no rank changes.
        first: its letter.
        depth: length of that list.
        counts: the score is a number of likes.
        over: what the score is, in a word.
        method: how explanations were computed, for a tooltip.
    """
    cards = []
    for row in frame.to_dict("records"):
        move = "" if ranks is None else _move(ranks.get(row["item_id"]), int(row["rank"]), first, depth)
        cards.append(
            _card(
                str(row["rank"]),
                row["title"],
                words.count(row["score"]) if counts else words.number(float(row["score"])),
                (" · ".join(part for part in (_genres(row["genres"]), "seen before" if row.get("seen") else "") if part), move),
                hit=bool(row["liked"]),
                tooltip=f"item {row['item_id']}" + (", a held-out like" if row["liked"] else ""),
                why=(row.get("why") or "", method),
            )
        )
    _list(cards, label, "likes" if counts else over)


def titles(frame: pd.DataFrame, label: str) -> None:
    """Items only, without scores or hits: columns rank, item_id, title, genres."""
    _list([_card(str(row["rank"]), row["title"], "", (_genres(row["genres"]), "")) for row in frame.to_dict("records")], label)


def _move(before: int | None, now: int, first: str, depth: int) -> str:
    """The item's rank compared with the first contender's list: same rank in A, ↑ 14 vs A, not in A's top 200."""
    if before is None:
        return f"not in {first}'s top {depth}"
    if before == now:
        return f"same rank in {first}"
    return f"{'↑' if now < before else '↓'} {abs(before - now)} vs {first}"
