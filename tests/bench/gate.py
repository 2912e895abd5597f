"""How often a gate is wrong: `python -m tests.bench.gate [RUN RUN] [--repetitions 400] [--tolerance 1]`.

Users with NDCG@10 by two models are drawn anew for each repetition, a difference is planted, and the gate's own test judges them. Without
runs they are drawn from a law with the figures of MovieLens 100K, split per user, 828 users: 55 % of users without a hit, and the others
by Beta(1.2, 2.7); two seeds of a two-tower correlate by .92 over users, a two-tower and EASE by .82. With two runs of one dataset in
the workspace, users are drawn from theirs, with replacement.

The two models are equally good before a difference is planted: the law is the same for both, and the values of runs are swapped at random
within each user. A candidate that is 5 % worse loses all hits of each user with a chance of 5 %, so that its mean is 5 % lower.
"""

import argparse
from collections import Counter
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtr

from engine.compare.gate import Outcome, judge_margin
from workers.evaluation import Floats

ZEROS, SHAPE = 0.55, (1.2, 2.7)
SEEDS, MODELS = 0.945, 0.87  # correlation of two normal variables, which gives one of .92 and of .82 over users
PLANTED = (0.02, 0.0, -0.005, -0.01, -0.02, -0.05)
USERS = (500, 5_000, 50_000, 200_000)


class Shares(NamedTuple):
    """What the gate answered, as shares of the repetitions."""

    not_worse: float
    worse: float
    unknown: float

    def wrong(self, planted: float, tolerance: float) -> float:
        """The share of wrong answers; where what is planted is just what is tolerated, of the one that is more frequent."""
        return max(self.not_worse * (planted <= -tolerance), self.worse * (planted >= -tolerance))


def population(correlation: float, users: int = 200_000) -> Floats:
    """Values of two models of equal quality [U, 2], by a normal copula of such a correlation."""
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=(users, 1)), rng.normal(size=(users, 2))
    place = ndtr(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own)
    values: Floats = betaincinv(*SHAPE, np.clip((place - ZEROS) / (1 - ZEROS), 0, 1))
    return values


def judged(values: Floats, rng: np.random.Generator, users: int, planted: float, tolerance: float) -> Outcome:
    """The gate's answer to a candidate that is better by a share of the other's value, below 0 where it is worse.

    Args:
        values: [N, 2] of whom users are drawn, with replacement, each with its two values in either order.
    """
    drawn, swap = values[rng.integers(0, len(values), users)], rng.random(users) < 0.5
    candidate, against = np.where(swap, drawn.T, drawn.T[::-1])
    if planted < 0:
        candidate = np.where(rng.random(users) < -planted, 0.0, candidate)
    elif planted > 0:
        against = np.where(rng.random(users) < planted / (1 + planted), 0.0, against)
    apart = candidate - against
    return judge_margin((apart - apart.mean()) / users, float(apart.mean()), tolerance * float(against.mean())).outcome


def shares(values: Floats, users: int, planted: float, tolerance: float, repetitions: int, seed: int = 1) -> Shares:
    """The answers to as many draws of users."""
    rng = np.random.default_rng(seed)
    said = Counter(judged(values, rng, users, planted, tolerance) for _ in range(repetitions))
    return Shares(*(said[outcome] / repetitions for outcome in Outcome))


def per_user(run_ids: list[str]) -> Floats:
    """NDCG@10 of the users of both runs, [U, 2]."""
    from engine import runs

    one, other = (runs.per_user(run_id).set_index("user_id")["ndcg_at_10"] for run_id in run_ids)
    both = one.to_frame("a").join(other.rename("b"), how="inner").to_numpy(float)
    zeros, correlation = (both == 0).mean(), np.corrcoef(both.T)[0, 1]
    print(f"{len(both)} users, means {both.mean(axis=0).round(4)}, without a hit {zeros:.1%}, correlation {correlation:.2f}\n")
    return both


def main() -> None:
    """Print a table in Markdown: answers in percent of repetitions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_ids", nargs="*", metavar="RUN", help="none or two")
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--tolerance", type=float, default=1.0, help="percent")
    args = parser.parse_args()
    if len(args.run_ids) not in (0, 2):
        parser.error("name two runs, or none")
    kinds = {"another seed": SEEDS, "another model": MODELS}
    pairs = {"these runs": per_user(args.run_ids)} if args.run_ids else {name: population(one) for name, one in kinds.items()}
    print("| the candidate is | " + " | ".join(f"{users:,} users" for users in USERS) + " |\n|---|" + "---|" * len(USERS))
    rows = [("the same lists", next(iter(pairs.values()))[:, [0, 0]], 0.0)]
    rows += [(f"{name}, {_size(planted)}", values, planted) for name, values in pairs.items() for planted in PLANTED]
    tolerance, worst = args.tolerance / 100, 0.0
    for title, values, planted in rows:
        cells = [shares(values, users, planted, tolerance, args.repetitions) for users in USERS]
        worst = max(worst, *(cell.wrong(planted, tolerance) for cell in cells))
        print(f"| {title} | " + " | ".join(" / ".join(f"{100 * share:.0f}" for share in cell) for cell in cells) + " |", flush=True)
    print(f"\nPercent of {args.repetitions} repetitions: not worse / worse / cannot be told. Most wrong answers of a cell: {worst:.1%}")


def _size(planted: float) -> str:
    return f"{100 * planted:+.3g} %".replace("-", "−") if planted else "equally good"


if __name__ == "__main__":
    main()
