"""A comparison as a file: CSV, Markdown, LaTeX, a page of HTML, a notebook, and a JSON bundle with what is needed to repeat it.

Text of people and data is inert in each: no formula, markup, command, link or row comes of it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from engine.compare import Comparison, plain, sentences, verdict_of
from engine.report import html_page, notebook
from engine.report.bundle import bundle, footing, title
from engine.report.escape import md, sentence_in, tex
from engine.report.narrative import narrative, paragraphs, runs_of
from engine.report.spreadsheets import csv_safe
from engine.report.tables import long, one_line, tables
from engine.report.view import View

WHOLE = View()


class Export(NamedTuple):
    """A kind of file: what people call it, its media type, and who writes it."""

    label: str
    mime: str
    write: Callable[[Comparison, View], bytes]


def export(comparison: Comparison, kind: str, view: View = WHOLE) -> bytes:
    """A comparison as a file, with its verdict in sentences on top.

    Args:
        kind: one of EXPORTS: csv, md, tex, html, ipynb, json.
        view: what a page drew of it, which a notebook draws too; other kinds hold all.

    Raises:
        ValueError: no such kind.
    """
    if kind not in EXPORTS:
        raise ValueError(f"There is no export {kind[:40]!r}; choose {', '.join(EXPORTS)}.")
    return EXPORTS[kind].write(comparison.model_copy(update={"verdict": verdict_of(comparison)}), view)


def write_export(comparison: Comparison, path: Path | str) -> None:
    """Write a comparison to a file whose ending says the kind; ValueError for another ending."""
    Path(path).write_bytes(export(comparison, Path(path).suffix.removeprefix(".").lower()))


def _csv(comparison: Comparison) -> bytes:
    return csv_safe(long(comparison))


def _markdown(comparison: Comparison) -> bytes:
    parts = [f"# {md(title(comparison))}"]
    parts += ["\\\n".join(map(md, lines)) for lines in paragraphs(narrative(runs_of(comparison)))]
    parts += [sentence_in(one, md, "**{}**") for one in sentences(comparison)]
    for table in tables(comparison):
        lines = [[md(name) for name in table.head], ["---", *["---" if table.words else "---:"] * (len(table.head) - 1)]]
        lines += [[f"**{md(cell.text)}**" if cell.strong else md(cell.text) for cell in row] for row in table.rows]
        parts += [f"## {table.title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    return ("\n\n".join([*parts, md(footing(comparison))]) + "\n").encode()


def _latex(comparison: Comparison) -> bytes:
    comments = [
        "% needs \\usepackage{booktabs}, and xelatex or lualatex where names are beyond Latin",
        *(f"% {one_line(plain(one))}" for one in sentences(comparison)),
    ]
    parts = ["\n".join(comments)]
    for table in tables(comparison):
        shape = "l" * len(table.head) if table.words else "l" + "r" * (len(table.head) - 1)
        body = [" & ".join(f"\\textbf{{{tex(c.text)}}}" if c.strong else tex(c.text) for c in row) + r" \\" for row in table.rows]
        lines = [r"\begin{table}", r"\centering", f"\\caption{{{tex(table.title)}. {tex(title(comparison))}.}}"]
        lines += [f"\\begin{{tabular}}{{{shape}}}", r"\toprule", " & ".join(map(tex, table.head)) + r" \\", r"\midrule", *body]
        parts.append("\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]))
    return ("\n\n".join(parts) + "\n").encode()


def _json(comparison: Comparison) -> bytes:
    return json.dumps(bundle(comparison), indent=2, ensure_ascii=False, allow_nan=False, default=str).encode()


def _whole(write: Callable[[Comparison], bytes]) -> Callable[[Comparison, View], bytes]:
    """The writer of a file that holds all, whatever a page drew."""
    return lambda comparison, view: write(comparison)


EXPORTS = {
    "csv": Export("CSV, every number", "text/csv", _whole(_csv)),
    "md": Export("Markdown", "text/markdown", _whole(_markdown)),
    "tex": Export("LaTeX, booktabs", "application/x-tex", _whole(_latex)),
    "html": Export("Report, one HTML file", "text/html", _whole(html_page.write)),
    "ipynb": Export("Notebook, to run and change", "application/x-ipynb+json", notebook.write),
    "json": Export("JSON, with specs and commands", "application/json", _whole(_json)),
}
