"""The model of a finished run, opened in one process: people's states, scores of items for them. Letters: U people, N items, S width."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix

from workers.artifacts import CHECKPOINT, FEATURE, FUNNEL, RESULTS, SPEC, PreparedDataset, checked, checkpoint, index
from workers.batches import newest, table_columns, to_batch
from workers.boosting import load as load_trees
from workers.evaluation import best_places, catalogue, tie_order
from workers.matrices import MatrixModel
from workers.models import FunnelSpec, LightGBMSpec, MatrixSpec
from workers.networks import Ranker, tables_on_meta
from workers.run import RunSpec
from workers.specs import HISTORY, TIE_SEED, FeatureSchema

ROWS = 8192  # items encoded at a time
NOTHING = np.zeros(0, np.int64)
State = Any  # a person as the model represents it; opaque to everybody else


class UserItems(NamedTuple):
    """A person's items of train, by place in the catalogue."""

    liked: np.ndarray  # int64 [n]
    weights: np.ndarray  # float32 [n], of the likes
    seen: np.ndarray  # int64 [m], those that are not recommended again
    sequence: np.ndarray = NOTHING  # int64 [s], the likes in order of time, the oldest first, repeats too; empty where no model reads it


class OpenedModel(ABC):
    """A model with its catalogue. An item's place in it is its row - 1."""

    reads_likes: bool = False  # whether it reads `liked` and `weights` of people's items
    reads_order: bool = False  # whether it reads their `sequence`

    def __init__(self, items: pd.DataFrame) -> None:
        self.items = items

    @abstractmethod
    def people(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> list[State]:
        """The states of U people.

        Args:
            frame: their encoded rows, as in users.parquet or ranking/*.parquet. user_items: their items of train.
        """

    @abstractmethod
    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        """Scores that rank, float32: of the whole catalogue [N], or of the items at some places [n]; -inf: never recommended."""

    def grid(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> np.ndarray:
        """Scores of the whole catalogue for many people at once, float32 [U, N]: people as in `people`, scores as in `scores`."""
        return np.stack([self.scores(person) for person in self.people(frame, user_items)])

    def queries(self, people: Sequence[State]) -> np.ndarray | None:
        """Vectors [U, S] whose dot products with `vectors` rank as `scores` does; None for a model without such vectors."""
        return None

    @property
    def vectors(self) -> np.ndarray | None:
        """Vectors of the items, float32 [N, S]; None for a model without such vectors."""
        return None


class OpenedNetwork(OpenedModel):
    """A network: the states of all items are computed once, when it is opened."""

    def __init__(self, items: pd.DataFrame, model: Ranker, schema: FeatureSchema) -> None:
        super().__init__(items)
        self.model, self.schema, self.reads_order = model.eval(), schema, model.order_length > 0
        with torch.no_grad():
            parts = [items.iloc[start : start + ROWS] for start in range(0, len(items), ROWS)]
            states = [model.encode_items(to_batch(table_columns(part, schema, "item"), schema, len(part))) for part in parts]
            self.states = torch.cat(states)

    @torch.no_grad()
    def people(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> list[State]:
        columns, most = table_columns(frame, self.schema, "user"), self.model.order_length
        if most:
            sequences = [one.sequence[-most:] + 1 for one in user_items]
            columns |= newest(np.concatenate([NOTHING, *sequences]), np.array([len(one) for one in sequences], np.int64), most)
        return list(self.model.encode_users(to_batch(columns, self.schema, len(frame))))

    @torch.no_grad()
    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        items = self.states if places is None else self.states[torch.from_numpy(places)]
        return self.model.score_grid(person[None], items)[0].numpy()

    @torch.no_grad()
    def grid(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> np.ndarray:
        return self.model.score_grid(torch.stack(self.people(frame, user_items)), self.states).numpy()

    @torch.no_grad()
    def queries(self, people: Sequence[State]) -> np.ndarray | None:
        return self.model.query(torch.stack(list(people))).numpy() if self.model.by_dot_product else None

    @property
    def vectors(self) -> np.ndarray | None:
        return self.states.numpy() if self.model.by_dot_product else None


class OpenedMatrix(OpenedModel):
    """A fitted model: it knows people by their likes alone."""

    def __init__(self, items: pd.DataFrame, model: MatrixModel) -> None:
        super().__init__(items)
        self.model, self.reads_order, self.reads_likes = model, model.reads_order, not model.reads_order

    def people(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> list[State]:
        return [self.likes([one]) for one in user_items]

    def grid(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> np.ndarray:
        return self.model.scores(self.likes(user_items))

    def likes(self, user_items: Sequence[UserItems]) -> csr_matrix:
        """The likes of people as the model reads them: [U, N], by item, or in order of time."""
        liked = [one.sequence if self.reads_order else one.liked for one in user_items]
        weights = [np.ones(len(one.sequence), np.float32) if self.reads_order else one.weights for one in user_items]
        starts = np.cumsum([0, *map(len, liked)])
        rows = csr_matrix((np.concatenate(weights), np.concatenate(liked), starts), (len(user_items), len(self.items)))
        if not self.reads_order:
            rows.sum_duplicates()
        return rows

    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        scores = self.model.scores(person)[0]
        return scores if places is None else scores[places]

    def queries(self, people: Sequence[State]) -> np.ndarray | None:
        vectors = [self.model.user_vector(person) for person in people]
        return None if any(vector is None for vector in vectors) or not vectors else np.concatenate(vectors)  # type: ignore[arg-type]

    @property
    def vectors(self) -> np.ndarray | None:
        return self.model.item_embeddings()


class Candidates(NamedTuple):
    """A person's candidates, best first: int64 [n] places, and the retriever's scores of them, float32 [n]."""

    places: np.ndarray
    scores: np.ndarray


def blended(first: np.ndarray, second: np.ndarray, weight: float | None) -> np.ndarray:
    """The scores of both stages as one: the ranker's, plus the retriever's times its weight; the retriever's alone where that is None.

    Args:
        first, second: float32 [n], of the retriever and of the ranker.
    """
    if weight is None:
        return first
    return second + np.float32(weight) * first if weight else second


class OpenedFunnel(OpenedModel):
    """A retriever and a ranker as one model: an item that is not retrieved scores -inf.

    Args:
        weight: of the retriever's score, which is added to the ranker's; None: the retriever's score alone orders.
    """

    def __init__(
        self, retriever: OpenedModel, ranker: OpenedModel, vectors: index.Index | None, candidates: int, weight: float | None = 0.0
    ) -> None:
        super().__init__(ranker.items)
        self.retriever, self.ranker, self.index, self.candidates, self.weight = retriever, ranker, vectors, candidates, weight
        self.ties = tie_order(len(self.items), TIE_SEED)
        self.reads_likes, self.reads_order = (retriever.reads_likes or ranker.reads_likes), (retriever.reads_order or ranker.reads_order)

    def people(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> list[State]:
        pairs = zip(self.retriever.people(frame, user_items), self.ranker.people(frame, user_items), user_items, strict=True)
        return [(first, second, one.seen) for first, second, one in pairs]

    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        candidates = self.retrieve(person, self.candidates)
        scores = np.full(len(self.items), -np.inf, np.float32)
        scores[candidates.places] = self.order(person, candidates)
        return scores if places is None else scores[places]

    def order(self, person: State, candidates: Candidates) -> np.ndarray:
        """The scores that order candidates: float32 [n]."""
        if self.weight is None:
            return candidates.scores
        return blended(candidates.scores, np.array(self.ranker.scores(person[1], candidates.places), np.float32), self.weight)

    def retrieve(self, person: State, n: int) -> Candidates:
        """The n best items that the person has not seen, fewer where there are no more."""
        first, _, seen = person
        queries = self.retriever.queries([first]) if self.index is not None else None
        if queries is not None and self.index is not None:
            scores, places = (one[0] for one in self.index.search(queries, n + len(seen)))
            new = np.flatnonzero((places >= 0) & ~np.isin(places, seen))[:n]
            return Candidates(places[new], scores[new])
        scores = np.array(self.retriever.scores(first), np.float32)
        scores[seen] = -np.inf
        places = best_places(scores, self.ties, n)
        places = places[np.isfinite(scores[places])]
        return Candidates(places, scores[places])


def newcomer(schema: FeatureSchema, liked: Sequence[int]) -> pd.DataFrame:
    """The encoded row of a new user who likes some items (rows): ids are unknown, dense features are at their mean."""
    columns: dict[str, list[Any]] = {}
    for feature in schema.on("user"):
        empty: Any = np.zeros(0, np.int32) if feature.multi_valued else 0
        columns[FEATURE + feature.name] = [np.asarray(liked, np.int32) if feature.name == HISTORY else empty]
    for place in schema.dense_on("user"):
        columns[FEATURE + schema.dense[place].name] = [0.0]
    return pd.DataFrame(columns, index=[0])


def open_run(run: Path, dataset: PreparedDataset) -> OpenedModel:
    """The best checkpoint of a finished run; of a funnel, those of its parts.

    Args:
        run: its folder. dataset: the one that it was trained on.

    Raises:
        ValueError: no complete checkpoint, one of another model, or an index or a funnel's order that was changed since.
    """
    funnel = RunSpec.read(run / SPEC).model
    if isinstance(funnel, FunnelSpec):
        parts = [open_run(run.parent / part, dataset) for part in (funnel.retriever, funnel.ranker)]
        vectors = _index(run) or _index(run.parent / funnel.retriever)
        return OpenedFunnel(parts[0], parts[1], vectors, funnel.candidates, _weight(checked(run, f"{RESULTS}/{FUNNEL}")))
    folder = checkpoint.best(run / CHECKPOINT)
    facts, items = checkpoint.facts(folder), catalogue(dataset.folder)
    spec = RunSpec.model_validate(facts["spec"])  # with the settings that tuning or the dataset chose
    if isinstance(spec.model, MatrixSpec):
        matrix = spec.model.build()
        matrix.load(checkpoint.load_arrays(folder))
        return OpenedMatrix(items, matrix)
    if isinstance(spec.model, LightGBMSpec):
        return OpenedNetwork(items, load_trees(folder, spec.model, dataset.schema, dataset.task), dataset.schema)
    with tables_on_meta():  # they stay in the checkpoint's files
        model = spec.network.build(FeatureSchema.model_validate(facts["schema"]), dataset.task)
    checkpoint.load_whole(folder, model)
    return OpenedNetwork(items, model, dataset.schema)


def _index(run: Path) -> index.Index | None:
    """The index of a run's items; None where there is none."""
    for name in (index.FILE, index.FACTS):
        checked(run, f"{RESULTS}/{name}")
    return index.load(run / RESULTS)


def _weight(facts: Path) -> float | None:
    """The weight of the retriever's score in a measured funnel, None where it orders alone; 0 in a funnel that is not measured yet."""
    weight = json.loads(facts.read_text()).get("order", {}).get("weight", 0.0) if facts.is_file() else 0.0
    return None if weight is None else float(weight)
