"""The MovieLens releases: the files that identify them and how those are written."""

from typing import NamedTuple

GENRES_100K = ("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
               "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western")  # fmt: skip
OCCUPATIONS_1M = ("other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
                  "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer", "retired",
                  "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman", "unemployed",
                  "writer")  # fmt: skip


class Release(NamedTuple):
    """How one kind of release is laid out; `users` may be absent where `needed` does not name it."""

    name: str
    ratings: str
    items: str
    users: str | None
    needed: tuple[str, ...]
    separator: str
    header: bool
    encoding: str


CSV = Release("CSV", "ratings.csv", "movies.csv", None, ("ratings.csv", "movies.csv"), ",", True, "utf-8-sig")
RELEASES = (
    Release("100K", "u.data", "u.item", "u.user", ("u.data", "u.item", "u.user"), "\t", False, "latin-1"),
    Release("1M or 10M", "ratings.dat", "movies.dat", "users.dat", ("ratings.dat", "movies.dat"), "::", False, "latin-1"),
    CSV,
)
FILES = {name for r in RELEASES for name in (r.ratings, r.items, r.users) if name} | {"u.info"}
