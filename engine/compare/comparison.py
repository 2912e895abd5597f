"""Runs against each other under one protocol: which may be compared, their metrics, how sure differences are, and costs."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine import datasets, runs, searches
from engine.compare import lists_at_k
from engine.compare.budgets import budget_of
from engine.compare.cells import Cell, baseline_cells, protocol_of, run_cells
from engine.compare.contenders import Comparison, Contender, crowned
from engine.compare.facts import costs, differences, is_fitted, settings
from engine.compare.judging import judge
from engine.compare.questions import flips
from engine.compare.seed_noise import repeated, without_seed
from engine.compare.significance import measured_by, tests_of, with_intervals
from engine.compare.verdict import THRESHOLD, Baseline
from engine.datasets import DatasetSpec
from engine.runs import Run, RunState
from workers.artifacts import METRICS, metric
from workers.run import RunSpec
from workers.specs import TARGETS, Protocol, Target

if TYPE_CHECKING:
    import pandas as pd

CURVE = ["metric", "step", "epoch", "rows", "time_s", "value"]


def compare(
    run_ids: Sequence[str],
    baseline: str = "popularity",
    seeds: bool = True,
    k: int = lists_at_k.STORED_K,
    threshold: float = THRESHOLD,
    target: Target | None = None,
) -> Comparison:
    """Set finished runs of one dataset side by side, and with them what needs no training on it.

    Args:
        run_ids: in the order of their letters A, B, …; the first finished one says which dataset is compared.
        baseline: the contender that deltas are against: a run id, or "popularity", "random", "user_mean" or "oracle"; where the
            dataset does not have that one, the first that it has. A run of popularity takes the place of the baseline.
        seeds: runs that differ in their seed alone are one contender (`seed_groups`): the mean of their values, with the deviation
            between them.
        k: 1 to 100. Metrics of lists are those at k, from the lists that were stored; at 10 all cutoffs that runs log are there.
        threshold: the difference that matters to who compares, as a share of a value, 0 to 1.
        target: which of the items that a user went on to like count; None: as the first run was measured. By another one metrics of
            lists come from the stored lists, and those that need more than these are missing.

    Returns:
        `table`: metric (a key that `metric` knows), contender, value, low, high (95 % intervals), std (between seeds, nan for one),
        delta, best (the winner). `curves`: contender, metric, step, epoch, rows, time_s, value. `settings`: setting, a column per letter;
        `differences`: of them, those that differ. `costs`: fact, unit, columns.
        `apart`: title and reason of each run, or baseline, that cannot be compared with the others.

    Raises:
        LookupError: no such run. ValueError: none of the runs can be compared, or not at such a k or by such a target, or there is no
            such threshold.
    """
    import pandas as pd

    k, threshold = lists_at_k.checked(k), _checked(threshold)
    together, apart = _sort_out([runs.get_run(run_id) for run_id in dict.fromkeys(run_ids)])
    dataset, groups = together[0].dataset or "", _groups(together, seeds)
    target = _target(target, together, dataset)
    contenders = [_contender(group, place, together) for place, group in enumerate(groups)]
    named = {one.letter: group for one, group in zip(contenders, groups, strict=True)}
    cells = [cell for letter, group in named.items() for cell in run_cells(group, letter, k, target)]
    curves = [_curves(group).assign(contender=letter) for letter, group in named.items()]
    beside, more_cells, left_out = _beside(together, contenders, k, target)
    contenders += beside
    against, every = _against(baseline, contenders), settings(named)
    columns = ["metric", "contender", "value", "low", "high", "std"]
    comparison = Comparison(
        contenders=contenders,
        dataset=dataset,
        apart=[*apart, *left_out],
        incomplete=_incomplete(named),
        table=_with_difference(pd.DataFrame([*cells, *more_cells], columns=columns), against),
        curves=pd.concat([frame for frame in curves if len(frame)] or curves[:1], ignore_index=True),
        settings=every,
        differences=differences(every),
        costs=costs(named),
        users=int(max(run.resources.get("users", 0) for run in together)),
        against=against,
        k=k,
        target=target,
        threshold=threshold,
        repeats=repeated(together),
    )
    return _judged(comparison)


def _incomplete(named: dict[str, list[Run]]) -> dict[str, str]:
    """Letter -> why what its runs wrote cannot be had, of those of which something is missing."""
    reasons = {letter: [why for run in group if (why := runs.why_incomplete(run.run_id))] for letter, group in named.items()}
    return {letter: whys[0] for letter, whys in reasons.items() if whys}


def _beside(
    together: list[Run], contenders: Sequence[Contender], k: int, target: Target
) -> tuple[list[Contender], list[Cell], list[tuple[str, str]]]:
    """The baselines of the dataset that no run takes the place of, with their metrics; and those that cannot be compared."""
    dataset, ours = together[0].dataset or "", {one.model for one in contenders}
    baselines, left_out = _measured_like(protocol_of(together[0]), _baselines(dataset))
    beside, cells = list[Contender](), list[Cell]()
    for name in [name for name in baselines if name not in ours]:  # a run of popularity is enough
        letter, title = _baseline(name)
        place = len(contenders) + len(beside)
        beside.append(Contender(letter=letter, run_id=None, name=title, model=name, color_index=place))
        cells += baseline_cells(dataset, name, baselines[name], letter, k, target)
    return beside, cells, left_out


def _target(asked: Target | None, together: list[Run], dataset: str) -> Target:
    """The target that runs are compared by; ValueError where their dataset does not know the one that is asked for."""
    own: set[Target] = {protocol_of(run).target for run in together}
    target = asked or protocol_of(together[0]).target
    if own != {target} and lists_at_k.list_facts(dataset, target) is None:
        raise ValueError(f"The runs cannot be compared by {TARGETS[target]}: their dataset is gone, has no times, or was prepared earlier.")
    return target


def _checked(threshold: float) -> float:
    """The difference that matters, where it is a share; else ValueError."""
    if not 0 <= threshold < 1:
        raise ValueError(f"The threshold is {threshold}; choose a share of a value from 0 on and below 1, such as 0.01 for 1 %.")
    return threshold


def _contender(group: list[Run], place: int, together: list[Run]) -> Contender:
    """Runs that are one contender, named by the first of them."""
    many = f" · {len(group)} seeds" if len(group) > 1 else _seed(group[0], together)
    ids, model = tuple(run.run_id for run in group), group[0].model or ""
    named = {"letter": _letter(place), "run_id": ids[0], "name": group[0].title + many, "model": model}
    share = group[0].training.train.user_share
    return Contender(**named, color_index=place, run_ids=ids, budget=budget_of(group), user_share=share)


def seed_groups(run_ids: Sequence[str], seeds: bool = True) -> list[list[str]]:
    """The run ids behind each contender that `compare` would make of runs, in the order of their letters.

    Raises:
        LookupError: no such run. ValueError: none of the runs can be compared.
    """
    together, _ = _sort_out([runs.get_run(run_id) for run_id in dict.fromkeys(run_ids)])
    return [[run.run_id for run in group] for group in _groups(together, seeds)]


def _groups(together: list[Run], seeds: bool) -> list[list[Run]]:
    """Runs that differ in their seed (and name) alone, in the order of the first of each; a seed that was run twice counts once."""
    groups: dict[Any, list[Run]] = {}
    trained: Counter[tuple[str, int]] = Counter()
    for run in together:
        alike, seed = without_seed(run), run.training.train.seed
        times = trained[alike, seed]
        trained[alike, seed] += 1
        groups.setdefault((alike, times) if seeds else run.run_id, []).append(run)
    return list(groups.values())


def _seed(run: Run, together: list[Run]) -> str:
    """The seed, for the name of a run that differs from another in its seed alone."""
    seeds = {other.training.train.seed for other in together if other.title == run.title}
    return f" · seed {run.training.train.seed}" if len(seeds) > 1 else ""


def _curves(group: list[Run]) -> "pd.DataFrame":
    """The curves of a run, of a search those of its best trial; of several, their mean as far as all of them went on; none of a fitted
    model, whose steps are trials."""
    import pandas as pd

    if is_fitted(group[0]):
        return pd.DataFrame(columns=CURVE)
    every = [_history(run) for run in group]
    if len(every) == 1:
        return every[0]
    points = pd.concat(every).groupby(["metric", "step"], as_index=False).agg(
        epoch=("epoch", "first"), rows=("rows", "mean"), time_s=("time_s", "mean"), value=("value", "mean"), n=("value", "size")
    )  # fmt: skip
    return points[points["n"] == len(every)].drop(columns="n")


def _history(run: Run) -> "pd.DataFrame":
    search = searches.of_run(run.run_id) if run.training.search is not None else None
    if search is None or search.best is None:
        return runs.history(run.run_id)
    return runs.history(run.run_id, search.best.number)


def _against(baseline: str, contenders: list[Contender]) -> str:
    """The letter of what deltas are taken from."""
    asked = [c.letter for c in contenders if baseline in (*c.runs, c.model)]
    return (asked or [c.letter for c in contenders if c.run_id is None] or [contenders[0].letter])[0]


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"A{place - 25}"


def _sort_out(chosen: list[Run]) -> tuple[list[Run], list[tuple[str, str]]]:
    together: list[Run] = []
    apart: list[tuple[str, str]] = []
    for run in chosen:
        if run.kind != "train":
            apart.append((run.title, "is a preparation, not a model"))
        elif run.state != RunState.FINISHED:
            apart.append((run.title, f"is {run.state.value}, so it has no test metrics"))
        elif why := runs.damage_of(run.run_id):
            apart.append((run.title, f"cannot be trusted: {why.rstrip('.')}"))
        elif together and run.dataset != together[0].dataset:
            apart.append((run.title, f"was trained on {run.dataset}, the others on {together[0].dataset}"))
        elif together and not protocol_of(run).lists_like(protocol_of(together[0])):
            apart.append((run.title, f"was measured {protocol_of(run).in_words}, the others {protocol_of(together[0]).in_words}"))
        else:
            together.append(run)
    if not together:
        why = "; ".join(f"{title} {reason}" for title, reason in apart) or "no run was named"
        raise ValueError(f"Nothing to compare: {why}. Choose finished training runs.")
    return together, apart


def _measured_like(protocol: Protocol, baselines: dict[str, dict[str, float]]) -> tuple[dict[str, dict[str, float]], list[tuple[str, str]]]:
    """The baselines that may be compared with runs under a protocol, and those that may not, with the reason.

    They are measured under the default one when a dataset is prepared, and their lists are kept; what does not rank is the same under any.
    """
    if protocol.lists_like(Protocol()):
        return baselines, []
    ranks = [name for name, values in baselines.items() if any(metric(key).family == "ranking" for key in values if key in METRICS)]
    reason = f"was measured {Protocol().in_words}, the runs {protocol.in_words}"
    kept = {name: values for name, values in baselines.items() if name not in ranks}
    return kept, [(_baseline(name)[1], reason) for name in ranks]


def _baseline(name: str) -> tuple[str, str]:
    """Letter and title of a baseline by the name that it is stored under; of one that is not known here the name itself."""
    known = next((one for one in Baseline if one.model == name), None)
    return (name, name.capitalize()) if known is None else (known.value, known.label)


def _baselines(dataset: str) -> dict[str, dict[str, float]]:
    try:
        return datasets.baseline_results(dataset)
    except LookupError:
        return {}


def _with_difference(table: "pd.DataFrame", against: str) -> "pd.DataFrame":
    """With `delta`: each value less that of one contender by the same metric; nan for that one, and where it has no value."""
    base = table[table["contender"] == against].set_index("metric")["value"]
    delta = table["value"] - table["metric"].map(base)
    return table.assign(delta=delta.where(table["contender"] != against))


def _judged(comparison: Comparison) -> Comparison:
    """With the intervals of metrics over rows, its tests and its verdict; `best` marks the winners in the table."""
    able = crowned(comparison)
    measured = measured_by(able)
    tests = tests_of(able, measured)
    verdict = judge(able, tests)
    verdict = verdict.model_copy(update={"alarms": _alarms(comparison), "flips": flips(able, verdict)})
    table = with_intervals(comparison.table, measured)
    best = [verdict.winner(key) == letter for key, letter in zip(table["metric"], table["contender"], strict=True)]
    return comparison.model_copy(update={"tests": tests, "verdict": verdict, "table": table.assign(best=best)})


def _alarms(comparison: Comparison) -> dict[str, tuple[str, ...]]:
    """Letter -> signs that a finished model is of no use, each with the seed that shows it; only contenders that have any."""
    signs = {one.letter: _signs(one) for one in comparison.contenders if one.run_id is not None}
    return {letter: own for letter, own in signs.items() if own}


def _signs(one: Contender) -> tuple[str, ...]:
    signs = [(at, sentence) for at, run_id in enumerate(one.runs, 1) for sentence in runs.alarms(run_id)]
    return tuple(sentence if len(one.runs) == 1 else f"Run {at} of {len(one.runs)}: {sentence}" for at, sentence in signs)


def command_line(spec: DatasetSpec | RunSpec) -> str:
    """The command that repeats what a page is about to do, with the spec that the page shows saved under the name in it."""
    return f"recbench train {spec.model.kind}.json --wait" if isinstance(spec, RunSpec) else f"recbench prepare {spec.name}.json"
