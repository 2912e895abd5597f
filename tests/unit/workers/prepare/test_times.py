"""Dates in text become unix seconds, whatever their form, and what is no date stays unread."""

from datetime import UTC, datetime

import pytest

from workers.prepare import check_unit, moments
from workers.prepare.rows import Reading, read_frame


def read(unit: str, *values: str) -> list[str | None]:
    return [None if one is None else f"{datetime.fromtimestamp(one, UTC):%Y-%m-%d %H:%M:%S}" for one in moments(values, unit)]


@pytest.mark.parametrize(
    "value, moment",
    [
        ("2019-10-01 00:00:05 UTC", "2019-10-01 00:00:05"),
        ("2019-10-01 00:00:05 GMT", "2019-10-01 00:00:05"),
        ("2019-10-01 00:00:05 Z", "2019-10-01 00:00:05"),
        ("2019-10-01T00:00:05Z", "2019-10-01 00:00:05"),
        ("2019-10-01 00:00:05 +0000 UTC", "2019-10-01 00:00:05"),
        ("2019-10-01T02:00:05+02:00", "2019-10-01 00:00:05"),
        ("2019-10-01T02:00:05.25+0200", "2019-10-01 00:00:05"),
        ("2019/1/5 8:26", "2019-01-05 08:26:00"),
        ("20190105T082600Z", "2019-01-05 08:26:00"),
        ("2014-12-06 02", "2014-12-06 02:00:00"),
        ("2014-12", "2014-12-01 00:00:00"),
        ("1600-01-01", "1600-01-01 00:00:00"),
    ],
)
def test_dates_with_the_year_first(value: str, moment: str) -> None:
    assert read("iso", value) == [moment]


def test_the_order_of_day_and_month_is_that_of_the_unit() -> None:
    assert read("month/day/year", "12/1/10 8:26", "12/13/10 8:45") == ["2010-12-01 08:26:00", "2010-12-13 08:45:00"]
    assert read("day/month/year", "12/1/10 8:26", "12/13/10 8:45", "31.12.1999") == ["2010-01-12 08:26:00", None, "1999-12-31 00:00:00"]
    assert read("month/day/year", "11/12/2019 8:59:25 PM", "1/1/2019 12:00 AM") == ["2019-11-12 20:59:25", "2019-01-01 00:00:00"]
    assert read("month/day/year", "02 28, 2014", "2/3/2001", "1/2/69") == [
        "2014-02-28 00:00:00",
        "2001-02-03 00:00:00",
        "1969-01-02 00:00:00",
    ]


@pytest.mark.parametrize(
    "value, moment",
    [
        ("Tue Apr 03 18:00:09 +0000 2012", "2012-04-03 18:00:09"),
        ("Mon Apr 06 22:19:45 PDT 2009", "2009-04-07 05:19:45"),
        ("Wed, 31 Jan 2024 10:00:00 GMT", "2024-01-31 10:00:00"),
        ("Wed, 31 Jan 2024 10:00:00 +0100", "2024-01-31 09:00:00"),
        ("January 31st, 2024 5pm", "2024-01-31 17:00:00"),
        ("31-JAN-24 08.15.00.000000000 AM", "2024-01-31 08:15:00"),
        ("10/Oct/2000:13:55:36 -0700", "2000-10-10 20:55:36"),
    ],
)
def test_dates_with_the_month_in_words(value: str, moment: str) -> None:
    assert read("words", value) == [moment]


def test_a_pattern_of_ones_own_reads_dates_and_digits_that_became_a_fraction() -> None:
    assert read("%y%m%d%H", "14102100") == ["2014-10-21 00:00:00"]
    assert read("%Y%m%d", "20200825.0", "20200826", "x") == ["2020-08-25 00:00:00", "2020-08-26 00:00:00", None]
    assert read("%H:%M %d|%m|%Y", "08:26 31|12|2024") == ["2024-12-31 08:26:00"]


@pytest.mark.parametrize("unit", ["iso", "day/month/year", "month/day/year", "words"])
def test_what_is_no_date_stays_unread(unit: str) -> None:
    bad = ["", "soon", "2024-02-31", "31/02/2024", "02/31/2024", "31 Foo 2024", "2024-01-01 25:00", "2024-01-01 10:00 XYZ", "1.2.3.4", "-5"]
    assert moments(bad, unit) == [None] * len(bad)


def test_days_and_the_days_of_excel_are_units() -> None:
    for unit, value in (("days", "18262.5"), ("excel", "43831.5")):
        found = read_frame(_frame([value]), Reading(value="none", time=unit), ())
        assert found["timestamp"].tolist() == [1_577_880_000], unit


def test_an_order_without_a_time_is_the_order_of_rows() -> None:
    found = read_frame(_frame(["x", "y"]).drop(columns="timestamp"), Reading(value="none", time="order"), ())
    assert found["timestamp"].tolist() == [1, 2]


@pytest.mark.parametrize("unit", ["hours", "%H:%M", "%Q", "%d.%m.%Y %"])
def test_a_unit_that_reads_no_date_is_refused(unit: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        check_unit(unit)
    assert check_unit("%d.%m.%Y") == "%d.%m.%Y"


def _frame(times: list[str]):  # type: ignore[no-untyped-def]
    import pandas as pd

    return pd.DataFrame({"user_id": "u", "item_id": "i", "timestamp": times})
