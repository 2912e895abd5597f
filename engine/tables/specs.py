"""The spec of a table: where it is, how it is written, and what each column means."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from engine.tables.paths import DELTA, TABLE
from workers.prepare import RESERVED, SourceFeature
from workers.prepare.tables import PROBLEM, How, Layout, Listed, Numbers, Output
from workers.specs import MORE, Spec

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

Role = Literal[
    "user", "item", "label", "class", "action", "timestamp", "split", "weight", "dense", "category", "tags", "title", "image", "genres",
    "ignore",
]  # fmt: skip
Side = Literal["user", "item", "context"]
Format = Literal["csv", "jsonl", "parquet", "delta", "catalogue"]
Quoting = Literal["none", "quotes", "lines"]
Escape = Literal["none", "backslash"]
Encoding = Literal[
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1", "iso8859-15", "cp1250", "iso8859-2", "cp1251",
    "koi8-r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp949", "mac_roman",
]  # fmt: skip
ENCODINGS: tuple[str, ...] = Encoding.__args__  # type: ignore[attr-defined]
ONCE = ("user", "item", "class", "action", "timestamp", "split", "weight", "title", "image", "genres")
FEATURES: dict[str, Literal["single", "multi", "dense"]] = {"category": "single", "tags": "multi", "dense": "dense"}
DISPLAY = ("title", "image", "genres")
NUMERIC = ("label", "weight", "dense")


class ColumnRole(Spec):
    """The role of one column of a table."""

    name: str = Field(min_length=1, max_length=1000, description="The column, as the file calls it; column_1, column_2 … without a header")
    role: Role = Field("ignore", description="What it is read as")
    side: Side = Field("context", description="What a feature describes: the user, the item, or the interaction (context)")
    separator: str = Field("|", min_length=1, max_length=3, description="Between the values of tags and genres")
    numbers: Numbers = Field(
        "plain", description="How a label, a weight or a number is written: plain (1234.5), decimal_comma (1.234,5), thousands (1,234.5)"
    )
    missing: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        (), max_length=50, description="Values that mean missing, such as NA or -1; rows without an id or a label are set aside"
    )

    listed: Listed = Field(
        "one", description="What a cell of the item holds: one item; items: a list, one row each; pairs: a list of item-label, such as N1-0"
    )

    def output(self, name: str, how: How = "text") -> Output:
        """The column as an output of this name."""
        return Output(name, self.name, how, self.separator, self.missing, self.numbers if self.role in NUMERIC else "plain")

    def listed_outputs(self) -> tuple[Output, ...]:
        """The item, and the label where cells hold pairs, of a column whose cells hold lists of items."""
        item = self.output("item_id")._replace(each="item" if self.listed == "pairs" else "value")
        return (item, Output("rating", self.name, separator=self.separator, each="label")) if self.listed == "pairs" else (item,)


class TableFile(Spec):
    """One table: a file, a folder of files, or a table of Spark."""

    path: str = Field(
        min_length=1,
        max_length=4096,
        description="File, folder of files, s3:// or other URI, table:catalogue.schema.name, or delta:path",
    )
    format: Format = Field("csv", description="csv is any text with a delimiter; catalogue is a table of Spark's catalogue")
    encoding: Encoding = Field("utf-8", description="Character encoding of a text file; a byte order mark is skipped")
    delimiter: str = Field(
        ",",
        min_length=1,
        max_length=3,
        pattern=r'^( |[^"\r\n\x00 a-zA-Z0-9]+)$',
        description="Between the values of a line; a blank: runs of blanks and tabs",
    )
    quoting: Quoting = Field(
        "quotes", description='none: " is a plain character; quotes: a value in "…" may hold the delimiter; lines: and line breaks'
    )
    escape: Escape = Field(
        "none", description=r"backslash: \" is a quote within a value, \N a missing value, \n a line break, as MySQL writes them"
    )
    header: bool = Field(True, description="The first line of every file names the columns")
    columns: tuple[ColumnRole, ...] = Field(
        (), max_length=2000, description="What the columns mean; others are not read", json_schema_extra=MORE
    )

    @model_validator(mode="after")
    def _one_meaning(self) -> "TableFile":
        for name, count in Counter(column.name for column in self.columns).items():
            if count > 1:
                raise ValueError(f"columns lists {name!r} {count} times; keep one.")
        for role in ONCE:
            names = [column.name for column in self.columns if column.role == role]
            if len(names) > 1:
                raise ValueError(f"columns gives the role {role} to {' and '.join(map(repr, names))}; choose one.")
        if (self.format == "delta") != self.path.startswith(DELTA) or (self.format == "catalogue") != self.path.startswith(TABLE):
            raise ValueError(
                f"format is {self.format}, but the path is {self.path[:80]!r}; delta goes with delta:…, catalogue with table:…."
            )
        if self.quoting == "lines" and (len(self.delimiter) > 1 or self.delimiter == " "):
            what = "that is no blank" if self.delimiter == " " else "of one character"
            raise ValueError(f"quoting is lines, which needs a delimiter {what}, not {self.delimiter!r}; choose quotes or none.")
        return self

    @property
    def layout(self) -> Layout:
        """How the lines of a csv hold rows, apart from the names of its columns."""
        return Layout("csv", (), self.encoding, self.delimiter, self.quoting, escape=self.escape)

    def having(self, *roles: str) -> list[ColumnRole]:
        return [column for column in self.columns if column.role in roles]

    def first(self, role: str) -> ColumnRole | None:
        """The first column with a role; None without one."""
        return next((column for column in self.columns if column.role == role), None)

    def named(self, role: str) -> str | None:
        """The column with a role that only one column may have; None without one."""
        column = self.first(role)
        return column.name if column else None


def with_side(table: TableFile, side: Side) -> TableFile:
    """A users or items table: all its columns are of one side."""
    allowed = {"ignore", side, *FEATURES} | (set(DISPLAY) if side == "item" else set())
    for column in table.columns:
        if column.role not in allowed:
            raise ValueError(f"gives {column.name!r} the role {column.role}; a table of {side}s may have {', '.join(sorted(allowed))}.")
    if table.named(side) is None:
        raise ValueError(f"has no column with the role {side}; the table is joined to the interactions by it.")
    return table.model_copy(update={"columns": tuple(column.model_copy(update={"side": side}) for column in table.columns)})


def sanitised(names: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """Names of [A-Za-z0-9_]+, distinct from each other and from `taken` regardless of case, in the given order."""
    used, names_ = {name.lower() for name in taken} | RESERVED, []
    for place, name in enumerate(names, 1):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        stem = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:60] or f"feature_{place}"
        stem = f"{stem}_value" if stem.lower() in RESERVED else stem
        choice = next(c for c in (stem, *(f"{stem}_{k}" for k in range(2, len(names) + len(used) + 3))) if c.lower() not in used)
        used.add(choice.lower())
        names_.append(choice)
    return names_


def unique_names(fields: Sequence[str]) -> tuple[str, ...]:
    """The columns of a header: blank ones are column_k, the second "rating" is rating_2; names that differ only in case are equal."""
    used: set[str] = set()
    unique = []
    for place, field in enumerate(fields, 1):
        stem = re.sub(r"\s+", " ", field.replace("\ufeff", "").replace("\x00", "")).strip()[:1000] or f"column_{place}"
        name = next(c for c in (stem, *(f"{stem}_{k}" for k in range(2, len(fields) + 2))) if c.lower() not in used)
        used.add(name.lower())
        unique.append(name)
    return tuple(unique)


class Feature(Spec):
    """A feature of the source, its table, and the column that it is read from."""

    out: str
    table: Literal["interactions", "users", "items"]
    column: ColumnRole

    @property
    def source_feature(self) -> SourceFeature:
        return SourceFeature(self.out, self.column.side, FEATURES.get(self.column.role, "multi"))


def features_of(tables: "dict[Literal['interactions', 'users', 'items'], TableFile | None]") -> list[Feature]:
    """Features in a fixed order: users table, items table, interactions. Genres are a feature too, under the name genres."""
    placed = [
        (where, column) for where in ("users", "items", "interactions") if (table := tables[where]) for column in table.having(*FEATURES)
    ]
    names = sanitised([column.name for _, column in placed])
    features = [Feature(out=name, table=where, column=column) for name, (where, column) in zip(names, placed, strict=True)]
    for where in ("items", "interactions"):
        table = tables[where]
        features += [
            Feature(out="genres", table=where, column=column.model_copy(update={"side": "item"}))
            for column in (table.having("genres") if table else [])
        ]
    return features


def spark_schema(outputs: Sequence[Output]) -> "StructType":
    """The schema of `workers.prepare.tables.columns.shape`, for Spark."""
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    fields = [StructField(o.name, DoubleType() if o.how == "number" else StringType()) for o in outputs]
    return StructType([*fields, *(StructField(name, StringType()) for name in PROBLEM)])
