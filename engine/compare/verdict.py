"""Who is ahead, as one record: what pages, the command line, `--json` and every export phrase. `engine.compare.judging` makes it."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, computed_field


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
    """Which of two contenders is better."""

    A_BETTER = "a better"
    B_BETTER = "b better"
    NO_DIFFERENCE = "no difference"


class Reason(StrEnum):
    """Why no difference can be stated."""

    CHANCE = "chance"  # a paired test, corrected for the number of pairs, is not significant
    SEEDS = "seeds"  # the difference is no greater than the deviation between seeds
    SAME_SETTINGS = "same settings"  # the two differ in their seed alone
    OVERLAP = "intervals overlap"  # there is no test, and the 95 % intervals share a value
    TIE = "same value"


class Method(StrEnum):
    """What two contenders were judged by."""

    TEST = "paired test"
    INTERVALS = "intervals"
    SEEDS = "seeds"
    SETTINGS = "settings"
    VALUES = "values"  # there is neither a test nor an interval nor a second seed


class PairVerdict(BaseModel):
    """Two contenders by one metric. Numbers are None where there is no such test or interval.

    `difference` is a - b, with its 95 % interval; `p` is two-sided, `p_holm` corrected for the number of pairs; `n` counts `unit`.
    `reason` is None unless the answer is that there is no difference.
    """

    model_config = ConfigDict(frozen=True)

    a: str
    b: str
    metric: str
    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    n: int | None = None
    unit: str | None = None
    answer: Answer
    reason: Reason | None = None
    method: Method

    @property
    def ahead(self) -> bool:
        """Whether `a` is better."""
        return self.answer is Answer.A_BETTER


class BaselineVerdict(BaseModel):
    """The best run against a baseline: the baseline's value, the pair (the run is `a`) and the difference as a share of that value."""

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
    tied: bool  # whether the best run is not surely ahead of `other`


class MetricVerdict(BaseModel):
    """Who is ahead by one metric.

    Runs and baselines compete; the oracle does not, nor does a baseline that is among the runs as well.
    """

    model_config = ConfigDict(frozen=True)

    metric: str
    leader: str | None  # letter of the best value; None where fewer than two compete, and for a tie
    unsure_of: tuple[str, ...] = ()  # letters of whom the leader is not surely ahead
    run: str | None = None  # letter of the best run, which sentences are about
    value: float | None = None  # of the best run
    runs: tuple[PairVerdict, ...] = ()  # the best run (a) against each other run, best first
    baselines: tuple[BaselineVerdict, ...] = ()
    best_possible: float | None = None  # the oracle's value
    cost: CostNote | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def winner(self) -> str | None:
        """The leader, where its lead over everybody is sure; None where it is within noise of somebody."""
        return self.leader if not self.unsure_of else None

    def against(self, baseline: Baseline) -> BaselineVerdict | None:
        return next((one for one in self.baselines if one.baseline is baseline), None)


class StageVerdict(BaseModel):
    """The metric that says best who is ahead in what a model is for."""

    model_config = ConfigDict(frozen=True)

    stage: str
    metric: str


class Verdict(BaseModel):
    """Who is ahead by each metric that was measured and has a best, and the one metric of each stage."""

    model_config = ConfigDict(frozen=True)

    metrics: dict[str, MetricVerdict]
    stages: tuple[StageVerdict, ...]

    def winner(self, metric: str) -> str | None:
        """The letter of who wins a metric; None where nobody does."""
        found = self.metrics.get(metric)
        return None if found is None else found.winner

    def of_stages(self) -> list[tuple[str, MetricVerdict]]:
        return [(one.stage, self.metrics[one.metric]) for one in self.stages]
