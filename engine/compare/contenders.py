"""Contenders side by side: the records that `compare` makes, and what contenders are called."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from engine.compare.lists_at_k import STORED_K
from engine.compare.verdict import THRESHOLD, Baseline, Budget, PairVerdict, Verdict
from workers.specs import Target

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any  # pandas takes half a second to load, and frames that we made need no validation


class Contender(BaseModel):
    """One column of a comparison. It keeps its letter and colour wherever it is shown."""

    model_config = ConfigDict(frozen=True)

    letter: str
    run_id: str | None
    name: str
    model: str
    color_index: int
    run_ids: tuple[str, ...] = ()  # more than one where runs that differ in their seed alone are one contender
    budget: Budget | None = None  # of its search; None where it has nothing to search
    user_share: float = 1.0  # of the users, whose rows it learned from

    @property
    def runs(self) -> tuple[str, ...]:
        """The ids of its runs, one for each seed; none of a baseline."""
        return self.run_ids or (() if self.run_id is None else (self.run_id,))

    @property
    def baseline(self) -> Baseline | None:
        """Which baseline it is; None for a run."""
        return next((one for one in Baseline if self.run_id is None and one.model == self.model), None)


class Repeated(BaseModel):
    """Trainings that differ in their seed alone: their kind of model, and the metrics of each."""

    model_config = ConfigDict(frozen=True)

    model: str
    metrics: tuple[dict[str, float], ...]


class Comparison(BaseModel):
    """Contenders side by side; frames are long or have one column per letter. `against`: the letter that differences are taken from.

    See `compare`. `tests`: of each metric that can be tested what `pairs` gives. `verdict`: who is ahead. Both are None in a comparison
    that was not made by `compare`: they are made when asked for. `threshold`: the share of a value by which a difference matters.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    contenders: list[Contender]
    dataset: str
    apart: list[tuple[str, str]]
    incomplete: dict[str, str] = Field({})  # letter -> why what it wrote cannot be had; it is shown, and wins nothing
    table: DataFrame
    curves: DataFrame
    settings: DataFrame | None = None
    differences: DataFrame
    costs: DataFrame
    users: int
    against: str = Baseline.POPULARITY.value
    k: int = STORED_K  # of the metrics of lists
    target: Target = "later"  # which of the items that a user went on to like count
    threshold: float = THRESHOLD
    repeats: tuple[Repeated, ...] = Field((), repr=False)  # what was trained over several seeds on the dataset, among these runs or not
    tests: dict[str, list[PairVerdict]] | None = Field(None, repr=False)
    verdict: Verdict | None = None


def crowned(comparison: Comparison) -> Comparison:
    """The comparison of those contenders alone who can win: all that is needed to test them is here."""
    if not (out := comparison.incomplete):
        return comparison
    table = comparison.table[~comparison.table["contender"].isin(list(out))]
    return comparison.model_copy(update={"contenders": [one for one in comparison.contenders if one.letter not in out], "table": table})


def competitors(comparison: Comparison) -> list[Contender]:
    """Contenders except the oracle, which knows the answers."""
    return [one for one in comparison.contenders if one.baseline is not Baseline.ORACLE]


def short_names(titles: Mapping[str, str]) -> dict[str, str]:
    """Letter -> what distinguishes a title from the others: its first part, and of the rest what not all with that first part share.

    Two-tower · softmax · dim 64, Two-tower · pointwise · dim 64, EASE · tuned -> Two-tower · softmax, Two-tower · pointwise, EASE
    """
    parts = {letter: title.split(" · ") for letter, title in titles.items()}
    short = {}
    for letter, (first, *rest) in parts.items():
        alike = [other for other in parts.values() if other[0] == first]
        short[letter] = " · ".join([first, *(part for part in rest if not all(part in other for other in alike))])
    return short


def names(contenders: Sequence[Contender]) -> dict[str, str]:
    """Letter -> what distinguishes a contender from the others, and how many seeds it has; a baseline keeps its name."""
    titles = {c.letter: c.name.removesuffix(_seeds(c)) for c in contenders if c.run_id is not None}
    short = short_names(titles)
    return {c.letter: f"{short[c.letter]}{_seeds(c)}" if c.letter in short else c.name for c in contenders}


def _seeds(contender: Contender) -> str:
    return f" · {len(contender.run_ids)} seeds" if len(contender.run_ids) > 1 else ""
