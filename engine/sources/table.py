"""Your own table: any CSV, TSV, JSON lines or Parquet, a folder of them, a Delta table or one that Spark knows by name."""

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from engine.sources.base import FRAME_LIMIT, SourceSpec, Tables
from engine.tables import (
    DISPLAY,
    FEATURES,
    ColumnRole,
    Feature,
    TableFile,
    features_of,
    reader,
    sanitised,
    with_side,
)
from workers.prepare import UNITS, WHOLE_ID, Reading, SourceFeature, check_unit
from workers.prepare.tables import How, Output
from workers.specs import MORE

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

HOW: dict[str, How] = {"category": "blank", "tags": "tags", "genres": "tags", "dense": "number"}
Where = Literal["interactions", "users", "items"]
GIVEN = {(0, 1), (-1, 1)}  # ranges of labels that are the answer themselves
LINES = "lines"  # the unit of times where the order of rows is all there is


class TableSource(TableFile, SourceSpec):
    """Your own table of interactions, with a mapping of its columns."""

    label: ClassVar[str] = "Your own table"
    description: ClassVar[str] = (
        "CSV, TSV, JSON lines or Parquet, a folder of them, Delta or a table of the Spark catalogue, with columns that you map."
    )

    kind: Literal["table"] = Field("table", description="Which source this is")
    columns: tuple[ColumnRole, ...] = Field(
        (ColumnRole(name="user_id", role="user", side="user"), ColumnRole(name="item_id", role="item", side="item")),
        max_length=2000,
        description="What the columns mean; others are not read",
        json_schema_extra=MORE,
    )
    time_unit: str | None = Field(
        None,
        max_length=100,
        description="Unit of the timestamps. Since 1970: s, ms, us, ns, days, or magnitude (s to ns by the size of each value). "
        "Dates: iso, day/month/year, month/day/year, words (31 Jan 2024), or a pattern such as %d.%m.%Y %H:%M. excel: its days. "
        "order: a count. lines: no column, rows are in order of time",
    )
    low: float | None = Field(None, description="Labels below this are set aside; empty: none is too low")
    high: float | None = Field(None, description="Labels above this are set aside; empty: none is too high")
    whole_ids: bool = Field(False, description="Read ids such as 12346.0, as data frames with gaps write them, as 12346")
    users: TableFile | None = Field(None, description="A table of users, one per row")
    items: TableFile | None = Field(None, description="A table of items, one per row")

    @field_validator("users")
    @classmethod
    def _users_side(cls, table: TableFile | None) -> TableFile | None:
        return table and with_side(table, "user")

    @field_validator("items")
    @classmethod
    def _items_side(cls, table: TableFile | None) -> TableFile | None:
        return table and with_side(table, "item")

    @field_validator("time_unit")
    @classmethod
    def _known_unit(cls, unit: str | None) -> str | None:
        return unit and check_unit(unit)

    @model_validator(mode="after")
    def _means_something(self) -> "TableSource":
        if not any(column.role != "ignore" for column in self.columns):
            raise ValueError("columns gives no column a role; say at least which one is the user or the item, or which are features.")
        kinds = [role for role in ("label", "class", "action") if self.having(role)]
        if len(kinds) > 1:
            raise ValueError(f"columns has {' and '.join(kinds)}, which are both labels; keep one kind.")
        if kinds and self._has_pairs():
            raise ValueError(f"{self.named('item')!r} holds pairs of item-label, and {kinds[0]} is a label too; ignore one of them.")
        if (column := self.named("timestamp")) and self.time_unit is None:
            raise ValueError(f"time_unit is not chosen for the timestamp {column!r}; choose {', '.join(UNITS)}, or a pattern.")
        if column and self.time_unit == LINES:
            raise ValueError(f"time_unit is lines, but {column!r} is the timestamp; choose its unit, or ignore the column.")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high is {self.high:g}; choose a high above low.")
        self._sides_have_ids()
        return self

    def _sides_have_ids(self) -> None:
        user, item = self.named("user"), self.named("item")
        for side, id, table in (("user", user, self.users), ("item", item, self.items)):
            if table and id is None:
                raise ValueError(f"{side}s is given, but no column of the interactions has the role {side} to join it by.")
            lone = next((c.name for c in self.having(*FEATURES) if c.side == side), None)
            if lone and id is None:
                raise ValueError(f"columns puts {lone!r} on the {side}'s side, but no column has the role {side}; put it on the context.")
        shown = self.having(*DISPLAY)
        if shown and item is None:
            raise ValueError(f"columns gives {shown[0].name!r} the role {shown[0].role}, but no column has the role item.")
        twice = [c.role for c in shown if self.items and self.items.named(c.role)]
        if twice:
            raise ValueError(f"{twice[0]} is mapped in the interactions and in the items table; choose one.")
        if user is None and item is None and not (self.having(*FEATURES) and self.having("label", "class", "action")):
            raise ValueError("columns has neither user nor item; such a table needs features and a label, a class or an action.")

    def tables(self) -> dict[Where, TableFile | None]:
        return {"interactions": self, "users": self.users, "items": self.items}

    def _features(self) -> list[Feature]:
        return features_of(self.tables())

    def renamed(self) -> dict[str, tuple[str, str]]:
        """Name of a feature -> (interactions, users or items; the column there)."""
        return {feature.out: (feature.table, feature.column.name) for feature in self._features()}

    def features(self) -> tuple[SourceFeature, ...]:
        return tuple(feature.source_feature for feature in self._features())

    def _actions(self) -> tuple[str, ...]:
        labels = self.having("label")
        return tuple(sanitised([column.name for column in labels])) if len(labels) > 1 else ()

    def reading(self) -> Reading:
        value: Literal["number", "category", "actions", "none"] = "none"
        if self._has_pairs():
            value = "number"
        elif self.having("label"):
            value = "actions" if len(self.having("label")) > 1 else "number"
        elif self.having("class", "action"):
            value = "category"
        return Reading(
            user=self.named("user") is not None,
            item=self.named("item") is not None,
            value=value,
            actions=self._actions(),
            low=self.low,
            high=self.high,
            time=self.time_unit if self.named("timestamp") else "order" if self.time_unit == LINES else None,
            split=self.named("split") is not None,
            whole_ids=self.whole_ids,
        )

    def _has_pairs(self) -> bool:
        """Whether the label is in the cells of the items."""
        item = self.first("item")
        return item is not None and item.listed == "pairs"

    def defaults(self) -> dict[str, Any]:
        reading = self.reading()
        given = self._has_pairs() or (reading.value == "number" and (reading.low, reading.high) in GIVEN)
        number = "given" if given else "threshold"
        label = {"number": number, "category": "multi_class", "actions": "actions", "none": "implicit"}[reading.value]
        fields: dict[str, Any] = {"label": {"kind": "actions" if self.having("action") else label}}
        if reading.split:
            fields["split"] = {"kind": "column"}
        elif reading.time is None:
            fields["split"] = {"kind": "random"}
        return fields

    def outputs(self, where: Where) -> tuple[Output, ...]:
        """The columns of a table, and what they are read from."""
        table = self.tables()[where]
        outputs_: list[Output] = []
        if table is None:
            return ()
        roles = {"user": "user_id", "item": "item_id", "class": "category", "action": "category", "timestamp": "timestamp"}
        for role, name in [*roles.items(), *((role, role) for role in ("split", "weight", "title", "image"))]:
            column = table.first(role)
            if column and role == "item" and where == "interactions" and column.listed != "one":
                outputs_ += column.listed_outputs()
            elif column:
                outputs_.append(column.output(name, "blank" if role in DISPLAY else "text"))
        if where == "interactions":
            names = [f"action.{name}" for name in self._actions()] or ["rating"]
            outputs_ += [label.output(name) for name, label in zip(names, table.having("label"), strict=False)]
        for feature in self._features():
            if feature.table == where:
                how: How = "text" if where == "interactions" and feature.column.role == "dense" else HOW[feature.column.role]
                outputs_.append(feature.column.output(feature.out, how))
        return tuple(outputs_)

    def check(self) -> None:
        for where, table in self.tables().items():
            if table:
                reader.check(table, self.outputs(where), "" if where == "interactions" else f"The {where} table: ")

    def fingerprint(self) -> str:
        """SHA-256 of the content of every file, in the order they are read; names and paths make no difference.

        For tables that only Spark can read: of the names, sizes and times of files, or of the version where there is one.
        """
        total = hashlib.sha256()
        for where, table in self.tables().items():
            if table:
                total.update(f"{where} {reader.digest(table, self.outputs(where))}\n".encode())
        return total.hexdigest()

    def size_hint(self) -> int:
        return reader.size_hint(self)

    def notes(self) -> tuple[str, ...]:
        sentences = [note for where, table in self.tables().items() if table for note in reader.notes(table, self.outputs(where), where)]
        changed = [f"{column!r} is called {out}" for out, (_, column) in self.renamed().items() if out != column]
        if changed:
            sentences.append(f"Feature names keep to letters, digits and _: {', '.join(changed[:20])}.")
        if (item := self.first("item")) and item.listed != "one":
            of = "items" if item.listed == "items" else "item-label"
            sentences.append(f"{item.name!r} holds lists of {of}: each item is a row of its own.")
        if self.named("timestamp"):
            unit = self.time_unit or "s"
            sentences.append(f"{self.named('timestamp')!r} is the timestamp, read as {TIME_WORDS.get(unit, f'the pattern {unit}')}.")
        elif self.time_unit == LINES:
            sentences.append("Rows are taken to be in order of time, as they are in the file.")
        return tuple(sentences)

    def frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        return reader.frame(self, self.outputs("interactions"), limit)

    def items_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        if self.items is None:
            return super().items_frame(limit)
        return _with_display(_unique_rows(reader.frame(self.items, self.outputs("items"), limit), "item_id", self.whole_ids))

    def users_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        if self.users is None:
            return super().users_frame(limit)
        return _unique_rows(reader.frame(self.users, self.outputs("users"), limit), "user_id", self.whole_ids)

    def load(self, spark: "SparkSession") -> Tables:
        from pyspark.sql import functions as F

        users = _unique(reader.load(spark, self.users, self.outputs("users")), "user_id", self.whole_ids) if self.users else None
        items = _unique(reader.load(spark, self.items, self.outputs("items")), "item_id", self.whole_ids) if self.items else None
        if items is not None:
            missing = [name for name in ("title", "genres") if name not in items.columns]
            items = items.withColumns({name: F.lit(None).cast("string") for name in missing})
            items = items.select("item_id", "title", "genres", *[c for c in items.columns if c not in ("item_id", "title", "genres")])
        return Tables(reader.load(spark, self, self.outputs("interactions")), users, items)


TIME_WORDS: dict[str, str] = {
    "s": "seconds since 1970",
    "ms": "milliseconds since 1970",
    "us": "microseconds since 1970",
    "ns": "nanoseconds since 1970",
    "days": "days since 1970",
    "excel": "days as Excel counts them",
    "iso": "dates with the year first, in UTC unless they name a zone",
    "day/month/year": "dates with the day first, in UTC unless they name a zone",
    "month/day/year": "dates with the month first, in UTC unless they name a zone",
    "words": "dates with the name of the month, in UTC unless they name a zone",
    "magnitude": "seconds, milliseconds, microseconds or nanoseconds since 1970, by the size of each value",
    "order": "a count that orders rows and is not a time",
}


def _unique(rows: "DataFrame", id: str, whole_ids: bool = False) -> "DataFrame":
    """One row per id: of several, the last when sorted by all columns. Rows that cannot be read, or without an id, are left out."""
    from pyspark.sql import functions as F

    others = [name for name in rows.columns if name not in (id, "problem", "raw")]
    if whole_ids:
        rows = rows.withColumn(id, F.regexp_replace(id, WHOLE_ID, "$1"))
    sound = rows.where(F.col("problem").isNull() & (F.trim(F.col(id)) != ""))
    best = F.max(F.struct(*(F.col(f"`{name}`") for name in others))) if others else F.first(id)
    grouped = sound.groupBy(id).agg(best.alias("_row"))
    return grouped.select(id, *(F.col(f"_row.`{name}`").alias(name) for name in others))


def _unique_rows(rows: "pd.DataFrame", id: str, whole_ids: bool = False) -> "pd.DataFrame":
    others = [name for name in rows.columns if name not in (id, "problem", "raw")]
    if whole_ids:
        rows = rows.assign(**{id: rows[id].str.replace(WHOLE_ID, r"\1", regex=True)})
    sound = rows[rows["problem"].isna() & rows[id].fillna("").str.strip(" ").ne("")]
    ordered = sound.sort_values(others, na_position="first", kind="stable") if others else sound
    return ordered.drop_duplicates(id, keep="last").sort_index()[[id, *others]].reset_index(drop=True)


def _with_display(items: "pd.DataFrame") -> "pd.DataFrame":
    for name in ("title", "genres"):
        if name not in items:
            items[name] = None
    return items[["item_id", "title", "genres", *[c for c in items.columns if c not in ("item_id", "title", "genres")]]]
