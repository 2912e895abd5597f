"""What finding each contender's settings took, and whether contenders had about as much of it: a fair comparison tunes all alike.

Shehzad and Jannach, "Everyone's a winner! On hyperparameter tuning of recommendation models", RecSys 2023.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations

from engine import runs
from engine.compare.contenders import Contender
from engine.compare.numbers import count, duration, percent
from engine.compare.verdict import Budget, BudgetGap
from engine.runs import Run
from workers.artifacts import TUNING
from workers.models import NetworkSpec
from workers.specs import way_of

ALIKE = 0.5  # of the larger of two budgets, which the smaller one reaches where they are alike


def budget_of(group: Sequence[Run]) -> Budget | None:
    """The budget of a contender, the mean over its seeds; None for what has no settings to search, such as popularity or a funnel."""
    model = group[0].training.model
    if not any(way_of(field.json_schema_extra) for field in type(model).model_fields.values()) and not isinstance(model, NetworkSpec):
        return None
    asked = group[0].training.budget
    if asked is None:
        return Budget()
    ends = [runs.done(run.run_id) for run in group]
    trials = [int(end.get("trials") or _listed(run) or asked.trials) for end, run in zip(ends, group, strict=True)]
    seconds = [float(end["search_s"]) for end in ends if "search_s" in end]
    mean = sum(seconds) / len(seconds) if seconds else None
    return Budget(searched=True, trials=round(sum(trials) / len(trials)), seconds=mean, minutes=asked.minutes)


def _listed(run: Run) -> int:
    """How many settings a run of an earlier version lists that it tried."""
    try:
        return len(json.loads(runs.result_file(run.run_id, TUNING).read_text())["tried"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def unequal_shares(contenders: Sequence[Contender]) -> dict[str, float]:
    """Letter -> share of the users that a run learned from, of all runs; empty where all are alike."""
    shares = {one.letter: one.user_share for one in contenders if one.run_id is not None}
    return shares if len(set(shares.values())) > 1 else {}


def gaps(contenders: Sequence[Contender]) -> tuple[BudgetGap, ...]:
    """Pairs whose budgets differ by more than half, or of which one was searched and the other was not; who tried more comes first."""
    known = [one for one in contenders if one.budget is not None]
    found = []
    for one, other in combinations(known, 2):
        assert one.budget is not None and other.budget is not None
        more, fewer = (one, other) if one.budget.trials >= other.budget.trials else (other, one)
        if not _alike(one.budget, other.budget):
            found.append(BudgetGap(more=more.letter, fewer=fewer.letter))
    return tuple(found)


def _alike(one: Budget, other: Budget) -> bool:
    if one.searched != other.searched:
        return False
    if one.trials >= ALIKE * other.trials and other.trials >= ALIKE * one.trials:
        return True
    fewer = min(one, other, key=lambda budget: budget.trials)  # the same time may well be fewer trials of what is slower
    same_time = one.minutes is not None and one.minutes == other.minutes
    return same_time and fewer.seconds is not None and fewer.minutes is not None and fewer.seconds >= ALIKE * 60 * fewer.minutes


def budget_words(budget: Budget | None) -> str:
    """20 trials, 41 s; not searched; empty where there is nothing to search."""
    if budget is None:
        return ""
    if not budget.searched:
        return "not searched"
    tried = f"{count(budget.trials)} {'trial' if budget.trials == 1 else 'trials'}"
    return tried if budget.seconds is None else f"{tried}, {duration(budget.seconds)}"


def gap_sentence(budgets: Mapping[str, Budget], gaps: Sequence[BudgetGap], best: Sequence[str]) -> str:
    """Who tried how many settings, and what that means for the best run of each stage; empty where budgets are alike.

    Args:
        best: letters of the best runs.
    """
    if not gaps:
        return ""
    involved = sorted({letter for gap in gaps for letter in (gap.more, gap.fewer)}, key=lambda letter: (-budgets[letter].trials, letter))
    by_trials: dict[int, list[str]] = {}
    for letter in involved:
        by_trials.setdefault(budgets[letter].trials, []).append(letter)
    (most, first), *rest = by_trials.items()
    said = [f"{_listed_letters(first)} tried {_settings(most)}{' each' if len(first) > 1 else ''}"]
    said += [f"{_listed_letters(letters)} {_number(trials)}" for trials, letters in rest]
    if not rest:  # one was searched over a single trial, and the other was not
        said = [f"{_listed_letters([one for one in first if budgets[one].searched])} searched, the others did not"]
    owed = [letter for letter in dict.fromkeys(best) if any(gap.more == letter for gap in gaps)]
    spite = [letter for letter in dict.fromkeys(best) if letter not in owed and any(gap.fewer == letter for gap in gaps)]
    means = [f"a lead of {_listed_letters(owed)} may be owed to that"] if owed else []
    means += [f"{_listed_letters(spite)} {'is' if len(spite) == 1 else 'are'} best with fewer trials"] if spite else []
    return f"Unequal budgets: {', '.join(said)}; {'; '.join([*means, 'tune each with an equal budget to be sure'])}."


def unequal_data(shares: Mapping[str, float], best: Sequence[str]) -> str:
    """That contenders learned from other shares of the users, and what it means for the best of each stage; empty where all are alike.

    Args:
        shares: of each run, by its letter. best: letters of the best runs.
    """
    if len(set(shares.values())) < 2:
        return ""
    less = {letter: share for letter, share in shares.items() if share < max(shares.values())}
    by_share: dict[float, list[str]] = {}
    for letter, share in less.items():
        by_share.setdefault(share, []).append(letter)
    said = [f"{_listed_letters(letters)} learned from {percent(share)} of the users" for share, letters in sorted(by_share.items())]
    most = max(shares.values())
    owed = [letter for letter in dict.fromkeys(best) if letter not in less]
    means = (
        f"a lead of {_listed_letters(owed)} may be owed to that"
        if owed
        else f"{_listed_letters(list(dict.fromkeys(best)))} is best with less"
    )
    rest = "all of them" if most >= 1 else percent(most)
    return f"Unequal data: {', '.join(said)}, the others from {rest}; {means}. See what more data gives below."


def _settings(trials: int) -> str:
    return "one setting" if trials == 1 else f"{count(trials)} settings"


def _number(trials: int) -> str:
    return "one" if trials == 1 else count(trials)


def _listed_letters(letters: Sequence[str]) -> str:
    return letters[0] if len(letters) == 1 else ", ".join(letters[:-1]) + " and " + letters[-1]
