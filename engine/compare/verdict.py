"""Who is ahead, as one record: what pages, the command line, `--json` and every export phrase. `engine.compare.judging` makes it."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from workers.specs import Target

THRESHOLD = 0.01  # the difference that matters, as a share of a value, to who has chosen no other


class Baseline(StrEnum):
    """What needs no training; the value is its letter in a comparison."""

    POPULARITY = "pop"
    RANDOM = "rnd"
    USER_MEAN = "mean"
    ORACLE = "best"  # knows the law that made the data: differences to it are worth reading, but nobody competes with it

    @property
    def model(self) -> str:
        """The name under which its results are stored with a dataset."""
        return {"pop": "popularity", "rnd": "random", "mean": "user_mean", "best": "oracle"}[self.value]

    @property
    def label(self) -> str:
        """Its name for people."""
        return {"pop": "Popularity", "rnd": "Random", "mean": "User mean", "best": "Best possible"}[self.value]


class Answer(StrEnum):
    """Which of two contenders is better, as far as the test users can tell."""

    A_BETTER = "a better"
    B_BETTER = "b better"
    A_SLIGHTLY = "a better, by less than matters"
    B_SLIGHTLY = "b better, by less than matters"
    SAME = "the same for the purpose"
    UNKNOWN = "cannot be told"


class Reason(StrEnum):
    """Why it cannot be told."""

    CHANCE = "chance"  # a paired test, corrected for the number of pairs, shows neither a difference nor that it is small
    SEEDS = "seeds"  # the users would show a difference, but what seeds do may be as large
    SAME_SETTINGS = "same settings"  # the two differ in their seed alone
    FEW_USERS = "few users"  # fewer than ten
    UNTESTED = "untested"  # results by user, or by row, of one of the two are not here


class Allowance(BaseModel):
    """What another seed does to a metric: the deviation of one training, and where it is known from."""

    model_config = ConfigDict(frozen=True)

    deviation: float  # in the metric's unit
    source: Literal["its seeds", "its kind", "its stage", "this dataset", "stated", "no seed"]
    seeds: int  # trainings of the contender; 0 of what has no seed
    df: float | None  # degrees of freedom behind the deviation; None: it is not an estimate


class PairVerdict(BaseModel):
    """Two contenders by one metric. Numbers are None where there is no test, or none that is finite.

    `lead` is the value of a less that of b. `difference` is a - b over the users or rows that both have, with its 95 % interval, in which
    what seeds do is counted; `p` is two-sided, `p_holm` corrected for the number of pairs; `p_same`, corrected too, is that of the two one-
    sided tests of a difference below `threshold`. `smallest` is the difference that 80 % of such tests would show, `needed` the number of
    users with whom 80 % would give an answer (None where no number would: more seeds are needed). `n` counts `unit`.
    """

    model_config = ConfigDict(frozen=True)

    a: str
    b: str
    metric: str
    lead: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    p_same: float | None = None
    threshold: float | None = None
    smallest: float | None = None
    needed: int | None = None
    n: int | None = None
    unit: str | None = None
    answer: Answer
    reason: Reason | None = None  # of UNKNOWN alone

    @property
    def clearly(self) -> bool:
        """Whether `a` is better, and not by less than matters."""
        return self.answer is Answer.A_BETTER

    @property
    def ahead(self) -> bool:
        """Whether `a` is better, by however little."""
        return self.answer in (Answer.A_BETTER, Answer.A_SLIGHTLY)

    @property
    def behind(self) -> bool:
        """Whether `b` is better, by however little."""
        return self.answer in (Answer.B_BETTER, Answer.B_SLIGHTLY)

    @property
    def tested(self) -> bool:
        return self.p is not None


class BaselineVerdict(BaseModel):
    """The best run against a baseline: the baseline's value, the pair (the run is `a`) and the lead as a share of that value."""

    model_config = ConfigDict(frozen=True)

    baseline: Baseline
    value: float
    pair: PairVerdict
    relative: float | None  # None where the baseline is 0, and for metrics whose share says nothing: an AUC starts at 0.5


class CostNote(BaseModel):
    """Training times, in seconds, that differ enough to be worth a sentence: of the best run, and of the run to compare it with."""

    model_config = ConfigDict(frozen=True)

    run: str
    other: str
    run_s: float
    other_s: float
    of: int  # how many runs `other` is the fastest of, the best run included
    tied: bool  # whether the best run is not clearly ahead of `other`


class MetricVerdict(BaseModel):
    """Who is ahead by one metric.

    Runs and baselines compete; the oracle does not, nor does a baseline that is among the runs as well.
    """

    model_config = ConfigDict(frozen=True)

    metric: str
    leader: str | None  # letter of the best value; None where fewer than two compete, and for a tie
    unsure_of: tuple[str, ...] = ()  # of whom the leader is not surely ahead, or by less than matters, or who learned from fewer users
    run: str | None = None  # letter of the best run, which sentences are about
    value: float | None = None  # of the best run
    runs: tuple[PairVerdict, ...] = ()  # the best run (a) against each other run, best first
    baselines: tuple[BaselineVerdict, ...] = ()
    best_possible: float | None = None  # the oracle's value
    allowances: dict[str, Allowance] = Field(default_factory=dict)  # letter -> what seeds do to its value
    one_seed: tuple[str, ...] = ()  # letters whose value rests on one seed, of those that the best run is compared with, itself included
    cost: CostNote | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def winner(self) -> str | None:
        """The leader, where its lead over everybody is sure and not too small to matter; else None."""
        return self.leader if not self.unsure_of else None

    def against(self, baseline: Baseline) -> BaselineVerdict | None:
        return next((one for one in self.baselines if one.baseline is baseline), None)


class Budget(BaseModel):
    """What finding a contender's settings took; of several seeds the mean of each."""

    model_config = ConfigDict(frozen=True)

    searched: bool = False
    trials: int = 1  # settings that were tried
    seconds: float | None = None  # of the search; None: there was none, or it was not measured
    minutes: float | None = None  # after which no further trial began; None: trials alone were limited


class BudgetGap(BaseModel):
    """Letters of two contenders whose budgets are not alike: one has less than half of the other's, or none where the other searched."""

    model_config = ConfigDict(frozen=True)

    more: str
    fewer: str


class StageVerdict(BaseModel):
    """The metric that says best who is ahead in what a model is for."""

    model_config = ConfigDict(frozen=True)

    stage: str
    metric: str


class Flip(BaseModel):
    """Another target by which another run leads: its NDCG, and that of the run that is best by the comparison's own target."""

    model_config = ConfigDict(frozen=True)

    target: Target
    leader: str
    value: float
    usual: str
    usual_value: float


class Verdict(BaseModel):
    """Who is ahead by each metric that was measured and has a best, the one metric of each stage, what looks wrong with whom, and budgets.

    `threshold` is the difference that matters, as a share of the larger of two values (of an area: of its distance from chance).
    """

    model_config = ConfigDict(frozen=True)

    metrics: dict[str, MetricVerdict]
    stages: tuple[StageVerdict, ...]
    threshold: float = THRESHOLD
    alarms: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # letter -> a sentence for each sign that a model is of no use
    flips: tuple[Flip, ...] = ()
    budgets: dict[str, Budget] = Field(default_factory=dict)  # of each contender that has settings to search
    unequal_budgets: tuple[BudgetGap, ...] = ()
    unequal_shares: dict[str, float] = Field(default_factory=dict)  # letter -> share of the users learned from; empty where all are alike

    def winner(self, metric: str) -> str | None:
        """The letter of who wins a metric; None where nobody does."""
        verdict = self.metrics.get(metric)
        return None if verdict is None else verdict.winner

    def of_stages(self) -> list[tuple[str, MetricVerdict]]:
        return [(one.stage, self.metrics[one.metric]) for one in self.stages]
