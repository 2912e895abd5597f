"""Tables as files: what a spreadsheet would run is text, what is a number stays one."""

import io

import pandas as pd
import pytest

from engine.report.spreadsheets import csv_safe


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
@pytest.mark.fault("F59")
def test_no_text_cell_opens_a_formula(text: str) -> None:
    found = pd.read_csv(io.BytesIO(csv_safe(pd.DataFrame({"title": [text]}))), keep_default_na=False)
    assert found["title"].iloc[0] == f"'{text}"


def test_numbers_and_harmless_text_are_untouched() -> None:
    frame = pd.DataFrame({"n": [-1.5, 2.0], "k": [-3, 4], "=name": ["a, b", 'say "x"'], "gone": [None, "–"]})
    found = pd.read_csv(io.BytesIO(csv_safe(frame)))
    assert found["n"].tolist() == [-1.5, 2.0]
    assert found["k"].tolist() == [-3, 4]
    assert found["'=name"].tolist() == ["a, b", 'say "x"']
    assert found["gone"].isna().tolist() == [True, False]
