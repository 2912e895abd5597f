"""The audit of a dataset: what is in the data and what is wrong with it. One record for the preview and the prepared dataset."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Finding(_Record):
    """A sentence about the data. `block`: preparing or training will fail; `warn`: check it; `info`: how values were interpreted."""

    level: Literal["block", "warn", "info"]
    text: str


class SplitFacts(_Record):
    """Figures of train, valid or test. Those of users and items are None where the source has no such column.

    cold_users, cold_items: those not in train; `_rows`: their rows. users_to_rank: users in train who liked an item of
    train here that they had not seen before (None for train and where nothing can be ranked).
    """

    rows: int
    positives: int
    users: int | None = None
    items: int | None = None
    cold_users: int | None = None
    cold_items: int | None = None
    cold_user_rows: int | None = None
    cold_item_rows: int | None = None
    users_to_rank: int | None = None

    @property
    def positive_share(self) -> float:
        return self.positives / self.rows if self.rows else float("nan")


class FeatureFacts(_Record):
    """One feature over the used rows (of its table: users, items or interactions).

    distinct, top: categories; `top` are the most frequent (value, rows). unknown: share of the values of each split that are not
    in train or too rare. rare: values of train below `min_count`. collisions: share of train's values that share a row of
    the hashed table with another value. mean, std, low, high, histogram (left edge, rows): dense features. auc: how well the value alone
    tells the label of train rows, in its better direction (of categories on a held-out half); presence_auc: how well it does whether
    there is a value; None where rows are too few.
    """

    name: str
    side: Literal["user", "item", "context"]
    kind: Literal["single", "multi", "dense"]
    rows: int
    missing: float
    distinct: int | None = None
    top: list[tuple[str, int]] = []
    unknown: dict[str, float] = {}
    rare: int | None = None
    collisions: float | None = None
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    histogram: list[tuple[float, int]] = []
    auc: float | None = None
    presence_auc: float | None = None


class JoinFacts(_Record):
    """How many of the users (or items) of the used rows are in the source's table of them.

    unknown, known_as: an id that is not in the table, and one of the table's that no row has, the first of each in order.
    """

    side: Literal["user", "item"]
    ids: int
    known: int
    unknown: str | None = None
    known_as: str | None = None


class WeightFacts(_Record):
    """The weights of the used rows."""

    median: float
    highest: float


class OrderFacts(_Record):
    """Pairs of items that follow one another in the likes of train: learnt from one half of the users, looked for in the other.

    pairs: those that `support` users or more of one half share. followed: how often users of the other half like the second directly after
    the first; shuffled: the same with the likes of each user in random order. All are means of some rounds, and of both halves. users:
    whose likes were looked at; share: of all users with likes.
    """

    pairs: int
    followed: int
    shuffled: int
    users: int
    share: float
    support: int

    @property
    def lost(self) -> float | None:
        """Share of `followed` that shuffling takes away, near 0 or below where order says nothing; None where nothing followed."""
        return 1 - self.shuffled / self.followed if self.followed else None


class Audit(_Record):
    """The audit. rows_used + sum(set_aside.values()) == rows_read, always.

    truncated: only the first rows of the source were read. set_aside: reason -> rows. ratings: (value, rows) of numeric labels, or
    (left edge, rows) of 60 bins when there are more than 100 values (`rating_bin` is then their width). categories: (class or
    action, rows). threshold: ratings from this on are liked; None for other rules. output: what models predict; `classes`: their names.
    exact_copies: rows set aside as copies. repeated_pairs: user-item pairs with more than one row; conflicting_pairs: those whose
    labels differ. activity, popularity: (n, users with n .. 2n-1 interactions), n a power of two; the same of items.
    long_tail: (share of items, most popular first; share of interactions). timeline: (bin start in unix seconds, split, rows).
    label_over_time: (bin start, rows, positive share). order: None without users, items or times. rates_users: users whose mean a rule
    reads.
    """

    rows_read: int
    rows_used: int
    set_aside: dict[str, int]
    truncated: bool
    users: int | None
    items: int | None
    density: float | None
    output: Literal["binary", "regression", "multi_class", "actions"]
    classes: list[str] = []
    threshold: float | None = None
    rating_bin: float | None = None
    ratings: list[tuple[float, int]] = []
    categories: list[tuple[str, int]] = []
    weights: WeightFacts | None = None
    joins: list[JoinFacts] = []
    exact_copies: int = 0
    repeated_pairs: int = 0
    conflicting_pairs: int = 0
    items_without_title: int = 0
    splits: dict[str, SplitFacts] = {}
    activity: list[tuple[int, int]] = []
    popularity: list[tuple[int, int]] = []
    long_tail: list[tuple[float, float]] = []
    first: int | None = None
    last: int | None = None
    time: str | None = None
    timeline: list[tuple[int, str, int]] = []
    label_over_time: list[tuple[int, int, float]] = []
    order: OrderFacts | None = None
    features: list[FeatureFacts] = []
    findings: list[Finding] = []

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
