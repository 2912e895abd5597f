"""Text of people and data, inert in what it is written into: no markup, command, link or row comes of it."""

import re
from collections.abc import Callable

from engine.compare import Part, Sentence
from engine.report.tables import one_line

TEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"{\char34}", "`": r"\textasciigrave{}", "'": "{'}", "-": "{-}", "[": "{[}", "]": "{]}", "*": "{*}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$", "±": r"$\pm$", "·": r"$\cdot$", "–": "--", "—": "---", "@": "{@}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}  # fmt: skip  # brackets and stars are braced: after a row's end they would be its argument
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$&:@^=]|(?<=www)\.|^[-+])", re.IGNORECASE)
ENTITY = {"$": "<span>&#36;</span>", "\\": "<span>&#92;</span>"}  # alone in an element, where MathJax finds no formula around it
NUMBERED = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")  # would begin a list


def md(text: str) -> str:
    """Text that Markdown, GitHub's too, shows as it is."""
    return NUMBERED.sub(r"\1\\\2", MARKDOWN.sub(r"\\\1", one_line(text)))


def cell(text: str) -> str:
    """Text that a Markdown cell of a notebook shows as it is.

    Notebooks typeset formulas after they rendered Markdown, so that a backslash in front of a dollar does not help: entities do.
    """
    found = MARKDOWN.sub(lambda match: ENTITY.get(match[0], f"&#{ord(match[0])};"), one_line(text))
    return NUMBERED.sub(lambda match: f"{match[1]}&#{ord(match[2])};", found)


def tex(text: str) -> str:
    """Text that LaTeX sets as it is, in a table too."""
    return "".join(TEX.get(character, character) for character in one_line(text))


def sentence_in(sentence: Sentence, escaped: Callable[[str], str], strong: str) -> str:
    """A sentence whose parts are escaped; names are put into `strong`."""

    def written(part: Part) -> str:
        inner = escaped(part.text)
        edges = [" " if part.text[at : at + 1].isspace() else "" for at in (0, len(part.text) - 1)]  # writers trim what they escape
        return f"{edges[0]}{strong.format(inner) if part.name else inner}{edges[1]}"

    return "".join(map(written, sentence))
