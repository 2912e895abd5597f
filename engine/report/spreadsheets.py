"""Tables as files for spreadsheets."""

import csv
from typing import TYPE_CHECKING

from workers.exports import OPENS_A_FORMULA

if TYPE_CHECKING:
    import pandas as pd


def csv_safe(frame: "pd.DataFrame") -> bytes:
    """UTF-8 CSV in which no text cell is a formula to a spreadsheet: such a cell gets an apostrophe in front. Numbers stay numbers.

    Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection.
    """

    def safe(value: object) -> object:
        return f"'{value}" if isinstance(value, str) and value.startswith(OPENS_A_FORMULA) else value

    text = frame.select_dtypes(include=["object", "string", "category"]).columns
    shown = frame.assign(**{name: frame[name].map(safe) for name in text})
    shown.columns = [str(safe(str(name))) for name in frame.columns]
    # quoted, or a lone carriage return would end the row and open a formula; the mark tells spreadsheets that it is UTF-8
    return shown.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC).encode("utf-8-sig")
