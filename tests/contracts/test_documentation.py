"""What is public is documented: names on the engine's faces, commands, settings and environment variables; and the pages lead somewhere."""

import argparse
import ast
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from engine.cli import commands
from engine.datasets import rules
from engine.settings import Settings
from engine.sources import SOURCES
from ui.help import topics
from workers.models import KINDS
from workers.run import RunSpec
from workers.specs import Spec

ROOT = Path(__file__).resolve().parents[2]
FACES = sorted((ROOT / "engine").rglob("__init__.pyi"))
FOR_PEOPLE = (
    "engine.specs",
    "engine.runs",
    "engine.compare",
    "engine.diagnosis",
    "engine.features",
)  # packages that a script is written with
PAGES = [ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md", *sorted((ROOT / "ui" / "help").glob("*.md"))]
LINK = re.compile(r"\]\((?P<to>[^)\s]+)\)")
README_LINES = 120
SHOW = """
print(*(contender.model for contender in comparison.contenders))
print(*comparison.table[comparison.table["metric"] == "ndcg_at_10"]["value"])
"""
SEARCHED = """
import json
search = engine.searches.of_run(run_ids[0])
print(json.dumps([trial.value for trial in search.trials]))
print(search.best.value)
print(json.dumps(engine.recommend.open_model(run_ids[0]).recommend("42", k=5)["title"].tolist()))
"""


def text_of_pages() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def exported(face: Path) -> list[str]:
    """The names that an `__init__.pyi` lists."""
    body = ast.parse(face.read_text(encoding="utf-8")).body
    return [alias.asname or alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.parent.relative_to(ROOT).as_posix())
def test_every_public_name_has_a_docstring(face: Path) -> None:
    package = importlib.import_module(".".join(face.parent.relative_to(ROOT).parts))
    named = {name: getattr(package, name) for name in exported(face)}
    explainable = {name: value for name, value in named.items() if inspect.isroutine(value) or inspect.isclass(value)}
    assert not [name for name, value in explainable.items() if not (value.__doc__ or "").strip()]


def test_every_function_that_scripts_are_written_with_is_on_the_python_page() -> None:
    page = (ROOT / "ui" / "help" / "python.md").read_text(encoding="utf-8")
    for name in FOR_PEOPLE:
        package = importlib.import_module(name)
        functions = [one for one in package.__all__ if inspect.isfunction(getattr(package, one))]
        assert functions
        assert not [one for one in functions if f"`{one}`" not in page], name


def subcommands() -> dict[str, argparse.ArgumentParser]:
    parser = commands._parser()
    return next(dict(action.choices) for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def test_every_command_is_on_the_page_of_commands_and_explains_its_options() -> None:
    page = (ROOT / "ui" / "help" / "commands.md").read_text(encoding="utf-8")
    for name, parser in subcommands().items():
        assert f"`recbench {name}" in page, name
        assert parser.description, name
        options = [action for action in parser._actions if action.option_strings]
        assert not [action.dest for action in options if not action.help], name


def test_commands_in_the_pages_are_commands() -> None:
    known = subcommands().keys()
    for page in PAGES:
        for name in re.findall(r"(?:uv run|`)\s?recbench ([a-z][a-z-]+)", page.read_text(encoding="utf-8")):
            assert name in known, f"{page.name}: recbench {name}"


def specs_in(spec: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A spec and those that its fields hold."""
    yield spec
    for field in spec.model_fields.values():
        for part in classes_in(field.annotation):
            yield from specs_in(part)


def classes_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from classes_in(part)


def every_spec() -> list[type[BaseModel]]:
    """Whatever a person fills in: runs, datasets, their rules, each model and source, and the environment."""
    from engine.datasets import DatasetSpec, DownloadSpec
    from workers.exports import ListExportSpec

    own = [value for value in vars(rules).values() if inspect.isclass(value) and issubclass(value, Spec) and value is not Spec]
    roots = [RunSpec, DatasetSpec, DownloadSpec, ListExportSpec, Settings, *own, *KINDS.values(), *SOURCES.values()]
    return list(dict.fromkeys(spec for root in roots for spec in specs_in(root)))


@pytest.mark.parametrize("spec", every_spec(), ids=lambda spec: spec.__name__)
def test_every_setting_has_a_description(spec: type[BaseModel]) -> None:
    """But `kind`, which names the class, and a spec within a spec: of these the class has a docstring."""
    assert (spec.__doc__ or "").strip()
    settings = {name: field for name, field in spec.model_fields.items() if name != "kind" and not list(classes_in(field.annotation))}
    assert not [name for name, field in settings.items() if not field.description]


def test_every_environment_variable_is_on_a_page() -> None:
    source = [path.read_text(encoding="utf-8") for floor in ("ui", "engine", "workers", "tests") for path in (ROOT / floor).rglob("*.py")]
    named = {name for text in source for name in re.findall(r"RECBENCH_[A-Z]+(?:_[A-Z]+)*", text)}
    named |= {f"RECBENCH_{field.upper()}" for field in Settings.model_fields}
    assert {"RECBENCH_WORKSPACE", "RECBENCH_CONCURRENT_RUNS"} <= named
    pages = text_of_pages()
    assert not {name for name in named if not re.search(rf"\b{name}\b", pages)}


def test_every_file_of_help_is_a_topic_and_its_links_lead_somewhere() -> None:
    files = {path.stem for path in (ROOT / "ui" / "help").glob("*.md")}
    assert files == topics.TOPICS.keys()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        for to in LINK.findall(page.read_text(encoding="utf-8")):
            path, _, place = to.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert to.startswith("https://") or target.exists(), f"{page.name}: {to}"
            assert not place or place in anchors(target), f"{page.name}: {to}"
    assert all(f"(ui/help/{name}.md)" in readme for name in topics.TOPICS)


def anchors(page: Path) -> set[str]:
    """The names that a repository gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("topic", topics.TOPICS)
def test_links_of_a_topic_lead_to_topics_in_the_app(topic: str) -> None:
    shown = topics.text(topic)
    assert shown.startswith("# ")
    for to in LINK.findall(shown):
        assert to.removeprefix("help?topic=") in topics.TOPICS or to.startswith("https://"), to


def test_the_readme_is_short_and_its_pictures_are_small() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) < README_LINES
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert len(pictures) == 2
    assert all((ROOT / picture).stat().st_size < 120_000 for picture in pictures)


@pytest.mark.slow
def test_every_test_that_the_readme_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert len(named) > 5 and named <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}


def run_example(page: Path, folder: Path, more: str) -> list[str]:
    """The lines that the only Python on a page prints, run in an empty folder; `more`: code that is run after it."""
    code = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) == 1
    script = folder / "first.py"
    script.write_text(code[0] + more, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("RECBENCH_WORKSPACE", None)
    ended = subprocess.run([sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True, timeout=1200)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip().split("\n")


def test_the_first_comparison_from_python_runs_as_the_readme_has_it(tmp_path: Path) -> None:
    *printed, contenders, values = run_example(ROOT / "README.md", tmp_path, SHOW)
    assert any("ndcg_at_10" in line for line in printed)
    assert contenders.split() == ["two_tower", "ease", "popularity", "random"]
    two_tower, ease, popularity, random = map(float, values.split())
    assert min(two_tower, ease) > popularity > random
    assert (tmp_path / "workspace" / "mlflow.db").is_file()


@pytest.mark.thorough
def test_the_first_comparison_with_a_search_and_a_list_runs_as_the_python_page_has_it(tmp_path: Path) -> None:
    printed = run_example(ROOT / "ui" / "help" / "python.md", tmp_path, SEARCHED)
    trials, best, titles = map(json.loads, printed[-3:])
    assert len(trials) == 3 and best == max(trials)
    assert len(titles) == 5 and all(title in "\n".join(printed[:-3]) for title in titles)
    assert any(line.startswith("For retrieval take A Two-tower: NDCG@10") for line in printed) and "model.embedding_dim" in printed[0]
    assert json.loads((tmp_path / "comparison.ipynb").read_text(encoding="utf-8"))["nbformat"] == 4
