"""How contenders are distinguished: a colour, a dash, a marker and a glyph each, no two alike among twelve, in light and in dark.

The first four colours are Okabe and Ito's (2008); their yellow, orange and sky blue vanish on white. The others were searched for:
at least 16 in CIELAB from each other to people with normal sight and to those without red, green or blue cones (Machado, Oliveira,
Fernandes, 2009), and at least 3:1 against white and against the dark ground, which WCAG 2.2 (1.4.11) asks of graphics.
"""

from typing import NamedTuple

MOST_LOOKS = 12  # contenders that can be distinguished
GRAY = "#8a929c"
COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7E5AFC", "#DE12C0",
    "#4E6C42", "#D27848", "#F62466", "#845484", "#A84818", "#A878FC",
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
