"""Detect numbers with decimal commas or thousands separators; what one column leaves open, other columns of the table may settle."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from engine.tables.when import NUMBER
from workers.prepare.tables import FORMS, Numbers

ENOUGH = 0.9
COMMA, THOUSANDS = re.compile(FORMS["decimal_comma"]), re.compile(FORMS["thousands"])
ONE_GROUP = re.compile(r"\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*")  # 1.234 may be a thousand, or one and a bit
AS_FORM: dict[Numbers, str] = {"decimal_comma": "a comma before the decimals", "thousands": "a comma between thousands"}


class Written(NamedTuple):
    """How a column writes numbers, and a question where its values leave it open."""

    numbers: Numbers = "plain"
    question: str | None = None


def written(columns: Sequence[tuple[str, Sequence[str]]]) -> list[Written]:
    """How each column writes numbers; plain for other values.

    Args:
        columns: name and values of each column, without those that say missing.
    """
    settled: list[Written | None] = [_alone(values) for _, values in columns]
    commas = any(one is not None and one.numbers == "decimal_comma" and not one.question for one in settled)
    points = any(_has_decimal_points(values) for (_, values), one in zip(columns, settled, strict=True) if one == Written())
    return [_settle(name, values, one, commas, points) for (name, values), one in zip(columns, settled, strict=True)]


def _alone(values: Sequence[str]) -> Written | None:
    """What the values of one column say; None while 1,234 or 1.234 may mean either."""
    odd = [value for value in values if not NUMBER.fullmatch(value)]
    if not odd:
        return None if _has_one_group(values) else Written()
    few = (1 - ENOUGH) * len(values)
    by_comma, by_point = ([value for value in odd if form.match(value)] for form in (COMMA, THOUSANDS))
    if sum(not COMMA.match(value) and not THOUSANDS.match(value) for value in odd) > few:
        return Written()
    only_comma, only_point = set(by_comma) - set(by_point), set(by_point) - set(by_comma)
    if only_comma and only_point:
        example = f"{next(iter(sorted(only_comma)))!r} has its decimals after a comma, {next(iter(sorted(only_point)))!r} does not"
        return Written("decimal_comma" if len(only_comma) > len(only_point) else "thousands", f"{example}; choose how they are written.")
    if only_comma or only_point:
        return Written("decimal_comma" if only_comma else "thousands")
    return None if any("," in value for value in odd) else Written("thousands")


def _settle(name: str, values: Sequence[str], one: Written | None, commas: bool, points: bool) -> Written:
    if one is not None:
        return one
    odd = [value for value in values if not NUMBER.fullmatch(value)]
    example = (odd or [value for value in values if "." in value])[0].strip()
    if not odd and not commas:
        return Written()  # numbers with a point, as most tables write them
    if odd and commas != points:
        return Written("decimal_comma" if commas else "thousands")
    digits = re.sub(r"[^0-9]", "", example)
    question = f"{example!r} in {name} may be {int(digits):,} or {int(digits) / 1000:g}; choose how its numbers are written."
    return Written("thousands" if odd else "decimal_comma", question)


def _has_one_group(values: Sequence[str]) -> bool:
    """Whether every number with a point may also be whole, with a point between thousands."""
    pointed = [value for value in values if "." in value]
    return bool(pointed) and all(ONE_GROUP.fullmatch(value) for value in pointed)


def _has_decimal_points(values: Sequence[str]) -> bool:
    return any("." in value and NUMBER.fullmatch(value) and not ONE_GROUP.fullmatch(value) for value in values)
