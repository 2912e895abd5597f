"""A guess: how a table is written, what its columns mean, and what is open."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.tables.absent import Absent
from engine.tables.ids import about_missing
from engine.tables.meaning import Question
from engine.tables.specs import NUMERIC, ColumnRole, Encoding, Escape, Format, Quoting, Role, Side
from engine.tables.unnamed import WHICH
from workers.prepare.tables import Listed, Numbers

Which = Literal["interactions", "users", "items"]
Rows = list[list[str | None]]


class ColumnGuess(BaseModel):
    """The guessed meaning of a column.

    header: its name in the file, before blank and duplicate names were changed. numbers_open, absent_open: what a person has to
    decide on how numbers are written, and on ids that may mean missing. absent: values that may mean missing. rows: looked at.
    listed: what a cell holds, whatever the role.
    describes: columns that may be ids, for each of whose values it has one value. Where it is the label, binary: its two values,
    which are the answer itself; about_values: a question about one of them.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    header: str
    role: Role
    side: Side
    separator: str = "|"
    type: str
    examples: tuple[str, ...] = ()
    time_unit: str | None = None
    ambiguous: str | None = None
    units: tuple[str, ...] = ()
    numbers: Numbers = "plain"
    numbers_open: str | None = None
    absent: tuple[Absent, ...] = ()
    absent_open: str | None = None
    rows: int = 0
    listed: Listed = "one"
    describes: tuple[str, ...] = ()
    distinct: int = 0
    certain: bool = True
    why: str = ""
    binary: tuple[float, float] | None = None
    about_values: Question | None = None


class TableGuess(BaseModel):
    """The guess for a table; `unsure` names the settings that the user should confirm, `questions` are about meanings."""

    model_config = ConfigDict(frozen=True)

    path: str
    table: Which = "interactions"
    format: Format
    encoding: Encoding = "utf-8"
    delimiter: str = ","
    quoting: Quoting = "quotes"
    escape: Escape = "none"
    header: bool = True
    compression: str = "none"
    newline: str = ""
    files: int = 1
    bytes: int = 0
    columns: tuple[ColumnGuess, ...]
    time_unit: str | None = None
    ambiguous: str | None = None
    unsure: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    notes: tuple[str, ...] = ()
    head: list[list[str | None]] = []

    @property
    def certain(self) -> bool:
        return not self.unsure and not self.all_questions and all(column.certain for column in self.columns)

    @property
    def label(self) -> ColumnGuess | None:
        """The column that is the label, where there is only one."""
        labels = [column for column in self.columns if column.role == "label"]
        return labels[0] if len(labels) == 1 else None

    @property
    def all_questions(self) -> tuple[Question, ...]:
        """The questions about meanings, about the values of the label, and about a table without users or items."""
        return self.questions + self.last_questions({column.name: column.role for column in self.columns})

    def last_questions(self, roles: Mapping[str, str], by_hand: Collection[str] = ()) -> tuple[Question, ...]:
        """What is still to be asked once columns have their roles. by_hand: columns whose role was changed, so nothing is asked of them."""
        if self.table != "interactions":
            return ()
        labels = [column for column in self.columns if roles.get(column.name) == "label"]
        values = labels[0].about_values if len(labels) == 1 else None
        counts = Counter(roles.values())
        impossible = max(counts[role] for role in ("user", "item", "timestamp")) > 1  # that is said first
        asked = any(one.key.startswith(WHICH) and not set(by_hand) & set(one.columns) for one in self.questions)
        missing = None if impossible or asked else about_missing(counts["user"] > 0, counts["item"] > 0)
        return tuple(question for question in (values, missing) if question)

    def timed(self) -> "TableGuess":
        """The guess with the unit of the column that is the time."""
        time = next((column for column in self.columns if column.role == "timestamp"), None)
        open_ = time is not None and (time.time_unit is None or time.ambiguous is not None)
        unsure = (*(fact for fact in self.unsure if fact != "time_unit"), *(["time_unit"] if open_ else []))
        return self.model_copy(update={"time_unit": time and time.time_unit, "ambiguous": time and time.ambiguous, "unsure": unsure})

    def file_fields(self) -> dict[str, Any]:
        """Fields of a TableFile."""
        roles = [
            ColumnRole(
                name=c.name,
                role=c.role,
                side=c.side,
                separator=c.separator,
                numbers=c.numbers if c.role in NUMERIC else "plain",
                listed=c.listed if c.role == "item" else "one",
            ).model_dump()
            for c in self.columns
        ]
        return {**self.model_dump(include={"path", "format", "encoding", "delimiter", "quoting", "escape", "header"}), "columns": roles}

    def spec_fields(self) -> dict[str, Any]:
        """Fields of a TableSource."""
        low, high = (self.label and self.label.binary) or (None, None)
        return {**self.file_fields(), "time_unit": self.time_unit, "low": low, "high": high}
