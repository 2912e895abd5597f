"""What a stress test found: a record, and the sentences that say it."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.compare.contenders import Comparison, names
from engine.compare.phrases import Part, Sentence, plain_name

Group = Literal["usual", "k", "target", "users", "users and k", "popularity", "threshold", "period", "seen"]
BY_K = ("usual", "k", "users", "users and k")
MOST_NAMED = 5  # exceptions that a sentence names; of more it says how many there are


class Variant(BaseModel):
    """A defensible protocol: what it changes of the usual one, and its name for people."""

    model_config = ConfigDict(frozen=True)

    group: Group
    name: str
    k: int
    users: str | None = None  # which users, where not all


class StressRow(BaseModel):
    """Contenders under one protocol, by NDCG@k."""

    model_config = ConfigDict(frozen=True)

    variant: Variant
    values: dict[str, float]  # by letter
    best: str | None  # letter of the highest value; None for a tie
    surely: bool  # whether it is ahead of each other by a paired test, corrected for the number of pairs within the protocol
    users: int


class Lack(BaseModel):
    """A protocol, or a contender, that cannot be in the test, and why."""

    model_config = ConfigDict(frozen=True)

    what: str
    why: str
    name: bool = False  # whether `what` is the name of a contender, which may be any text


class StressTest(BaseModel):
    """The same contenders under many protocols; the first row is the usual one. `names`: by letter, of those that take part."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[StressRow, ...]
    lacks: tuple[Lack, ...]
    names: dict[str, str]


def called(comparison: Comparison, letters: Sequence[str]) -> dict[str, str]:
    """Letter -> what a contender is called in sentences: letter and short name; of a baseline its name."""
    short = names(comparison.contenders)
    every = {c.letter: f"{c.letter} {plain_name(short[c.letter])}" if c.run_id else c.name for c in comparison.contenders}
    return {letter: every[letter] for letter in letters}


def stress_sentence(test: StressTest) -> Sentence:
    """In how many protocols the best by the usual one leads, in how many surely, and where it does not lead."""
    every, usual = len(test.rows), test.rows[0]
    if usual.best is None:
        return (Part(f"Nobody leads under the usual protocol, where the best are equal; {every} protocols were tried."),)
    led = [row for row in test.rows if row.best == usual.best]
    sure = sum(row.surely for row in led)
    surely = "surely in all of them" if sure == len(led) else f"surely in {sure}" if sure else "surely in none"
    who = Part(test.names[usual.best], name=True)
    if len(led) == every:
        return who, Part(f" leads in all {every} protocols, {surely}.")
    others = [row for row in test.rows if row.best != usual.best]
    lost = sum(row.surely for row in others)
    overtaken = f" Another is surely ahead in {lost} of these." if lost else " Nobody is surely ahead of it there."
    return who, Part(f" leads in {len(led)} of {every} protocols, {surely}; not for {_where(test, others)}.{overtaken}")


def not_here(test: StressTest) -> list[Sentence]:
    """What is not in the test, a sentence for each reason."""
    ordered = sorted(test.lacks, key=lambda one: [other.why for other in test.lacks].index(one.why))
    sentences = []
    for why, alike in groupby(ordered, key=lambda one: one.why):
        parts = [Part("Not here: ")]
        for at, one in enumerate(alike):
            parts += [*([Part(", ")] if at else []), Part(one.what, name=one.name)]
        sentences.append((*parts, Part(f", because {why}.")))
    return sentences


def _where(test: StressTest, others: Sequence[StressRow]) -> str:
    """The protocols in which others lead, by who does: those of one group of users that differ in k together."""
    found: dict[tuple[str | None, str | None, str], list[int]] = {}
    for row in others:
        name = "" if row.variant.group in BY_K else row.variant.name
        found.setdefault((row.best, row.variant.users, name), []).append(row.variant.k)
    phrases = []
    for (best, users, name), ks in sorted(found.items(), key=lambda one: (one[0][0] is None, str(one[0][0]))):
        every = sum(row.variant.users == users for row in test.rows if row.variant.group in BY_K)
        some = f"users with {users}" if users else "all users"
        of_k = f"k {', '.join(map(str, sorted(ks)))}" + (f" among {some}" if users else "")
        phrases.append(f"{name or (some if len(ks) == every else of_k)} ({_letter(best, test.names)})")
    more = len(phrases) - MOST_NAMED
    return "; ".join(phrases[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _letter(best: str | None, called: Mapping[str, str]) -> str:
    """Who leads, in brackets: the letter of a run, the name of a baseline."""
    return "a tie" if best is None else best if called[best].startswith(f"{best} ") else called[best]
