"""How contenders are told apart on pages: as in the report that is taken away from them, see `engine.looks`."""

from engine.looks import BASELINE, COLORS, DASHES, GLYPHS, GRAY, MARKERS, MOST, Look, look

__all__ = ["BASELINE", "COLORS", "DASHES", "GLYPHS", "GRAY", "MARKERS", "MOST", "Look", "look"]
