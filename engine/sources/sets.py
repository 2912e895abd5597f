"""Learning from Sets of Items (Sharma, Harper, Karypis, TiiS 2019): ratings of single films and of sets of five at once."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from engine.sources.base import FRAME_LIMIT, SourceSpec, Tables
from engine.sources.grouplens import CSV, read_items
from engine.sources.grouplens import sets as bags
from engine.tables import Layout, extracted, local, names_in
from engine.tables import plain_lines as lines
from workers.prepare import Reading, SourceFeature

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

ITEM_FILE, SET_FILE, MOVIE_FILE = "item_ratings.csv", "set_ratings.csv", "movies.csv"
HEADER = "userId,movieId,rating,timestamp"
BYTES_A_RATING, BYTES_A_SET = 41, 62


class Files(NamedTuple):
    """The files of the release; at least one of `items` and `sets`."""

    items: Path | None
    sets: Path | None
    movies: Path | None


class SetsSource(SourceSpec):
    """Ratings of films one by one and of sets of five films, joined to the titles of a MovieLens release."""

    label: ClassVar[str] = "Learning from Sets"
    description: ClassVar[str] = (
        "Ratings of single films and of sets of five films at once (GroupLens, 2019), as a folder or the zip downloaded."
    )

    kind: Literal["sets"] = "sets"
    path: str = Field(min_length=1, max_length=4096, description="Folder or .zip file with item_ratings.csv, set_ratings.csv or both")
    movies: str | None = Field(
        None, min_length=1, max_length=4096,
        description="movies.csv of a MovieLens CSV release, or its folder or zip, for titles and genres; empty: that next to the ratings",
    )  # fmt: skip
    set_ratings: Literal["evaluate", "train"] = Field(
        "evaluate",
        description="evaluate: models train on item ratings and are tested on sets too; train: each set is also five item ratings "
        "of weight 1/5. Without item_ratings.csv it is always train",
    )

    def check(self) -> None:
        release = self._find()
        for path, layout in self._parts(release):
            lines.check_rows(path, layout)
        if release.movies:
            read_items(release.movies, CSV)

    def fingerprint(self) -> str:
        release = self._find()
        return lines.fingerprint([path for path in release if path], "train" if self._trains_on(release) else "evaluate")

    def size_hint(self) -> int:
        release = self._find()
        ratings = release.items.stat().st_size // BYTES_A_RATING if release.items else 0
        return ratings + (5 * release.sets.stat().st_size // BYTES_A_SET if release.sets and self._trains_on(release) else 0)

    def reading(self) -> Reading:
        return Reading(low=bags.LOW, high=bags.HIGH, time="iso", parts=True)

    def features(self) -> tuple[SourceFeature, ...]:
        titled = self.movies is not None or MOVIE_FILE in self._names()
        return (SourceFeature("genres", "item", "multi"), SourceFeature("year", "item", "dense")) if titled else ()

    def defaults(self) -> dict[str, Any]:
        # nearly all users rated all their sets in one session: a split by time would test on users who are not in train
        return {"label": {"kind": "mean"}, "split": {"kind": "per_user"}}

    def notes(self) -> tuple[str, ...]:
        release, sentences = self._find(), []
        if not release.items:
            sentences.append(f"There is no {ITEM_FILE} here, so the sets are the training data: each is five ratings of weight 1/5.")
        if not release.sets:
            sentences.append(f"There is no {SET_FILE} here, so models cannot be tested on ratings of sets.")
        if not release.movies:
            sentences.append(f"Without {MOVIE_FILE} films are shown by their ids and have no genres; give a MovieLens folder as `movies`.")
        else:
            missing, rated = _untitled(*((p, p.stat().st_mtime_ns) if p else None for p in release))
            if missing:
                sentences.append(f"{missing:,} of {rated:,} films have no title in {MOVIE_FILE} and are shown by their ids.")
        return tuple(sentences)

    def load(self, spark: "SparkSession") -> Tables:
        import pyarrow as pa
        from pyspark.sql import functions as F

        release, rows, sets = self._find(), None, None
        for path, layout in self._parts(release):
            if path == release.items:
                rows = lines.load(spark, [path], layout).withColumn("weight", F.lit(1.0)).select(*self._shown(release))
            else:
                ratings = bags.judged(lines.load(spark, [path], layout))
                more = bags.exploded(ratings if self._trains_on(release) else ratings.where("problem is not null")).select(
                    *self._shown(release)
                )
                rows, sets = rows.unionByName(more) if rows else more, bags.sound(ratings)
        items = None
        if release.movies:
            items = spark.createDataFrame(pa.Table.from_pandas(read_items(release.movies, CSV), preserve_index=False))
        assert rows is not None
        return Tables(rows, items=items, sets=sets)

    def frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        import pandas as pd

        release, parts = self._find(), []
        for path, layout in self._parts(release):
            raw = lines.read([path], layout, limit)
            if path == release.items:
                parts.append(raw.assign(weight=1.0))
            else:
                ratings = bags.judged_frame(raw)
                parts.append(bags.exploded_frame(ratings if self._trains_on(release) else ratings[ratings["problem"].notna()]))
        return pd.concat([part[self._shown(release)] for part in parts], ignore_index=True).head(limit)

    def items_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        movies = self._find().movies
        return read_items(movies, CSV).head(limit) if movies else super().items_frame(limit)

    def _trains_on(self, release: Files) -> bool:
        """Whether sets are training data."""
        return self.set_ratings == "train" or release.items is None

    def _shown(self, release: Files) -> list[str]:
        """The raw columns; rows have weights only where sets are training data."""
        weight = ["weight"] if self._trains_on(release) else []
        return ["user_id", "item_id", "rating", "timestamp", *weight, "problem", "raw"]

    def _parts(self, release: Files) -> list[tuple[Path, Layout]]:
        """The tables of the release and their layouts; ValueError when one has another header."""
        wanted = ((release.items, HEADER, ("user_id", "item_id", "rating", "timestamp")), (release.sets, bags.HEADER, bags.COLUMNS))
        parts = []
        for path, header, columns in wanted:
            if path:
                first = lines.first_line(path)
                if first.replace(" ", "").lower() != header.lower():
                    raise ValueError(f"{path.name} begins with {first[:80]!r} instead of the header {header}; give the file as released.")
                parts.append((path, Layout(columns, ",", header=first)))
        return parts

    def _names(self) -> set[str]:
        """Names of the files of the release; empty where it does not exist (any more). Extracts nothing."""
        try:
            path = local(self.path, "folder or zip file")
            return names_in(path) if path.is_file() else {p.name for p in _folder(path).iterdir()}
        except (OSError, ValueError):
            return set()

    def _find(self) -> Files:
        path = local(self.path, "folder or zip file")
        if path.is_file():
            if path.suffix.lower() != ".zip":
                raise ValueError(f"{path} is neither a folder nor a .zip file; give the folder that holds {SET_FILE}, or its zip.")
            folder = extracted(path, (ITEM_FILE, SET_FILE, MOVIE_FILE))
        else:
            folder = _folder(path)
        items, sets, movies = (
            local(str(p)) if p.is_file() else None for p in (folder / name for name in (ITEM_FILE, SET_FILE, MOVIE_FILE))
        )
        if not (items or sets):
            raise ValueError(f"{path} holds neither {ITEM_FILE} nor {SET_FILE}; choose the folder or zip of Learning from Sets of Items.")
        return Files(items, sets, _movies(local(self.movies)) if self.movies else movies)


def _folder(path: Path) -> Path:
    """The folder itself, or the only folder in it with the files."""
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder or zip file {path}; check the path.")
    if any((path / name).is_file() for name in (ITEM_FILE, SET_FILE)):
        return path
    inside = [p for p in path.iterdir() if (p / ITEM_FILE).is_file() or (p / SET_FILE).is_file()]
    return inside[0] if len(inside) == 1 else path


def _movies(path: Path) -> Path:
    """The path of movies.csv: given itself, or in a folder, in its only release folder, or in a zip."""
    if path.suffix.lower() == ".zip" and path.is_file():
        path = extracted(path, {MOVIE_FILE})
    places = [path, path / MOVIE_FILE, *sorted(path.glob(f"*/{MOVIE_FILE}"))]
    file = next((p for p in places if p.is_file() and p.suffix.lower() == ".csv"), None)
    if not file:
        raise FileNotFoundError(f"There is no {MOVIE_FILE} at {path}; give the folder of a MovieLens CSV release, such as ml-latest-small.")
    return file


@functools.lru_cache(maxsize=8)
def _untitled(items: tuple[Path, int] | None, sets: tuple[Path, int] | None, movies: tuple[Path, int] | None) -> tuple[int, int]:
    """Number of films without a title, and of all films, in the first ratings; cached while the files do not change."""
    rated: set[str] = set()
    if items:
        rated |= set(lines.read([items[0]], Layout((None, "item_id", None, None), ",", lines.first_line(items[0])), FRAME_LIMIT)["item_id"])
    if sets:
        raw = bags.judged_frame(lines.read([sets[0]], Layout(bags.COLUMNS, ",", lines.first_line(sets[0])), FRAME_LIMIT))
        rated |= set(bags.exploded_frame(raw)["item_id"])
    rated -= {None, ""}
    known = set(read_items(movies[0], CSV)["item_id"]) if movies else set()
    return len(rated - known), len(rated)
