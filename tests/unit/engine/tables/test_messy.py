"""Messy tables without Spark: every value keeps its characters, every row that cannot be read says why, and the guess gets there."""

from pathlib import Path

import pytest

from engine.sources.table import TableSource
from tests import messy


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, messy.Messy]:
    return messy.cases(tmp_path_factory.mktemp("messy"))


def read(source: TableSource) -> list[tuple[str | None, ...] | str]:
    frame = source.frame()
    rows = frame[messy.OUT].astype(object).where(frame[messy.OUT].notna(), None).itertuples(index=False, name=None)
    return [problem if isinstance(problem, str) else row for row, problem in zip(rows, frame["problem"], strict=True)]


@pytest.mark.fault("F46", "F47", "F48")
def test_every_messy_table_reads_as_it_stands(cases: dict[str, messy.Messy], workspace: Path) -> None:
    for name, case in cases.items():
        source = TableSource(**case.fields)
        wanted = [
            tuple(None if k == 2 and value == "" else value for k, value in enumerate(row)) if isinstance(row, tuple) else row
            for row in case.rows
        ]
        assert read(source) == wanted, name
        source.check()
