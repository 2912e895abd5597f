"""A backtest in sentences."""

from engine.compare.backtest.staleness import TOLERANCE, Staleness
from engine.compare.backtest.windows import PairOverWindows, Window, Windows
from engine.compare.contenders import Comparison, names
from engine.compare.growth import Reading, reading
from engine.compare.phrases import Part, Sentence, plain_name
from workers.artifacts import metric as metric_of

BACKTEST_NOTE = (
    "Each window is measured by models that were trained on what came before it alone: rows, vocabularies, labels and counts. Settings "
    "were chosen once, on the runs compared here, so the older windows have had a say in them. Brackets: 95 % by Student's t over the "
    "windows, which are few; training data overlap, so that it is somewhat too sure (Nadeau and Bengio 2003)."
)


def window_sentences(comparison: Comparison, found: Windows) -> list[Sentence]:
    """Who wins in how many windows, of the best contender against each other; empty before there are two windows."""
    short = {letter: Part(f"{letter} {plain_name(name)}", name=True) for letter, name in names(comparison.contenders).items()}
    best = _best(found)
    pairs = [pair for pair in found.pairs if best in (pair.a, pair.b) and pair.windows > 1]
    return [_pair(pair, found.metric, short[pair.a], short[pair.b]) for pair in pairs]


def _best(found: Windows) -> str | None:
    """The contender that is ahead of the most others on average."""
    ahead = [pair.a for pair in found.pairs]
    return max(found.letters, key=ahead.count) if ahead else None


def _pair(pair: PairOverWindows, metric: str, a: Part, b: Part) -> Sentence:
    label = metric_of(metric).label
    low, high = sorted((pair.low, pair.high)) if pair.difference >= 0 else sorted((-pair.low, -pair.high))
    size = reading(Reading(abs(pair.difference), low, high))
    sure = "" if low > 0 else f"; {pair.windows} windows are too few to say that it will next month"
    wins = f" has the better {label} in {pair.wins_a} of {pair.windows} windows"
    return a, Part(wins + " than "), b, Part(f", by {size} on average{sure}.")


def window_name(window: Window, place: int) -> str:
    """The begin of a window, or its place where that is not known."""
    return f"from {window.start:%Y-%m-%d}" if window.start is not None else f"window {place + 1}"


def staleness_sentence(comparison: Comparison, one: Staleness, metric: str) -> Sentence:
    """What a day costs a contender, and how often to train it; or that the windows do not show it."""
    short = names(comparison.contenders)
    name = Part(f"{one.letter} {plain_name(short[one.letter])}", name=True)
    label, days = metric_of(metric).label, max(point.days for point in one.points)
    interval = f"{_percent(one.daily)} [{_percent(one.low)}, {_percent(one.high)}]"
    if not one.low > 0:
        known = interval if one.low == one.low else _percent(one.daily)
        return name, Part(f": models up to {days:.0f} days older do not show what a day of age costs ({known} of {label} a day).")
    every = max(1, int(TOLERANCE / one.daily + 1e-6))
    return name, Part(
        f": a day older costs {interval} of {label}; retrain every {every} day{'s' if every > 1 else ''} to lose less than "
        f"{100 * TOLERANCE:.0f} %."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %".replace("-", "−")
