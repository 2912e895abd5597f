"""MovieLens as released: 100K (u.data), 1M and 10M (ratings.dat), and the CSV releases (ratings.csv), distinguished by their files."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.sources.base import FRAME_LIMIT, SourceSpec, Tables
from engine.sources.grouplens import FILES, RELEASES, Release, read_items, read_users
from engine.tables import Layout, extracted, local, names_in
from engine.tables import plain_lines as lines
from workers.prepare import Reading, SourceFeature

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

LOW, HIGH = 0.5, 5.0  # stars
BYTES_A_RATING = 22
HEADER = "userId,movieId,rating,timestamp"
COLUMNS = ("user_id", "item_id", "rating", "timestamp")
USER_FEATURES = (
    *(SourceFeature(name, "user", "single") for name in ("gender", "occupation", "region")),
    SourceFeature("age", "user", "dense"),
)
ITEM_FEATURES = (SourceFeature("genres", "item", "multi"), SourceFeature("year", "item", "dense"))


class MovieLensSource(SourceSpec):
    """A MovieLens release in a local folder or zip file."""

    label: ClassVar[str] = "MovieLens"
    description: ClassVar[str] = "A MovieLens release (100K, 1M, 10M or a CSV release), as a folder or as the zip file downloaded."

    kind: Literal["movielens"] = "movielens"
    path: str = Field(min_length=1, max_length=4096, description="Folder or .zip file of the release, on this machine")

    def check(self) -> None:
        """Find the files and read their heads: quick, whatever their size. Bad rows are set aside later."""
        folder, release = self._find()
        read_items(folder / release.items, release)
        if release.users and (folder / release.users).is_file():
            read_users(folder / release.users, release)
        lines.check_rows(folder / release.ratings, _layout(folder / release.ratings, release))
        _whole(folder, release)

    def fingerprint(self) -> str:
        folder, release = self._find()
        named = [folder / name for name in (release.ratings, release.items, release.users) if name]
        return lines.fingerprint([path for path in named if path.is_file()])

    def size_hint(self) -> int:
        folder, release = self._find()
        return (folder / release.ratings).stat().st_size // BYTES_A_RATING

    def reading(self) -> Reading:
        return Reading(low=LOW, high=HIGH, time="s")

    def features(self) -> tuple[SourceFeature, ...]:
        return (*USER_FEATURES, *ITEM_FEATURES) if self._has_users() else ITEM_FEATURES

    def notes(self) -> tuple[str, ...]:
        return () if self._has_users() else ("This release has no features of users: models know only their id and history.",)

    def load(self, spark: "SparkSession") -> Tables:
        import pyarrow as pa

        folder, release = self._find()
        _whole(folder, release)
        rows = lines.load(spark, [folder / release.ratings], _layout(folder / release.ratings, release))
        items = spark.createDataFrame(pa.Table.from_pandas(read_items(folder / release.items, release), preserve_index=False))
        users = None
        if release.users and (folder / release.users).is_file():
            users = spark.createDataFrame(pa.Table.from_pandas(read_users(folder / release.users, release), preserve_index=False))
        return Tables(rows, users, items)

    def frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        folder, release = self._find()
        return lines.read([folder / release.ratings], _layout(folder / release.ratings, release), limit)

    def items_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        folder, release = self._find()
        return read_items(folder / release.items, release).head(limit)

    def users_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        folder, release = self._find()
        if not (release.users and (folder / release.users).is_file()):
            return super().users_frame(limit)
        return read_users(folder / release.users, release).head(limit)

    def _find(self) -> tuple[Path, Release]:
        """The folder with the files (a zip is extracted to the workspace) and the release they belong to."""
        path = local(self.path, "folder or zip file")
        if path.is_file():
            if path.suffix.lower() != ".zip":
                raise ValueError(f"{path} is neither a folder nor a .zip file; give the MovieLens folder or its zip.")
            return _recognise(extracted(path, FILES), path)
        if not path.is_dir():
            raise FileNotFoundError(f"There is no folder or zip file {path}; check the path.")
        inside = [path, *sorted(p for p in path.iterdir() if p.is_dir() and any((p / r.ratings).is_file() for r in RELEASES))]
        own = any((path / r.ratings).is_file() or (path / r.items).is_file() for r in RELEASES)
        return _recognise(path if own or len(inside) != 2 else inside[1], path)

    def _has_users(self) -> bool:
        """Whether there is a table of users; True where the release does not exist (any more). Extracts nothing."""
        try:
            path = local(self.path, "folder or zip file")
            if path.is_file():
                return bool(names_in(path) & {"u.user", "users.dat"})
            folder, release = self._find()
            return release.users is not None and (folder / release.users).is_file()
        except (OSError, ValueError):
            return True


def _recognise(folder: Path, shown: Path) -> tuple[Path, Release]:
    for release in RELEASES:
        present = [name for name in release.needed if (folder / name).is_file()]
        if len(present) == len(release.needed):
            for name in (*present, release.users or present[0]):
                if (folder / name).is_file():
                    local(str(folder / name))  # a link may lead out of the folders that may be read
            return folder, release
        if present:
            missing = " and ".join(name for name in release.needed if name not in present)
            raise FileNotFoundError(f"{shown} has {present[0]} of a MovieLens {release.name} release but not {missing}; add it.")
    looked = ", ".join(f"{' + '.join(r.needed)} ({r.name})" for r in RELEASES)
    raise ValueError(f"{shown} is not a MovieLens folder: looked for {looked}. Choose the folder that holds these files.")


def _layout(path: Path, release: Release) -> Layout:
    """The layout of the ratings; ValueError when the file does not begin like this release."""
    first = lines.first_line(path)
    if not release.header:
        return Layout(COLUMNS, release.separator)
    if first.replace(" ", "").lower() != HEADER.lower():
        raise ValueError(f"{path.name} begins with {first[:80]!r} instead of the header {HEADER}; this is not a MovieLens release.")
    return Layout(COLUMNS, release.separator, header=first)


def _whole(folder: Path, release: Release) -> None:
    """Compare the number of ratings with u.info, where there is one."""
    info = folder / "u.info"
    if release.ratings != "u.data" or not info.is_file():
        return
    entries = [line.split() for line in info.read_text(encoding="latin-1").splitlines()]
    expected = next((int(words[0]) for words in entries if words[1:] == ["ratings"] and words[0].isdigit()), None)
    with (folder / release.ratings).open("rb") as file:
        count = sum(1 for line in file if line.strip())
    if expected is not None and count < expected:
        raise ValueError(
            f"{release.ratings} is truncated: it has {count:,} ratings where u.info says {expected:,}; copy the release again."
        )
