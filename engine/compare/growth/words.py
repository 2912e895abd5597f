"""Learning curves in sentences: what more data has given, what a law says of ten times as much, and who would pass whom."""

import math
from collections.abc import Mapping, Sequence

from engine.compare.contenders import Comparison, names
from engine.compare.growth.learning_curves import FEWEST, Crossing, Growth, LearningCurve, Reading
from engine.compare.growth.power_law import REACH
from engine.compare.numbers import count, number, places_of, rough
from engine.compare.phrases import Part, Sentence, plain_name
from workers.artifacts import metric as metric_of

POINTS_NOTE = (
    "The same test users for all shares of the users. Brackets and bars: 95 % over resampled test users, the same for all, with what "
    "another seed may change. Which users are in a share is not resampled."
)
LAW_NOTE = (
    f"{POINTS_NOTE} Lines: the law c − a·n^−b through the points (Hestness et al. 2017; Viering and Loog 2021), dashed where nothing was "
    "measured; bands: its interval."
)


def growth_sentences(comparison: Comparison, growth: Growth) -> list[Sentence]:
    """A sentence for each contender with two shares or more, and one for each that may pass who is ahead."""
    short = {letter: Part(f"{letter} {plain_name(name)}", name=True) for letter, name in names(comparison.contenders).items()}
    said = [_of_curve(one, growth.metric, short[one.letter]) for one in growth.curves if one.rise is not None]
    most = max((point.rows for one in growth.curves for point in one.points), default=0)
    return [*said, *(_of_crossing(one, short, most) for one in growth.crossings)]


def measured_growth(curve: LearningCurve, metric: str) -> str:
    """What more data gives a contender, in a few words for a table; empty where nothing was measured."""
    if curve.rise is None:
        return ""
    if curve.gain is not None:
        return f"ten times more rows: {reading(curve.gain, signed=True)} {metric_of(metric).label} by its learning curve"
    first, last = curve.points[0], curve.points[-1]
    return f"from {rows_text(first.rows)} to {rows_text(last.rows)} rows: {reading(curve.rise, signed=True)} {metric_of(metric).label}"


def _of_curve(one: LearningCurve, metric: str, name: Part) -> Sentence:
    assert one.rise is not None
    first, last, label = one.points[0], one.points[-1], metric_of(metric).label
    better = "better" if metric_of(metric).better == "lower" else "more"
    span = f" {label} {number(first.value)} on {rows_text(first.rows)} rows, {number(last.value)} on {rows_text(last.rows)}"
    if one.rise.high < 0:
        return name, Part(f":{span}: more users have made it worse ({reading(one.rise, signed=True)}).")
    if one.rise.low <= 0:
        return name, Part(f":{span}. It is not clear that more data helps: {reading(one.rise, signed=True)} from the first to the last.")
    if one.gain is not None:
        far = f"By the law ten times more rows would give {reading(one.gain, signed=True)} {better}; that is not measured."
        return name, Part(f":{span}. {far}")
    sizes = len({point.rows for point in one.points})
    if sizes < FEWEST:
        lacks = f"{sizes} sizes of data are too few for a law, which takes {FEWEST}"
    else:
        lacks = "these points do not determine a law well enough to say what ten times more rows would give"
    return name, Part(f":{span}: more data has helped ({reading(one.rise, signed=True)}); {lacks}.")


def _of_crossing(one: Crossing, short: Mapping[str, Part], most: int) -> Sentence:
    ahead, other, rows = short[one.ahead], short[one.other], one.rows
    reach = f"{REACH:.0f} times the rows that there are"
    if rows.low <= most and math.isinf(rows.high):
        return Part("Whether "), other, Part(" passes "), ahead, Part(" with more data is not clear from their laws.")
    if math.isinf(rows.value):
        until = "" if math.isinf(rows.low) else f"; at the earliest at {rows_text(rows.low)} rows"
        return Part("By the laws "), other, Part(" does not pass "), ahead, Part(f" within {reach}{until}.")
    where = f"about {rows_text(rows.value)} rows [{rows_text(rows.low)}, {rows_text(rows.high, reach)}]"
    if rows.value > most:
        return Part("By the laws "), other, Part(" passes "), ahead, Part(f" at {where}; that is not measured.")
    return Part("With less data "), other, Part(" is ahead of "), ahead, Part(f", which passes it at {where}.")


def rows_text(rows: float, beyond: str = "") -> str:
    """12,000; 3.2 million. beyond: stands for infinity."""
    if math.isinf(rows):
        return f"beyond {beyond}"
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if rows >= size:
            return f"{rows / size:.2g} {word}" if rows < 100 * size else f"{count(rows / size)} {word}"
    return rough(rows)


def reading(one: Reading, signed: bool = False) -> str:
    """+0.012 [0.004, 0.020]: as many places as half of the interval supports, and three or more."""
    half = (one.high - one.low) / 2
    places = max(3, places_of(half)) if math.isfinite(half) else 3
    value, low, high = (number(round(end, places) + 0.0, places) for end in one)  # + 0.0: no minus before nothing
    return f"{'+' if signed and round(one.value, places) > 0 else ''}{value} [{low}, {high}]"


def shares_text(shares: Sequence[float]) -> str:
    """10, 25 and 50 %."""
    shown = [f"{100 * share:.3g}" for share in shares]
    return f"{' and '.join(part for part in (', '.join(shown[:-1]), shown[-1]) if part)} %"
