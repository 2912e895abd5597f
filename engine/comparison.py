"""Runs against each other under one protocol: who may be compared, what each reached, how sure, at what cost."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from engine import datasets, runs
from engine.runs import Run, RunState
from engine.specs import DatasetSpec
from workers.results import METRICS
from workers.specs import RunSpec, settings

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES, SEED, LEVEL = 2000, 7, 0.95
BASELINE_LETTERS = {"popularity": "pop", "random": "rnd", "user_mean": "mean", "oracle": "best"}
BASELINE_NAMES = {"user_mean": "User mean", "oracle": "Best possible"}
UNBEATABLE = "oracle"  # knows the law that made the data: deltas against it are worth reading, a crown for it is not
COSTS = {
    "training_s": ("Training time", "s"),
    "rows_per_s": ("Throughput", "rows/s"),
    "epochs": ("Epochs trained", ""),
    "best_epoch": ("Best epoch", ""),
    "wall_s": ("From turn to verdict", "s"),
    "peak_memory_bytes": ("Peak memory of a process", "MB"),
    "parameters": ("Parameters", ""),
    "checkpoint_bytes": ("Checkpoint", "MB"),
    "processes": ("Processes", ""),
}


class Contender(BaseModel):
    """One column of a comparison. It keeps its letter and colour wherever it is shown."""

    model_config = ConfigDict(frozen=True)

    letter: str
    run_id: str | None
    name: str
    model: str
    color_index: int
    run_ids: tuple[str, ...] = ()  # more than one where runs that differ in their seed alone stand as one


class Comparison(BaseModel):
    """Contenders side by side; frames are long or have one column a letter. `against`: the letter that deltas are taken from. See
    `compare`."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    contenders: list[Contender]
    dataset: str
    apart: list[tuple[str, str]]
    table: Any
    curves: Any
    differences: Any
    costs: Any
    users: int
    against: str = "pop"


def compare(run_ids: Sequence[str], baseline: str = "popularity", seeds: bool = True) -> Comparison:
    """Set finished runs of one dataset side by side, and with them what needs no training on it.

    Args:
        run_ids: in the order of their letters A, B, …; the first finished one says which dataset is compared.
        baseline: the contender that deltas are against: a run id, or "popularity", "random", "user_mean" or "oracle"; where the
            dataset does not have that one, the first that it has.
        seeds: runs that differ in their seed alone are one contender: the mean of their values, with the deviation between them.

    Returns:
        `table`: metric, contender, value, low, high (95 % intervals), std (between seeds, nan for one), delta, best. `curves`:
        contender, metric, step, epoch, rows, time_s, value. `differences`: setting and a column a letter, only what differs.
        `costs`: fact, unit, columns.
        `apart`: title and reason of each run that cannot stand beside the others.

    Raises:
        LookupError: no such run. ValueError: none of the runs can be compared.
    """
    import pandas as pd

    together, apart = _sort_out([runs.get_run(run_id) for run_id in dict.fromkeys(run_ids)])
    dataset, groups = together[0].dataset or "", _groups(together, seeds)
    contenders, cells, curves = [], [], []
    for place, group in enumerate(groups):
        many = f" · {len(group)} seeds" if len(group) > 1 else ""
        ids, letter = tuple(run.run_id for run in group), _letter(place)
        model = group[0].model or ""
        contenders.append(Contender(letter=letter, run_id=ids[0], name=group[0].title + many, model=model, color_index=place, run_ids=ids))
        cells += _run_cells(group, letter)
        curves.append(_curves(group).assign(contender=letter))
    for place, (name, values) in enumerate(_baselines(dataset).items(), len(contenders)):
        shown, letter = BASELINE_NAMES.get(name, name.capitalize()), BASELINE_LETTERS.get(name, name)
        contenders.append(Contender(letter=letter, run_id=None, name=shown, model=name, color_index=place))
        cells += _cells(letter, values, datasets.baseline_per_user(dataset, name), values)
    against = _against(baseline, contenders)
    named = {c.letter: group for c, group in zip(contenders, groups, strict=False)}
    return Comparison(
        contenders=contenders,
        dataset=dataset,
        apart=apart,
        table=_judge(pd.DataFrame(cells, columns=["metric", "contender", "value", "low", "high", "std"]), against),
        curves=pd.concat(curves, ignore_index=True),
        differences=_differences(named),
        costs=_costs(named),
        users=int(max(run.resources.get("users", 0) for run in together)),
        against=against,
    )


def _groups(together: list[Run], seeds: bool) -> list[list[Run]]:
    """Runs that differ in their seed (and name) alone, in the order of the first of each."""
    groups: dict[str, list[Run]] = {}
    for run in together:
        spec = RunSpec.model_validate(run.spec)
        alike = spec.model_copy(update={"name": None, "train": spec.train.model_copy(update={"seed": 0})}).model_dump_json()
        groups.setdefault(alike if seeds else run.run_id, []).append(run)
    return list(groups.values())


def _curves(group: list[Run]) -> "pd.DataFrame":
    """The curves of a run; of several, their mean as far as all of them went on."""
    import pandas as pd

    every = [runs.history(run.run_id) for run in group]
    if len(every) == 1:
        return every[0]
    points = pd.concat(every).groupby(["metric", "step"], as_index=False).agg(
        epoch=("epoch", "first"), rows=("rows", "mean"), time_s=("time_s", "mean"), value=("value", "mean"), n=("value", "size")
    )  # fmt: skip
    return points[points["n"] == len(every)].drop(columns="n")


def _against(baseline: str, contenders: list[Contender]) -> str:
    """The letter of what deltas are taken from."""
    asked = [c.letter for c in contenders if baseline in (c.run_id, None if c.run_id else c.model)]
    return (asked or [c.letter for c in contenders if c.run_id is None] or [contenders[0].letter])[0]


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"A{place - 25}"


def _sort_out(found: list[Run]) -> tuple[list[Run], list[tuple[str, str]]]:
    together: list[Run] = []
    apart: list[tuple[str, str]] = []
    for run in found:
        if run.kind != "train":
            apart.append((run.title, "is a preparation, not a model"))
        elif run.state != RunState.FINISHED:
            apart.append((run.title, f"is {run.state.value}, so it has no test metrics"))
        elif together and run.dataset != together[0].dataset:
            apart.append((run.title, f"was trained on {run.dataset}, the others on {together[0].dataset}"))
        else:
            together.append(run)
    if not together:
        why = "; ".join(f"{title} {reason}" for title, reason in apart) or "no run was named"
        raise ValueError(f"Nothing to compare: {why}. Choose finished training runs.")
    return together, apart


Cell = tuple[str, str, float, float, float, float]


def _run_cells(group: list[Run], letter: str) -> list[Cell]:
    """The metrics of a run, or the mean of several: per user first, so that the interval is that of the mean over seeds."""
    import pandas as pd

    values = {key: float(np.mean([run.metrics.get(key, math.nan) for run in group])) for key in METRICS}
    ends = [runs.done(run.run_id).get("metrics", {}) for run in group]
    errors = {key: float(np.mean([end.get(key, math.nan) for end in ends])) for end in ends for key in end if key.endswith("_se")}
    try:
        users = pd.concat([runs.per_user(run.run_id) for run in group])
        per_user: pd.DataFrame | None = users.groupby("user_id", sort=False).mean(numeric_only=True) if len(group) > 1 else users
    except LookupError:
        per_user = None
    cells = _cells(letter, values, per_user, errors)
    if len(group) == 1:
        return cells
    spread = {key: float(np.std([run.metrics.get(key, math.nan) for run in group], ddof=1)) for key in METRICS}
    return [(*cell[:5], spread[cell[0]]) for cell in cells]


def _baselines(dataset: str) -> dict[str, dict[str, float]]:
    try:
        return datasets.baseline_results(dataset)
    except LookupError:
        return {}


def _cells(letter: str, values: dict[str, float], per_user: "pd.DataFrame | None", errors: dict[str, float]) -> list[Cell]:
    cells = []
    for key, metric in METRICS.items():
        value, low, high = values.get(key, math.nan), math.nan, math.nan
        if metric.per_user and per_user is not None and key in per_user:
            low, high = interval(per_user[key].to_numpy(float))
        elif f"{key}_se" in errors:
            low, high = value - 1.96 * errors[f"{key}_se"], value + 1.96 * errors[f"{key}_se"]
        cells.append((key, letter, value, low, high, math.nan))
    return cells


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a mean over users [U] (Efron and Tibshirani 1993, ch. 13); nan below two users."""
    from scipy.stats import bootstrap

    values = values[np.isfinite(values)]
    if len(values) < 2 or np.ptp(values) == 0:
        return (math.nan, math.nan)
    batch = max(1, 4_000_000 // len(values))  # bounds memory at 32 MB
    found = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="percentile", rng=SEED, batch=batch
    ).confidence_interval
    return float(found.low), float(found.high)


def _judge(table: "pd.DataFrame", against: str) -> "pd.DataFrame":
    """Add delta to the baseline, and who is best; a tie has no winner, nor has a lone value or a metric that crowns nobody."""
    table["delta"], table["best"] = math.nan, False
    for key, rows in table.groupby("metric"):
        base = rows.loc[rows["contender"] == against, "value"]
        if len(base):
            others = rows.index[rows["contender"] != against]
            table.loc[others, "delta"] = table.loc[others, "value"] - base.iloc[0]
        known = rows.loc[rows["contender"] != BASELINE_LETTERS[UNBEATABLE], "value"].dropna()
        if len(known) > 1 and METRICS[str(key)].crowned:
            top = known.max() if METRICS[str(key)].better == "higher" else known.min()
            winners = known.index[known == top]
            if len(winners) == 1:
                table.loc[winners, "best"] = True
    return table


def _differences(named: dict[str, list[Run]]) -> "pd.DataFrame":
    import pandas as pd

    specs = {letter: settings(RunSpec.model_validate(group[0].spec)) | _chosen(group[0]) for letter, group in named.items()}
    for letter, group in named.items():
        if len(group) > 1:
            specs[letter]["train.seed"] = [run.spec["train"]["seed"] for run in group]
    names = list(dict.fromkeys(name for spec in specs.values() for name in spec))
    rows = [{"setting": name} | {letter: _shown(spec.get(name)) for letter, spec in specs.items()} for name in names if name != "name"]
    kept = [row for row in rows if len({row[letter] for letter in specs}) > 1]
    return pd.DataFrame(kept, columns=["setting", *specs])


def _chosen(run: Run) -> dict[str, str]:
    """The settings that a run chose by itself, on validation."""
    return {f"model.{name}": f"{value} (tuned)" for name, value in runs.done(run.run_id).get("chosen", {}).items()}


def _shown(value: Any) -> str:
    if value is None:
        return "—"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _costs(named: dict[str, list[Run]]) -> "pd.DataFrame":
    import pandas as pd

    facts = {}
    for letter, group in named.items():
        told = [_cost(run) for run in group]
        facts[letter] = {name: float(np.mean([one[name] for one in told])) for name in COSTS if all(name in one for one in told)}
    rows = [
        {"fact": label, "unit": unit} | {letter: _scaled(found.get(name), unit) for letter, found in facts.items()}
        for name, (label, unit) in COSTS.items()
    ]
    return pd.DataFrame(rows, columns=["fact", "unit", *facts])


def _cost(run: Run) -> dict[str, float]:
    waited = run.started_at and run.ended_at
    return run.resources | ({"wall_s": (run.ended_at - run.started_at).total_seconds()} if waited else {})  # type: ignore[operator]


def _scaled(value: float | None, unit: str) -> float:
    return math.nan if value is None else value / 1e6 if unit == "MB" else value


def command_line(spec: DatasetSpec | RunSpec) -> str:
    """The command that repeats what a page is about to do, with the spec that the page shows saved under the name in it."""
    return f"recbench train {spec.model.kind}.json --wait" if isinstance(spec, RunSpec) else f"recbench prepare {spec.name}.json"
