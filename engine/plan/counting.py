"""Large counts as people write them: 300M, 2.5 billion rows as 2.5B, ten times as many as 10x."""

import re

UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)(?P<unit>[kmbgt]?)", re.IGNORECASE)
TIMES = re.compile(r"[x×*]\s*(?P<before>\d+(?:\.\d+)?)|(?P<after>\d+(?:\.\d+)?)\s*[x×]", re.IGNORECASE)
WAYS = "write a number such as 300M, 10k or 2,500,000, or 10x for ten times as many as now"


def count_of(text: str, now: int, name: str) -> int:
    """The count that a text asks for.

    Args:
        text: a number with or without a unit (k, M, B for 10^9, T) and separators; or a factor, 10x.
        now: what a factor multiplies.
        name: of what is counted, for the message.

    Raises:
        ValueError: it is no such text, or less than 1.
    """
    plain = text.strip().replace(",", "").replace("_", "").replace(" ", "")
    if times := TIMES.fullmatch(plain):
        count = round(now * float(times["before"] or times["after"]))
    elif number := NUMBER.fullmatch(plain):
        count = round(float(number["number"]) * UNITS[number["unit"].lower()])
    else:
        raise ValueError(f"{name} is {text[:40]!r}; {WAYS}.")
    if count < 1:
        raise ValueError(f"{name} is {text[:40]!r}, which makes {count}; choose 1 or more.")
    return count
