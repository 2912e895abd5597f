"""A comparison as a file: CSV, Markdown, LaTeX, a page of HTML, and a JSON bundle with what is needed to repeat it.

Text of people and data is inert in each: no formula, markup, command, link or row comes of it.
"""

import html as _html
import json
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from engine import datasets, runs
from engine.compare import Comparison, Part, Sentence, plain, sentences, verdict_of
from engine.report.spreadsheets import csv_safe
from engine.report.tables import Cell, Table, long, one_line, tables

TEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"{\char34}", "`": r"\textasciigrave{}", "'": "{'}", "-": "{-}", "[": "{[}", "]": "{]}", "*": "{*}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$", "±": r"$\pm$", "·": r"$\cdot$", "–": "--", "—": "---", "@": "{@}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}  # fmt: skip  # brackets and stars are braced: after a row's end they would be its argument
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$&:@^=]|(?<=www)\.|^[-+])", re.IGNORECASE)
NUMBERED = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")  # would begin a list
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; background: Canvas; color: CanvasText; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } .scroll { overflow-x: auto; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
td { white-space: nowrap; } td.text { white-space: normal; overflow-wrap: anywhere; }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; padding-left: 0; } td.text { text-align: left; }
figure { margin: 1rem 0; } svg { width: 100%; max-width: 46rem; height: auto; } figcaption, .dim { opacity: .7; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # the page asks for nothing and runs nothing


class Export(NamedTuple):
    """A kind of file: what people call it, its media type, and who writes it."""

    label: str
    mime: str
    write: Callable[[Comparison], bytes]


def export(comparison: Comparison, kind: str) -> bytes:
    """A comparison as a file, with its verdict in sentences on top.

    Args:
        kind: one of EXPORTS: csv, md, tex, html, json.

    Raises:
        ValueError: no such kind.
    """
    if kind not in EXPORTS:
        raise ValueError(f"There is no export {kind[:40]!r}; choose {', '.join(EXPORTS)}.")
    return EXPORTS[kind].write(comparison.model_copy(update={"verdict": verdict_of(comparison)}))


def write_export(comparison: Comparison, path: Path) -> None:
    """Write a comparison to a file whose ending says the kind; ValueError for another ending."""
    path.write_bytes(export(comparison, path.suffix.removeprefix(".").lower()))


def export_name(comparison: Comparison, kind: str) -> str:
    """The name of an exported file: comparison-DATASET.KIND."""
    return f"comparison-{re.sub(r'[^A-Za-z0-9_-]', '', comparison.dataset)[:80]}.{kind}"


def _title(comparison: Comparison) -> str:
    """What is compared, on what."""
    try:
        return f"Comparison on {one_line(datasets.get_dataset(comparison.dataset).title)}"
    except LookupError:
        return f"Comparison on {one_line(comparison.dataset)}"


def _footing(comparison: Comparison) -> str:
    against = next((c.name for c in comparison.contenders if c.letter == comparison.against), "")
    return (
        f"Dataset {one_line(comparison.dataset)}, {comparison.users:,} test users. Intervals are 95 %; differences are against "
        f"{one_line(against)}. Arrows say which way is better."
    )


def _csv(comparison: Comparison) -> bytes:
    return csv_safe(long(comparison))


def md(text: str) -> str:
    """Text that Markdown, GitHub's too, shows as it is."""
    return NUMBERED.sub(r"\1\\\2", MARKDOWN.sub(r"\\\1", one_line(text)))


def _markdown(comparison: Comparison) -> bytes:
    parts = [f"# {md(_title(comparison))}", *(_written(one, md, "**{}**") for one in sentences(comparison))]
    for table in tables(comparison):
        lines = [[md(name) for name in table.head], ["---", *["---" if table.title == "Contenders" else "---:"] * (len(table.head) - 1)]]
        lines += [[f"**{md(cell.text)}**" if cell.strong else md(cell.text) for cell in row] for row in table.rows]
        parts += [f"## {table.title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    return ("\n\n".join([*parts, md(_footing(comparison))]) + "\n").encode()


def tex(text: str) -> str:
    """Text that LaTeX sets as it is, in a table too."""
    return "".join(TEX.get(character, character) for character in one_line(text))


def _latex(comparison: Comparison) -> bytes:
    comments = [
        "% needs \\usepackage{booktabs}, and xelatex or lualatex where names are beyond Latin",
        *(f"% {one_line(plain(one))}" for one in sentences(comparison)),
    ]
    parts = ["\n".join(comments)]
    for table in tables(comparison):
        shape = "l" * len(table.head) if table.title == "Contenders" else "l" + "r" * (len(table.head) - 1)
        body = [" & ".join(f"\\textbf{{{tex(c.text)}}}" if c.strong else tex(c.text) for c in row) + r" \\" for row in table.rows]
        lines = [r"\begin{table}", r"\centering", f"\\caption{{{tex(table.title)}. {tex(_title(comparison))}.}}"]
        lines += [f"\\begin{{tabular}}{{{shape}}}", r"\toprule", " & ".join(map(tex, table.head)) + r" \\", r"\midrule", *body]
        parts.append("\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]))
    return ("\n\n".join(parts) + "\n").encode()


def _written(sentence: Sentence, escaped: Callable[[str], str], strong: str) -> str:
    """A sentence whose parts are escaped; names are put into `strong`."""

    def written(part: Part) -> str:
        inner = escaped(part.text)
        edges = [" " if part.text[at : at + 1].isspace() else "" for at in (0, len(part.text) - 1)]  # writers trim what they escape
        return f"{edges[0]}{strong.format(inner) if part.name else inner}{edges[1]}"

    return "".join(map(written, sentence))


def html(text: object) -> str:
    """Text that HTML shows as it is."""
    return _html.escape(one_line(text), quote=True)


def _page(comparison: Comparison) -> bytes:
    """One file: sentences, tables and figures; no script, and nothing is loaded from a network."""
    from engine.report.figures import figures

    drawn = [f"<figure>{figure.svg}<figcaption>{html(figure.caption)}</figcaption></figure>" for figure in figures(comparison)]
    body = [
        f"<h1>{html(_title(comparison))}</h1>",
        *(f"<p>{_written(one, html, '<strong>{}</strong>')}</p>" for one in sentences(comparison)),
    ]
    contenders, *rest = map(_html_table, tables(comparison))
    body += [contenders, *rest[:1], *drawn, *rest[1:], f'<p class="dim">{html(_footing(comparison))}</p>']
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    head += f'<meta name="viewport" content="width=device-width"><title>{html(_title(comparison))}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{chr(10).join(body)}\n</body></html>\n'.encode()


def _html_table(table: Table) -> str:
    words = ' class="text"' if table.title == "Contenders" else ""

    def cell(one: Cell) -> str:
        return f"<td{words}>{f'<strong>{html(one.text)}</strong>' if one.strong else html(one.text)}</td>"

    head = "".join(f'<th scope="col"{words and " style=text-align:left"}>{html(name)}</th>' for name in table.head)
    rows = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in table.rows)
    return f'<h2>{html(table.title)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def bundle(comparison: Comparison) -> dict[str, Any]:
    """The results and how to repeat them: verdict, numbers, specs by file name, and the commands that read them.

    `files` holds each spec under the name that `commands` call it by; the first command writes them beside the bundle.
    """
    name = export_name(comparison, "json")
    specs, notes = _specs(comparison)
    data, trained = [file for file in specs if file.startswith("data-")], [file for file in specs if not file.startswith("data-")]
    unpack = "import json, sys; [open(n, 'w').write(json.dumps(s)) for n, s in json.load(open(sys.argv[1]))['files'].items()]"
    ids = [run_id for c in comparison.contenders for run_id in c.run_ids]
    against = next((c for c in comparison.contenders if c.letter == comparison.against), None)
    baseline = "" if against is None else f" --baseline {shlex.quote(against.run_id or against.model)}"
    commands = [f'python -c "{unpack}" {name}', *(f"recbench prepare {file}" for file in data)]
    commands += [f"recbench train {' '.join(trained)} --wait"] if trained else []
    return {
        "title": _title(comparison),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset": comparison.dataset,
        "sentences": [plain(one) for one in sentences(comparison)],
        "verdict": verdict_of(comparison).model_dump(mode="json"),
        "contenders": [c.model_dump(mode="json") for c in comparison.contenders],
        "apart": comparison.apart,
        "pairs": {key: [pair.model_dump(mode="json") for pair in tested] for key, tested in (comparison.tests or {}).items()},
        "facts": json.loads(long(comparison).to_json(orient="records")),
        "files": specs,
        "commands": [*commands, f"recbench compare {' '.join(map(shlex.quote, ids))}{baseline}"],
        "notes": [
            "The last command names the runs of this comparison; runs that were trained anew have the ids that train prints.",
            *notes,
        ],
    }


def _specs(comparison: Comparison) -> tuple[dict[str, Any], list[str]]:
    """File name -> spec of the dataset and of each run, in the order of the letters; and notes on what cannot be repeated."""
    files: dict[str, Any] = {}
    notes = []
    try:
        dataset = datasets.get_dataset(comparison.dataset)
        files[f"data-{re.sub(r'[^a-z0-9-]', '', dataset.name)}.json"] = dataset.manifest["spec"]
    except (LookupError, KeyError):
        notes.append("The prepared dataset is not in this workspace any more, so its spec is missing here.")
    for one in comparison.contenders:
        for place, run_id in enumerate(one.run_ids, 1):
            file = f"{one.letter.lower()}{place if len(one.run_ids) > 1 else ''}.json"
            files[file] = runs.get_run(run_id).settings
            if files[file].get("continues"):
                notes.append(f"{file} goes on from a run of this workspace; elsewhere that one must be trained first.")
    return files, notes


def _json(comparison: Comparison) -> bytes:
    return json.dumps(bundle(comparison), indent=2, ensure_ascii=False, allow_nan=False, default=str).encode()


EXPORTS = {
    "csv": Export("CSV, every number", "text/csv", _csv),
    "md": Export("Markdown", "text/markdown", _markdown),
    "tex": Export("LaTeX, booktabs", "application/x-tex", _latex),
    "html": Export("Report, one HTML file", "text/html", _page),
    "json": Export("JSON, with specs and commands", "application/json", _json),
}
