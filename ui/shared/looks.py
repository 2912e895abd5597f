"""How contenders are told apart on pages: as in the report that is taken away from them, see `engine.compare.palette`."""

from engine.compare import BASELINE, COLORS, DASHES, GLYPHS, GRAY, MARKERS, MOST_LOOKS, Look, look

__all__ = ["BASELINE", "COLORS", "DASHES", "GLYPHS", "GRAY", "MARKERS", "MOST_LOOKS", "Look", "look"]
