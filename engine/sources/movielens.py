"""MovieLens as released: 100K (u.data), 1M and 10M (ratings.dat), and the CSV releases (ratings.csv), told apart by their files."""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.sources import FRAME_LIMIT, SourceFeature, SourceSpec, Tables
from engine.sources._archive import extracted
from engine.sources._releases import FILES, GENRES_100K, OCCUPATIONS_1M, RELEASES, Release

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

LOW, HIGH = 0.5, 5.0  # stars
BYTES_A_RATING = 22
CHECK_ROWS, CHUNK_ROWS = 120_000, 1_000_000
INTERACTION = ["user_id", "item_id", "rating", "timestamp"]


class MovieLensSource(SourceSpec):
    """A MovieLens release in a folder or a zip file of this machine."""

    label: ClassVar[str] = "MovieLens"
    description: ClassVar[str] = "A MovieLens release (100K, 1M, 10M or a CSV release), as a folder or as the zip file downloaded."

    kind: Literal["movielens"] = "movielens"
    path: str = Field(min_length=1, max_length=4096, description="Folder or .zip file of the release, on this machine")

    def check(self) -> None:
        """Find the files and read their first rows: quick, whatever their size. The rest is checked when it is loaded."""
        folder, release = self._find()
        _items(folder / release.items, release)
        if release.users and (folder / release.users).is_file():
            _users(folder / release.users, release)
        for _ in _chunks(folder / release.ratings, release, CHECK_ROWS):
            pass
        _whole(folder, release)

    def fingerprint(self) -> str:
        folder, release = self._find()
        total = hashlib.sha256()
        for name in (release.ratings, release.items, release.users):
            if name and (folder / name).is_file():
                with (folder / name).open("rb") as file:
                    total.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        return total.hexdigest()

    def size_hint(self) -> int:
        folder, release = self._find()
        return (folder / release.ratings).stat().st_size // BYTES_A_RATING

    def frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        import pandas as pd

        folder, release = self._find()
        return pd.concat(_chunks(folder / release.ratings, release, limit), ignore_index=True)

    def items_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        folder, release = self._find()
        return _items(folder / release.items, release).head(limit)

    def load(self, spark: "SparkSession") -> Tables:
        import pyarrow as pa

        folder, release = self._find()
        _whole(folder, release)
        rows = _parse(spark, folder / release.ratings, release)
        items = spark.createDataFrame(pa.Table.from_pandas(_items(folder / release.items, release), preserve_index=False))
        users = None
        features = [SourceFeature("genres", "item", "multi"), SourceFeature("year", "item", "dense")]
        if release.users and (folder / release.users).is_file():
            users = spark.createDataFrame(pa.Table.from_pandas(_users(folder / release.users, release), preserve_index=False))
            features = [
                *(SourceFeature(name, "user", "single") for name in ("gender", "occupation", "region")),
                SourceFeature("age", "user", "dense"),
                *features,
            ]
        return Tables(rows, users, items, tuple(features))

    def _find(self) -> tuple[Path, Release]:
        """The folder with the files (a zip is extracted to the workspace) and the release they belong to."""
        path = Path(self.path).expanduser()
        if path.is_file():
            if path.suffix.lower() != ".zip":
                raise ValueError(f"{path} is neither a folder nor a .zip file; give the MovieLens folder or its zip.")
            return _recognise(extracted(path, FILES), path)
        if not path.is_dir():
            raise FileNotFoundError(f"There is no folder or zip file {path}; check the path.")
        inside = [path, *sorted(p for p in path.iterdir() if p.is_dir() and any((p / r.ratings).is_file() for r in RELEASES))]
        own = any((path / r.ratings).is_file() or (path / r.items).is_file() for r in RELEASES)
        return _recognise(path if own or len(inside) != 2 else inside[1], path)


def _recognise(folder: Path, shown: Path) -> tuple[Path, Release]:
    for release in RELEASES:
        present = [name for name in release.needed if (folder / name).is_file()]
        if len(present) == len(release.needed):
            return folder, release
        if present:
            missing = " and ".join(name for name in release.needed if name not in present)
            raise FileNotFoundError(f"{shown} has {present[0]} of a MovieLens {release.name} release but not {missing}; add it.")
    looked = ", ".join(f"{' + '.join(r.needed)} ({r.name})" for r in RELEASES)
    raise ValueError(f"{shown} is not a MovieLens folder: looked for {looked}. Choose the folder that holds these files.")


def _whole(folder: Path, release: Release) -> None:
    """Compare the number of ratings with u.info, where there is one."""
    info = folder / "u.info"
    if release.ratings != "u.data" or not info.is_file():
        return
    told = [line.split() for line in info.read_text(encoding="latin-1").splitlines()]
    expected = next((int(words[0]) for words in told if words[1:] == ["ratings"] and words[0].isdigit()), None)
    with (folder / release.ratings).open("rb") as file:
        found = sum(1 for line in file if line.strip())
    if expected is not None and found < expected:
        raise ValueError(
            f"{release.ratings} is truncated: it has {found:,} ratings where u.info says {expected:,}; copy the release again."
        )


def _read(path: Path, release: Release, columns: list[str], quoting: int, rows: int | None = None) -> "Iterator[pd.DataFrame]":
    """Chunks of a delimited text file, all columns as text; the index is the line number, a missing field is "".

    A field too many is an error here; blank lines are passed over.
    """
    import pandas as pd

    # "::" would need pandas' slow parser; with ":" every second field is empty
    names = [n for name in columns for n in (name, f"_{name}")][:-1] if release.separator == "::" else list(columns)
    separator = "|" if path.name in ("u.item", "u.user") else release.separator[0]
    encoding = "utf-8-sig" if path.name == release.ratings else release.encoding  # as Spark reads the ratings
    try:
        reader = pd.read_csv(
            path, sep=separator, names=[*names, "_extra"], header=None, skiprows=int(release.header), dtype=str, nrows=rows,
            keep_default_na=False, na_values=[], quoting=quoting, encoding=encoding, skip_blank_lines=False,
            chunksize=CHUNK_ROWS, index_col=False,
        )  # fmt: skip
        for chunk in reader:
            chunk.index = chunk.index + 1 + int(release.header)
            chunk = chunk.fillna("")
            chunk = chunk[chunk.ne("").any(axis=1)]
            extra = chunk["_extra"].ne("")
            if extra.any():
                raise ValueError(f"{path.name}, line {extra.idxmax()}: more than {len(columns)} fields.")
            yield chunk[columns]
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path.name} is empty; copy the release again.") from None
    except pd.errors.ParserError as error:
        raise ValueError(f"{path.name} cannot be read: {str(error).removeprefix('Error tokenizing data. C error: ').strip()}.") from error
    except UnicodeError as error:
        raise ValueError(f"{path.name} is not {encoding.removesuffix('-sig').upper()} text: {error}.") from error


def _chunks(path: Path, release: Release, limit: int | None = None) -> "Iterator[pd.DataFrame]":
    """The ratings, checked: user_id, item_id, rating, timestamp. ValueError with the line of the first bad row."""
    import pandas as pd

    _check_header(path, release)
    rows = 0
    for text in _read(path, release, INTERACTION, csv.QUOTE_NONE, limit):
        rating = pd.to_numeric(text["rating"], errors="coerce")
        time = pd.to_numeric(text["timestamp"], errors="coerce")
        known = text["user_id"].ne("") & text["item_id"].ne("")
        bad = ~(known & rating.between(LOW, HIGH) & time.notna() & time.eq(time // 1))
        if bad.any():
            raise ValueError(_complaint(path.name, bad.idxmax(), text.loc[bad.idxmax()]))
        rows += len(text)
        yield text.assign(rating=rating.astype(float), timestamp=time.astype("int64"))
    if not rows:
        raise ValueError(f"{path.name} holds no rating; copy the release again.")


def _complaint(file: str, line: object, row: "pd.Series") -> str:
    import pandas as pd

    if row["rating"] == "" or row["timestamp"] == "":
        return f"{file}, line {line}: {row.ne('').sum()} of {len(INTERACTION)} fields; the line is cut short."
    if not row["user_id"] or not row["item_id"]:
        return f"{file}, line {line}: the user or the item is empty."
    number = pd.to_numeric(row["rating"], errors="coerce")
    if pd.isna(number):
        return f"{file}, line {line}: the rating is {row['rating'][:40]!r}, which is not a number."
    if not LOW <= number <= HIGH:
        return f"{file}, line {line}: the rating is {row['rating'][:40]}; MovieLens ratings are from {LOW} to {HIGH:g}."
    return f"{file}, line {line}: the timestamp is {row['timestamp'][:40]!r}, which is not a whole number of seconds."


def _check_header(path: Path, release: Release) -> None:
    if not release.header:
        return
    with path.open("rb") as file:
        first = file.readline(1000).decode("utf-8-sig", "replace").strip()
    if not first:
        raise ValueError(f"{path.name} is empty; copy the release again.")
    wanted = "userId,movieId,rating,timestamp"
    if first.replace(" ", "").lower() != wanted.lower():
        raise ValueError(f"{path.name} begins with {first[:80]!r} instead of the header {wanted}; this is not a MovieLens release.")


def _parse(spark: "SparkSession", path: Path, release: Release) -> "DataFrame":
    """The ratings in Spark; when any row is bad, the file is read again here to name its line."""
    from pyspark.sql import functions as F

    _check_header(path, release)
    lines = spark.read.text(str(path.resolve()))
    if release.header:
        lines = lines.where(~F.lower(F.regexp_replace("value", "[\ufeff ]", "")).startswith("userid,movieid"))
    fields = F.split("value", release.separator, -1)
    rows = lines.where(F.trim("value") != "").select(
        F.size(fields).alias("_fields"),
        *(F.get(fields, k).alias(name) for k, name in enumerate(INTERACTION[:2])),
        F.trim(F.get(fields, F.lit(2))).try_cast("double").alias("rating"),
        F.trim(F.get(fields, F.lit(3))).try_cast("long").alias("timestamp"),
    )
    sound = (F.col("_fields") == 4) & (F.col("user_id") != "") & (F.col("item_id") != "") & F.col("rating").between(LOW, HIGH)
    if rows.where(~F.coalesce(sound & F.col("timestamp").isNotNull(), F.lit(False))).limit(1).count():
        for _ in _chunks(path, release):
            pass
        raise ValueError(f"{path.name} has a row that cannot be read as user, item, rating, timestamp.")
    return rows.drop("_fields")


def _items(path: Path, release: Release) -> "pd.DataFrame":
    """item_id, title, genres ("A|B" or None), year (float, nan when unknown)."""
    import pandas as pd

    if release.items == "u.item":
        columns = ["item_id", "title", "released", "video", "url", *GENRES_100K]
        text = pd.concat(_read(path, release, columns, csv.QUOTE_NONE))
        _no_gaps(path, text, ["item_id", "title", GENRES_100K[-1]])
        flags = text[list(GENRES_100K[1:])].eq("1").to_numpy()
        text["genres"] = ["|".join(g for g, on in zip(GENRES_100K[1:], row, strict=True) if on) for row in flags]
        year = text["released"].str.extract(r"(\d{4})$")[0]
    else:
        quoting = csv.QUOTE_MINIMAL if release.header else csv.QUOTE_NONE
        text = pd.concat(_titles(path) if release.separator == "::" else _read(path, release, ["item_id", "title", "genres"], quoting))
        _no_gaps(path, text, ["item_id", "title", "genres"])
        year = pd.Series(None, index=text.index, dtype=object)
    text["year"] = pd.to_numeric(text["title"].str.extract(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")[0].fillna(year), errors="coerce")
    text["genres"] = text["genres"].where(~text["genres"].isin(["", "(no genres listed)"]), None)
    return text[["item_id", "title", "genres", "year"]].drop_duplicates("item_id").reset_index(drop=True)


def _titles(path: Path) -> "list[pd.DataFrame]":
    """movies.dat: titles hold single colons, so that the separator has to be taken whole."""
    import pandas as pd

    lines = path.read_text(encoding="latin-1").splitlines()
    rows = {n: line.split("::") for n, line in enumerate(lines, 1) if line.strip()}
    if not rows:
        raise ValueError(f"{path.name} is empty; copy the release again.")
    for n, fields in rows.items():
        if len(fields) != 3:
            raise ValueError(f"{path.name}, line {n}: {len(fields)} fields instead of 3.")
    return [pd.DataFrame.from_dict(rows, orient="index", columns=["item_id", "title", "genres"])]


def _users(path: Path, release: Release) -> "pd.DataFrame":
    """user_id, age (float), gender, occupation, region (the first character of the zip code), zip."""
    import pandas as pd

    order = (
        ["user_id", "age", "gender", "occupation", "zip"]
        if release.users == "u.user"
        else ["user_id", "gender", "age", "occupation", "zip"]
    )
    text = pd.concat(_read(path, release, order, csv.QUOTE_NONE))
    _no_gaps(path, text, ["user_id", "zip"])
    if release.users == "users.dat":
        names = {str(k): name for k, name in enumerate(OCCUPATIONS_1M)}
        text["occupation"] = text["occupation"].map(names).fillna(text["occupation"])
    text["age"] = pd.to_numeric(text["age"], errors="coerce")
    text["region"] = text["zip"].str[:1].str.upper()
    blank = text[["gender", "occupation", "region"]].eq("")
    text[["gender", "occupation", "region"]] = text[["gender", "occupation", "region"]].mask(blank, None)
    return text[["user_id", "age", "gender", "occupation", "region", "zip"]].drop_duplicates("user_id").reset_index(drop=True)


def _no_gaps(path: Path, text: "pd.DataFrame", columns: list[str]) -> None:
    if text.empty:
        raise ValueError(f"{path.name} holds nothing; copy the release again.")
    short = text[columns].eq("").any(axis=1)
    if short.any():
        raise ValueError(f"{path.name}, line {short.idxmax()}: the line is cut short; copy the release again.")
