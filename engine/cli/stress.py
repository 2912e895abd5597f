"""recbench stress: who leads under other protocols than the usual one."""

import argparse
from typing import TYPE_CHECKING, Any

from engine.cli.annotations import Add

if TYPE_CHECKING:
    from engine.compare import StressRow, StressTest


def register(add: Add) -> None:
    """Add the command to a parser."""
    text = "Measure finished runs under many defensible protocols, from their stored lists: is the comparison fragile?"
    add("stress", _stress, text).add_argument("run_ids", nargs="+", metavar="RUN")


def _stress(args: argparse.Namespace) -> dict[str, Any]:
    import engine

    comparison = engine.compare.compare(args.run_ids)
    test = engine.compare.stress_test(comparison)
    sentence = engine.compare.plain(engine.compare.stress_sentence(test))
    lacks = [engine.compare.plain(one) for one in engine.compare.not_here(test)]
    _print(test, sentence, lacks)
    for title, reason in comparison.apart:
        print(f"apart: {title} {reason}")
    answer = {"dataset": comparison.dataset, "sentence": sentence, "not_here": lacks, "apart": comparison.apart}
    return test.model_dump(mode="json", exclude={"lacks"}) | answer


def _print(test: "StressTest", sentence: str, lacks: list[str]) -> None:
    """The contenders, a row per protocol with the stars of the page, the sentence, and what is not in the test."""
    for letter, name in test.names.items():
        print(f"{letter:>4}  {name.removeprefix(f'{letter} ')}")
    widest = max(len(row.variant.name) for row in test.rows)
    print(f"\n{'NDCG@k':<{widest}}{'users':>9}" + "".join(f"{letter:>9}" for letter in test.names))
    for row in test.rows:
        print(f"{row.variant.name:<{widest}}{row.users:>9,}" + "".join(f"{_cell(row, letter):>9}" for letter in test.names))
    print(f"\n★ surely best · ☆ best, but not surely\n\n{sentence}")
    for one in lacks:
        print(one)


def _cell(row: "StressRow", letter: str) -> str:
    mark = "" if row.best != letter else "★" if row.surely else "☆"
    return f"{mark}{row.values[letter]:.3f}"
