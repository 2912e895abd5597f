"""The sentences above a comparison, as Markdown: `engine.compare` says them, and names are escaped here."""

from engine import compare
from engine.compare import Comparison, Sentence
from ui.shared import words


def sentences(comparison: Comparison) -> list[str]:
    """Markdown: a paragraph for each stage whose metric was measured."""
    return [markdown(sentence) for sentence in compare.sentences(comparison)]


def markdown(sentence: Sentence) -> str:
    """A sentence with its names in bold and escaped; letters, labels and numbers are ours."""
    return "".join(f"**{words.md(part.text, 80)}**" if part.name else part.text for part in sentence)
