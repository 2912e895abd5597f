"""How often verdicts are wrong: `python -m tests.bench.false_winners RUN RUN [RUN …] [--draws 1000]`, runs of one dataset in the workspace.

Five questions, each about the tests that a comparison makes, at their level of 5 %:
- nothing differs: each user's results (or test rows) are given to one of two runs at random, so that neither is better: how often has such
  a pair a winner, by every metric? Beside it the share by a test that takes rows for independent, as many tools do;
- only seeds differ: runs of the same settings, judged as if their settings differed: how many pairs have a winner?
- a difference as large as the smallest that is said to be visible is planted: is it seen as often as is claimed (80 %)?
- are the users said to be needed those that it takes, by drawing so many?
- a difference as large as what matters is planted: how often is it called the same?
"""

import argparse
from itertools import combinations

import numpy as np
import pandas as pd

import engine
from engine import datasets, runs
from engine.compare import Comparison, Contender
from engine.compare.paired_tests import ALPHA, Measured, SeedNoise, test_pairs
from engine.compare.row_metrics import ROW_METRICS, scored
from engine.compare.seed_noise import allowances, noise
from engine.compare.significance import measured_by
from workers.artifacts import metric as metric_of
from workers.evaluation import Estimate, Rows, estimates, owners
from workers.specs import Task

NONE = SeedNoise()


def p_of(values: np.ndarray, influence: np.ndarray, threshold: float = 0.0, noise_of: tuple[SeedNoise, SeedNoise] = (NONE, NONE)):
    """The test of two contenders, whose influences are [U, 2]."""
    return test_pairs(Measured("AB", values, influence), list(noise_of), np.full((2, 2), threshold))[0]


def of_means(values: np.ndarray, threshold: float = 0.0):
    """The test of means over users of values [U, 2]."""
    return p_of(values.mean(axis=0), (values - values.mean(axis=0)) / len(values), threshold)


def swapped_users(values: np.ndarray, draws: int, rng: np.random.Generator) -> float:
    """Share of pairs with a winner where each user's values [U, 2] are swapped at random."""
    swap = rng.random((draws, len(values))) < 0.5
    return float(np.mean([of_means(np.where(own[:, None], values[:, ::-1], values)).p < ALPHA for own in swap]))


def by_rank(score: np.ndarray) -> np.ndarray:
    """Scores as places between 0 and 1, so that two models' scores may be mixed."""
    return (pd.Series(score).rank().to_numpy(float) - 0.5) / len(score)


def swapped_rows(a: pd.DataFrame, b: pd.DataFrame, keys: list[str], task: Task, draws: int, rng: np.random.Generator) -> dict[str, tuple]:
    """Metric -> shares of pairs with a winner where each user's rows are swapped at random: by users, and by rows taken for independent."""
    known = a["known"].to_numpy(bool)
    users, labels = owners(a["user"].to_numpy(np.int64)[known]), a["label"].to_numpy(float)[known]
    both = [one["score"].to_numpy(float)[known] for one in (a, b)]
    if "log_loss" not in keys:
        both = [by_rank(one) for one in both]
    different, own = np.unique(users, return_inverse=True)
    wins: dict[str, list[tuple[bool, bool]]] = {key: [] for key in keys}
    for _ in range(draws):
        swap = (rng.random(len(different)) < 0.5)[own]
        pair = [np.where(swap, one, other) for one, other in (both, both[::-1])]
        by_user = [estimates(Rows(one, labels, users), keys) for one in pair]
        by_row = [estimates(Rows(one, labels, np.arange(len(labels))), [key for key in keys if key != "user_auc"]) for one in pair]
        for key in keys:
            wins[key].append((_wins(by_user, key), _wins(by_row, key)))
    return {key: tuple(np.mean(found, axis=0)) for key, found in wins.items()}


def _wins(pair: list[dict[str, Estimate]], key: str) -> bool:
    if not all(key in one for one in pair):
        return False
    values, influence = np.array([one[key].value for one in pair]), np.column_stack([one[key].influence for one in pair])
    return p_of(values, influence).p < ALPHA


def nothing_differs(comparison: Comparison, draws: int, rng: np.random.Generator) -> None:
    """Prints the shares of winners by each metric, over all pairs of contenders."""
    print(f"\nNothing differs: share of pairs with a winner, {draws} draws a pair (at most 5 % is right)")
    measured, shares = measured_by(comparison), {}
    for key, one in measured.items():
        if key in ROW_METRICS or not metric_of(key).crowned or len(one.letters) < 2:
            continue
        for a, b in list(combinations(range(len(one.letters)), 2))[:6]:
            values = one.values + one.influence * len(one.influence)
            shares.setdefault(key, []).append((swapped_users(values[:, [a, b]], draws, rng), np.nan))
    frames = {c.letter: rows[0] for c in comparison.contenders if c.run_id and (rows := scored(c))}
    task = Task.of(datasets.get_dataset(comparison.dataset).manifest["label"])
    shared = {
        (a, b): [key for key in ROW_METRICS if key in measured and {a, b} <= set(measured[key].letters) and metric_of(key).crowned]
        for a, b in combinations(frames, 2)
    }
    for (a, b), keys in sorted(shared.items(), key=lambda pair: -len(pair[1]))[:6]:  # those first that share most metrics
        for key, share in swapped_rows(frames[a], frames[b], keys, task, max(100, draws // 5), rng).items():
            shares.setdefault(key, []).append(share)
    for key, found in shares.items():
        by_user, by_row = np.mean(found, axis=0)
        print(f"  {metric_of(key).label:<20} {by_user:7.1%}" + ("" if np.isnan(by_row) else f"   rows taken for independent {by_row:7.1%}"))


def only_seeds_differ(run_ids: list[str]) -> None:
    """Prints how many pairs of the same settings have a winner, judged as if their settings differed."""
    comparison = engine.compare.compare(run_ids, seeds=False)
    groups = engine.compare.seed_groups(run_ids)
    letter = {c.run_id: c.letter for c in comparison.contenders}
    pairs = [(letter[a], letter[b]) for group in groups for a, b in combinations(group, 2)]
    if not pairs:
        return
    print(f"\nOnly seeds differ: winners of {len(pairs)} pairs, with what seeds may change, and without")
    for key, one in measured_by(comparison).items():
        if not metric_of(key).crowned:
            continue
        allowed, place, wins = allowances(comparison, key), {name: at for at, name in enumerate(one.letters)}, []
        for a, b in pairs:
            if {a, b} <= set(place):
                at = [place[a], place[b]]
                tests = [
                    p_of(one.values[at], one.influence[:, at], noise_of=of) for of in ((noise(allowed[a]), noise(allowed[b])), (NONE, NONE))
                ]
                wins.append([test.p < ALPHA for test in tests])
        if wins:
            with_, without = np.sum(wins, axis=0)
            print(f"  {metric_of(key).label:<20} {with_:3d} {without:3d} of {len(wins)}")


def planted(comparison: Comparison, draws: int, rng: np.random.Generator, key: str = "ndcg_at_10") -> None:
    """Prints power, users needed and false equivalence for a few pairs, by drawing users anew."""
    one = measured_by(comparison)[key]
    values = one.values + one.influence * len(one.influence)
    print(f"\nPlanted differences by {metric_of(key).label}: {draws} draws of {len(values)} users")
    for a, b in list(combinations(range(len(one.letters)), 2))[:6]:
        pair = values[:, [a, b]]
        apart = pair[:, 0] - pair[:, 1]
        smallest = of_means(pair).smallest
        seen = np.mean([_p(_drawn(apart - apart.mean() + smallest, len(apart), rng)) < ALPHA for _ in range(draws)])
        needed = of_means(pair).needed
        took = _took(apart, needed, draws, rng)
        threshold = 2 * of_means(pair).error
        border = apart - apart.mean() + threshold
        same = np.mean([_same(_drawn(border, len(apart), rng), threshold) for _ in range(draws)])
        shown = f"{needed:,.0f} said, {took:,.0f} taken ({needed / took - 1:+.0%})" if np.isfinite(took) else "beyond what was tried"
        print(f"  {one.letters[a]} − {one.letters[b]}: power {seen:.1%} (80 % claimed) · users needed {shown} · called the same {same:.1%}")


def _drawn(apart: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return apart[rng.integers(0, len(apart), n)]


def _p(apart: np.ndarray) -> float:
    return of_means(np.column_stack([apart, np.zeros(len(apart))])).p


def _same(apart: np.ndarray, threshold: float) -> bool:
    test = of_means(np.column_stack([apart, np.zeros(len(apart))]), threshold)
    return test.p_same < ALPHA


def _took(apart: np.ndarray, needed: float, draws: int, rng: np.random.Generator) -> float:
    """Users with whom 80 % of draws are significant, between those of a few numbers near what is said; nan beyond 100,000."""
    if not needed < 100_000:
        return float("nan")
    sizes = np.unique((needed * np.linspace(0.7, 1.4, 8)).astype(int))
    power = [np.mean([_p(_drawn(apart, n, rng)) < ALPHA for _ in range(draws)]) for n in sizes]
    return float(np.interp(0.8, np.maximum.accumulate(power), sizes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_ids", nargs="+", metavar="RUN")
    parser.add_argument("--draws", type=int, default=1000)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    first = {group[0]: group for group in engine.compare.seed_groups(args.run_ids)}
    comparison = engine.compare.compare(list(first), seeds=False)
    for one in comparison.contenders:
        if isinstance(one, Contender) and one.run_id:
            print(f"{one.letter}  {one.name}  {runs.get_run(one.run_id).title}")
    nothing_differs(comparison, args.draws, rng)
    only_seeds_differ(args.run_ids)
    planted(comparison, args.draws, rng)


if __name__ == "__main__":
    main()
