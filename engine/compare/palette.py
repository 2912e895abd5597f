"""How contenders are distinguished: a colour, a dash, a marker and a glyph each, no two alike among twelve, in light and in dark.

The first six colours are Okabe and Ito's (2008). The others were searched for: far from all before them (at least 14 in CIELAB) to
people with normal sight and to those without red, green or blue cones, and visible on both grounds.
"""

from typing import NamedTuple

MOST_LOOKS = 12  # contenders that can be distinguished
GRAY = "#8a929c"
COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#A016E5", "#636642", "#CCA351", "#E5164E", "#9DB274", "#A55BE5",
)  # fmt: skip
DASHES = (
    "solid", "dash", "dot", "dashdot", "longdash", "longdashdot",
    "2px,7px", "12px,3px,2px,3px,2px,3px", "18px,6px", "5px,2px", "9px,3px,5px,3px", "1px,2px",
)  # fmt: skip
MARKERS = (
    "circle", "triangle-up", "square", "diamond", "cross", "x",
    "triangle-down", "circle-open", "square-open", "diamond-open", "triangle-up-open", "triangle-down-open",
)  # fmt: skip
GLYPHS = ("●", "▲", "■", "◆", "✚", "✖", "▼", "○", "□", "◇", "△", "▽")


class Look(NamedTuple):
    """How a contender is drawn everywhere: never by colour alone."""

    color: str
    dash: str
    marker: str
    glyph: str


BASELINE = Look(GRAY, "dot", "line-ew-open", "┄")


def look(index: int, baseline: bool = False) -> Look:
    """The look of the contender at a place; baselines are a gray dotted line and are distinguished by their names."""
    at = index % MOST_LOOKS
    return BASELINE if baseline else Look(COLORS[at], DASHES[at], MARKERS[at], GLYPHS[at])
