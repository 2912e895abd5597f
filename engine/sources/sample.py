"""Sample ratings: generated users and films with planted preferences, so that the first run needs no download.

Which films a user picks and how they rate them both follow from preferences over genres and hidden factors, on top of long-tailed
popularity. Preferences depend on age, gender and occupation, so that features of users are informative too.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from engine.sources.base import FRAME_LIMIT, SourceSpec, Tables
from workers.prepare import Reading, SourceFeature

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import SparkSession

VERSION = 1  # increase it when the same spec gives other ratings
FIRST_DAY, SPAN_S = 1_640_995_200, 730 * 86_400  # two years from 2022-01-01
CHUNK_CELLS = 4_000_000  # users x items scored at a time
FACTORS, LATEST_YEAR = 8, 2021
GENRES = ("Action", "Adventure", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Horror", "Musical", "Mystery",
          "Romance", "Sci-Fi", "Thriller", "War", "Western")  # fmt: skip
GENRE_SHARE = np.array([11, 7, 4, 15, 7, 4, 18, 4, 6, 2, 4, 9, 7, 8, 3, 2], float)
OCCUPATIONS = ("artist", "doctor", "educator", "engineer", "farmer", "lawyer", "librarian", "retired", "sales", "student", "technician",
               "writer")  # fmt: skip
GENDERS = ("F", "M")
FIRST = ("Silent", "Crimson", "Last", "Broken", "Golden", "Hidden", "Distant", "Burning", "Second", "Paper", "Winter", "Electric",
         "Lonely", "Velvet", "Northern", "Forgotten", "Glass", "Midnight", "Wild", "Quiet", "Iron", "Summer", "Hollow", "Blue",
         "Restless", "Stolen", "Endless", "Salt", "Scarlet", "Tender")  # fmt: skip
SECOND = {
    "Action": ("Strike", "Pursuit", "Vendetta", "Convoy", "Firewall", "Vanguard"),
    "Adventure": ("Expedition", "Compass", "Island", "Voyage", "Summit", "Caravan"),
    "Animation": ("Lantern", "Kite", "Puppet", "Acorn", "Whale", "Moonbeam"),
    "Comedy": ("Holiday", "Wedding", "Neighbours", "Roommates", "Reunion", "Detour"),
    "Crime": ("Heist", "Alibi", "Syndicate", "Ledger", "Witness", "Racket"),
    "Documentary": ("Harvest", "Archive", "Glacier", "Orchestra", "Border", "Factory"),
    "Drama": ("Daughter", "Inheritance", "Letters", "Orchard", "Silence", "Promise"),
    "Fantasy": ("Kingdom", "Dragon", "Oracle", "Spell", "Throne", "Tower"),
    "Horror": ("Cellar", "Asylum", "Ritual", "Whisper", "Shadow", "Grave"),
    "Musical": ("Chorus", "Ballad", "Encore", "Serenade", "Footlights", "Melody"),
    "Mystery": ("Cipher", "Manor", "Portrait", "Secret", "Garden", "Stranger"),
    "Romance": ("Affair", "Kiss", "Valentine", "Rendezvous", "Sonata", "Season"),
    "Sci-Fi": ("Orbit", "Signal", "Colony", "Android", "Horizon", "Eclipse"),
    "Thriller": ("Deadline", "Conspiracy", "Hostage", "Passenger", "Threshold", "Motive"),
    "War": ("Regiment", "Trench", "Armistice", "Convoy", "Brigade", "Siege"),
    "Western": ("Canyon", "Sheriff", "Frontier", "Stagecoach", "Mesa", "Outlaw"),
}  # fmt: skip

FEATURES = (
    SourceFeature("gender", "user", "single"),
    SourceFeature("occupation", "user", "single"),
    SourceFeature("age", "user", "dense"),
    SourceFeature("genres", "item", "multi"),
    SourceFeature("year", "item", "dense"),
)


class SampleSource(SourceSpec):
    """Ratings of generated users for generated films, the same for the same seed."""

    label: ClassVar[str] = "Sample ratings"
    description: ClassVar[str] = "Generated from planted preferences, with titles, genres and features of users; nothing to download."

    kind: Literal["sample"] = "sample"
    users: int = Field(1000, ge=20, le=5_000_000, description="Number of users")
    items: int = Field(600, ge=20, le=200_000, description="Number of films")
    interactions: int = Field(60_000, ge=500, le=500_000_000, description="Ratings of all users, spread over two years")
    seed: int = Field(7, ge=0, lt=2**31, description="Another seed generates other data")

    @model_validator(mode="after")
    def _room_for_all(self) -> "SampleSource":
        low, high = 5 * self.users, self.users * self.items // 3
        if not low <= self.interactions <= high:
            raise ValueError(
                f"interactions is {self.interactions:,}; {self.users:,} users and {self.items:,} items allow {low:,} to {high:,} "
                "(at least 5 per user, at most a third of all pairs)."
            )
        return self

    def fingerprint(self) -> str:
        return hashlib.sha256(f"sample {VERSION} {self.model_dump_json()}".encode()).hexdigest()

    def size_hint(self) -> int:
        return self.interactions

    def reading(self) -> Reading:
        return Reading(low=1, high=5)

    def features(self) -> tuple[SourceFeature, ...]:
        return FEATURES

    def notes(self) -> tuple[str, ...]:
        return ("Generated users and films: good for learning the workbench and for testing models, not for conclusions.",)

    def frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        import pandas as pd

        parts, rows = [], 0
        for chunk in range(num_chunks(self)):
            parts.append(pd.DataFrame(rate(self, chunk)))
            rows += len(parts[-1])
            if rows >= limit:
                break
        return pd.concat(parts, ignore_index=True).head(limit)

    def items_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        import pandas as pd

        return pd.DataFrame(_items_table(self)).head(limit)

    def users_frame(self, limit: int = FRAME_LIMIT) -> "pd.DataFrame":
        import pandas as pd

        return pd.DataFrame(_users_table(self)).head(limit)

    def load(self, spark: "SparkSession") -> Tables:
        import pyarrow as pa

        chunks = num_chunks(self)
        rows = spark.range(0, chunks, 1, min(chunks, 4096)).mapInArrow(
            _Rater(self.model_dump()), "user_id string, item_id string, rating double, timestamp long"
        )
        users, items = (spark.createDataFrame(pa.table(t)) for t in (_users_table(self), _items_table(self)))
        return Tables(rows, users, items)


class _Rater:
    """Rates chunks of users on an executor."""

    def __init__(self, spec: dict[str, object]) -> None:
        self.spec = spec

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        spec = SampleSource.model_validate(self.spec)
        for batch in batches:
            for chunk in batch.column(0).to_pylist():
                yield pa.RecordBatch.from_pydict(rate(spec, chunk))


class World(NamedTuple):
    """Everything but the ratings. U users, I items, G genres, F hidden factors."""

    gender: np.ndarray  # [U] index into GENDERS
    occupation: np.ndarray  # [U] index into OCCUPATIONS
    age: np.ndarray  # [U] years
    tastes: np.ndarray  # [U, G + F]
    counts: np.ndarray  # [U] ratings of each user
    starts: np.ndarray  # [U] first second of a user's activity, from 0 to SPAN_S
    genres: np.ndarray  # [I, G] bool
    traits: np.ndarray  # [I, G + F]
    fame: np.ndarray  # [I] log weight of being picked
    quality: np.ndarray  # [I] stars above or below the mean
    years: np.ndarray  # [I]


@lru_cache(maxsize=2)
def world(spec: SampleSource) -> World:
    """The users and the films of a spec; the same on every machine."""
    rng = np.random.default_rng([spec.seed, VERSION])
    num_users, num_items, num_genres = spec.users, spec.items, len(GENRES)
    gender, occupation = rng.integers(0, 2, num_users), rng.integers(0, len(OCCUPATIONS), num_users)
    age = np.clip(rng.gamma(6.0, 5.5, num_users) + 10, 12, 85).astype(int)
    by_gender, by_occupation = rng.normal(0, 0.5, (2, num_genres)), rng.normal(0, 0.5, (len(OCCUPATIONS), num_genres))
    by_age = np.outer((age - age.mean()) / age.std(), rng.normal(0, 0.4, num_genres))
    likes = rng.normal(0, 0.9, (num_users, num_genres)) + by_gender[gender] + by_occupation[occupation] + by_age
    hidden = rng.normal(0, 1.0, (num_users, FACTORS))
    genres = _draw_genres(rng, num_items)
    weights = genres / np.sqrt(genres.sum(axis=1, keepdims=True))
    quality = rng.normal(0, 0.35, num_items)
    fame = -1.0 * np.log(rng.permutation(num_items) + 6.0) + 0.6 * quality
    years = LATEST_YEAR - np.minimum(rng.gamma(1.3, 14.0, num_items).astype(int), 80)
    return World(
        gender=gender,
        occupation=occupation,
        age=age,
        tastes=np.concatenate([likes, hidden], axis=1).astype(np.float32),
        counts=_activity(rng, spec),
        starts=rng.uniform(0, 0.85, num_users) * SPAN_S,
        genres=genres,
        traits=np.concatenate([weights, rng.normal(0, 0.42, (num_items, FACTORS))], axis=1).astype(np.float32),
        fame=fame.astype(np.float32),
        quality=quality,
        years=years,
    )


def _draw_genres(rng: np.random.Generator, num_items: int) -> np.ndarray:
    """One to three genres per item, bool [I, G]."""
    share = np.log(GENRE_SHARE / GENRE_SHARE.sum())
    order = np.argsort(-(share + rng.gumbel(size=(num_items, len(GENRES)))), axis=1)
    wanted = rng.choice([1, 2, 3], num_items, p=[0.4, 0.4, 0.2])
    genres = np.zeros((num_items, len(GENRES)), bool)
    for place in range(3):
        rows = np.flatnonzero(wanted > place)
        genres[rows, order[rows, place]] = True
    return genres


def _activity(rng: np.random.Generator, spec: SampleSource) -> np.ndarray:
    """Ratings of each user: a long tail between 5 and half of the items, `interactions` in total."""
    low, high = 5, spec.items // 2
    wish = rng.lognormal(0, 0.9, spec.users)
    counts = np.clip(np.floor(low + wish / wish.sum() * (spec.interactions - low * spec.users)), low, high).astype(int)
    while (short := spec.interactions - counts.sum()) > 0:  # distribute the remainder of clipping and rounding
        room = np.flatnonzero(counts < high)
        extra = rng.choice(room, min(short, len(room)), replace=False)
        counts[extra] += 1
    return counts


def users_per_chunk(spec: SampleSource) -> int:
    return max(1, min(spec.users, CHUNK_CELLS // spec.items))


def num_chunks(spec: SampleSource) -> int:
    """Ratings are generated in this many independent parts, each of some users."""
    return -(-spec.users // users_per_chunk(spec))


def rate(spec: SampleSource, chunk: int) -> dict[str, np.ndarray]:
    """The interactions of one chunk of users as columns, each user's in no particular order."""
    w, size = world(spec), users_per_chunk(spec)
    users = np.arange(chunk * size, min((chunk + 1) * size, spec.users))
    rng = np.random.default_rng([spec.seed, VERSION, chunk])
    affinity = w.tastes[users] @ w.traits.T
    picked = np.argsort(-(w.fame + 1.1 * affinity + rng.gumbel(size=affinity.shape).astype(np.float32)), axis=1)
    counts = w.counts[users]
    among_first = np.arange(spec.items) < counts[:, None]
    items, rows = picked[among_first], np.repeat(np.arange(len(users)), counts)
    mood = rng.normal(0, 0.3, len(users))
    stars = 2.85 + w.quality[items] + mood[rows] + 0.42 * affinity[rows, items] + rng.normal(0, 0.7, len(rows))
    return {
        "user_id": (users[rows] + 1).astype(str).astype(object),
        "item_id": (items + 1).astype(str).astype(object),
        "rating": np.clip(np.rint(stars), 1, 5),
        "timestamp": _times(rng, w.starts[users], counts),
    }


def _times(rng: np.random.Generator, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Unix seconds, int64: each user returns for evening-long sessions until the two years are over."""
    rows = np.repeat(np.arange(len(counts)), counts)
    sessions = np.maximum(2, counts // 6)
    session = np.minimum((rng.random(len(rows)) * sessions[rows]).astype(int), sessions[rows] - 1)
    first = np.cumsum(sessions) - sessions
    opens = rng.random(sessions.sum())[first[rows] + session]
    moments = starts[rows] + opens * (SPAN_S - 10_800 - starts[rows]) + rng.uniform(0, 10_800, len(rows))
    return (FIRST_DAY + moments).astype(np.int64)


def _users_table(spec: SampleSource) -> dict[str, object]:
    w = world(spec)
    return {
        "user_id": [str(n + 1) for n in range(spec.users)],
        "age": w.age.astype(np.float64),
        "gender": [GENDERS[k] for k in w.gender],
        "occupation": [OCCUPATIONS[k] for k in w.occupation],
    }


def _items_table(spec: SampleSource) -> dict[str, object]:
    w = world(spec)
    names = [[GENRES[k] for k in np.flatnonzero(row)] for row in w.genres]
    return {
        "item_id": [str(n + 1) for n in range(spec.items)],
        "title": _titles(spec, names),
        "genres": ["|".join(genres) for genres in names],
        "year": w.years.astype(np.float64),
    }


def _titles(spec: SampleSource, genres: list[list[str]]) -> list[str]:
    """A title per item that suits one of its genres; a repeated name gets a number, like a sequel."""
    rng = np.random.default_rng([spec.seed, VERSION, 1, 1])
    uses: dict[str, int] = {}
    titles = []
    for item, year in enumerate(world(spec).years):
        words = SECOND[str(rng.choice(genres[item]))]
        first, second = FIRST[rng.integers(len(FIRST))], words[rng.integers(len(words))]
        name = f"The {first} {second}" if rng.random() < 0.6 else f"{first} {second}"
        uses[name] = uses.get(name, 0) + 1
        titles.append(f"{name} {uses[name]} ({year})" if uses[name] > 1 else f"{name} ({year})")
    return titles
