"""A comparison as a page of HTML: one file that runs no script, asks for nothing from a network, and prints well."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple

from engine.compare import Comparison, look, names, sentences
from engine.report.bundle import title
from engine.report.narrative import narrative, paragraphs, runs_of
from engine.report.sections import sections

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "page.html.j2"
PRODUCT, LIBRARIES = "recommender-workbench", ("torch", "torchrec", "pyspark", "mlflow", "streamlit")
SPACES = re.compile(r"\s+")


class Head(NamedTuple):
    """A contender at the head of a column: its glyph and colour, what it is called there, and a line below."""

    glyph: str
    color: str
    label: str
    below: str


def write(comparison: Comparison) -> bytes:
    """The page in UTF-8. Two pages of one comparison differ in their date alone."""
    now = datetime.now(UTC)
    page = _template().render(
        title=title(comparison),
        date=f"{now.day} {now:%B %Y, %H:%M} UTC",
        moment=now.isoformat(timespec="seconds"),
        dataset=comparison.dataset,
        versions=versions(),
        narrative=paragraphs(narrative(runs_of(comparison))),
        verdict=sentences(comparison),
        heads=_heads(comparison),
        sections=sections(comparison),
    )
    return page.encode()


def versions() -> list[str]:
    """The product and the libraries that results depend on, each with its version; what is not installed as a package is left out."""
    found = []
    for name in (PRODUCT, *LIBRARIES):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


def _heads(comparison: Comparison) -> dict[str, Head]:
    """Letter -> how a contender is named at the head of a column."""
    short, heads = names(comparison.contenders), {}
    for one in comparison.contenders:
        drawn = look(one.color_index, baseline=one.run_id is None)
        label, below = (one.name, "baseline") if one.run_id is None else (one.letter, short[one.letter])
        heads[one.letter] = Head(drawn.glyph, drawn.color, label, below)
    return heads


@lru_cache(maxsize=1)
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("engine.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE)


def _clean(value: object) -> object:
    """Text without control characters; the edges of parts of a sentence keep their spaces. Markup stays as it is."""
    from markupsafe import Markup

    if isinstance(value, Markup):
        return value
    return SPACES.sub(" ", "".join(c if c.isprintable() or c.isspace() else " " for c in str(value)))
