"""Colours and markers of contenders on pages: the same as in exported reports, see `engine.compare.palette`."""

from engine.compare import BASELINE, COLORS, DASHES, GLYPHS, GRAY, MARKERS, MOST_LOOKS, Look, look

__all__ = ["BASELINE", "COLORS", "DASHES", "GLYPHS", "GRAY", "MARKERS", "MOST_LOOKS", "Look", "look"]
