"""What a metric over rows needs of all rows together, so that the same formula holds where each rank has some of them."""

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from workers.evaluation.metrics import Floats, Ints

Value = TypeVar("Value", "float", "Floats", "Ints")


class Over(Protocol):
    """The rows that a metric is over: those of this process, or of all ranks, where each user has all rows on one rank.

    Every method may be a collective call, so what is called must not depend on the rows of one rank.
    """

    def total(self, part: Value) -> Value:
        """The sum of a number, or of an array of one shape everywhere, over ranks, in float64."""
        ...

    def midranks(self, values: "Floats") -> "Floats":
        """Places from 1 by rising value among all rows, equal ones in the middle of theirs: [B] of this rank; nan where a value is nan."""
        ...


class OneProcess:
    """All rows are here."""

    def total(self, part: Value) -> Value:
        """The part itself."""
        return part

    def midranks(self, values: "Floats") -> "Floats":
        """As `Over` says."""
        import pandas as pd  # scipy's own takes a second to import

        return pd.Series(values).rank().to_numpy(float)


HERE = OneProcess()
