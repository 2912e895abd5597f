"""A finished run's model, opened in one process: states of people, scores of items for them. Letters: U people, N items, S width."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.sparse import coo_matrix

from workers.artifacts import CHECKPOINT, FEATURE, FUNNEL, RESULTS, SPEC, PreparedDataset, checkpoint, index
from workers.batches import table_columns, to_batch
from workers.evaluation import best_places, catalogue, tie_order
from workers.matrices import MatrixModel
from workers.models import FunnelSpec, MatrixSpec
from workers.networks import Ranker, TwoTower
from workers.run import RunSpec
from workers.specs import HISTORY, TIE_SEED, FeatureSchema

ROWS = 8192  # items encoded at a time
State = Any  # what a model makes of a person; opaque to everybody else


class Met(NamedTuple):
    """What a person met in train, as places of items: int64 [n] liked, with float32 [n] weights; int64 [m] all that is not shown again."""

    liked: np.ndarray
    weights: np.ndarray
    seen: np.ndarray


class OpenedModel(ABC):
    """A model with its catalogue. Items are named by their place: row - 1."""

    def __init__(self, items: pd.DataFrame) -> None:
        self.items = items

    @abstractmethod
    def people(self, frame: pd.DataFrame, met: Sequence[Met]) -> list[State]:
        """What the model makes of people: U encoded rows as in users.parquet or ranking/*.parquet, and what each met."""

    @abstractmethod
    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        """Scores that rank, float32: of the whole catalogue [N], or of the items at some places [n]; -inf for what is never shown."""

    def grid(self, frame: pd.DataFrame, met: Sequence[Met]) -> np.ndarray:
        """Scores of the whole catalogue for many people at once, float32 [U, N]: people as in `people`, scores as in `scores`."""
        return np.stack([self.scores(person) for person in self.people(frame, met)])

    def queries(self, people: Sequence[State]) -> np.ndarray | None:
        """Vectors [U, S] whose dot products with `vectors` rank as `scores` does; None of a model that has no such space."""
        return None

    @property
    def vectors(self) -> np.ndarray | None:
        """Vectors of the items, float32 [N, S]; None of a model that has no such space."""
        return None


class OpenedNetwork(OpenedModel):
    """A network: what it makes of each item is worked out once, when it is opened."""

    def __init__(self, items: pd.DataFrame, model: Ranker, schema: FeatureSchema) -> None:
        super().__init__(items)
        self.model, self.schema = model.eval(), schema
        with torch.no_grad():
            parts = [items.iloc[start : start + ROWS] for start in range(0, len(items), ROWS)]
            states = [model.encode_items(to_batch(table_columns(part, schema, "item"), schema, len(part))) for part in parts]
            self.states = torch.cat(states)

    @torch.no_grad()
    def people(self, frame: pd.DataFrame, met: Sequence[Met]) -> list[State]:
        return list(self.model.encode_users(to_batch(table_columns(frame, self.schema, "user"), self.schema, len(frame))))

    @torch.no_grad()
    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        items = self.states if places is None else self.states[torch.from_numpy(places)]
        return self.model.score_grid(person[None], items)[0].numpy()

    @torch.no_grad()
    def grid(self, frame: pd.DataFrame, met: Sequence[Met]) -> np.ndarray:
        return self.model.score_grid(torch.stack(self.people(frame, met)), self.states).numpy()

    @torch.no_grad()
    def queries(self, people: Sequence[State]) -> np.ndarray | None:
        return self.model.query(torch.stack(list(people))).numpy() if isinstance(self.model, TwoTower) else None

    @property
    def vectors(self) -> np.ndarray | None:
        return self.states.numpy() if isinstance(self.model, TwoTower) else None


class OpenedMatrix(OpenedModel):
    """A fitted model: all that it knows of people is what they liked."""

    def __init__(self, items: pd.DataFrame, model: MatrixModel) -> None:
        super().__init__(items)
        self.model = model

    def people(self, frame: pd.DataFrame, met: Sequence[Met]) -> list[State]:
        return [self._row(one.liked, one.weights) for one in met]

    def grid(self, frame: pd.DataFrame, met: Sequence[Met]) -> np.ndarray:
        owner = np.repeat(np.arange(len(met)), [len(one.liked) for one in met])
        liked, weights = (np.concatenate(column) for column in zip(*((one.liked, one.weights) for one in met), strict=True))
        rows = coo_matrix((weights, (owner, liked)), (len(met), len(self.items))).tocsr()
        rows.sort_indices()
        return self.model.scores(rows)

    def _row(self, places: np.ndarray, weights: np.ndarray) -> Any:
        row = coo_matrix((weights, (np.zeros(len(places), np.int64), places)), (1, len(self.items))).tocsr()
        row.sort_indices()
        return row

    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        found = self.model.scores(person)[0]
        return found if places is None else found[places]

    def queries(self, people: Sequence[State]) -> np.ndarray | None:
        found = [self.model.user_vector(person) for person in people]
        return None if any(vector is None for vector in found) or not found else np.concatenate(found)  # type: ignore[arg-type]

    @property
    def vectors(self) -> np.ndarray | None:
        return self.model.item_embeddings()


class Retrieved(NamedTuple):
    """A person's candidates, best first: int64 [n] places, and the retriever's scores of them, float32 [n]."""

    places: np.ndarray
    scores: np.ndarray


class OpenedFunnel(OpenedModel):
    """A retriever and a ranker that answer as one model: what is not retrieved scores -inf.

    Args:
        weight: of the retriever's score, which is added to the ranker's.
    """

    def __init__(
        self, retriever: OpenedModel, ranker: OpenedModel, found: index.Index | None, candidates: int, weight: float = 0.0
    ) -> None:
        super().__init__(ranker.items)
        self.retriever, self.ranker, self.index, self.candidates, self.weight = retriever, ranker, found, candidates, weight
        self.ties = tie_order(len(self.items), TIE_SEED)

    def people(self, frame: pd.DataFrame, met: Sequence[Met]) -> list[State]:
        pairs = zip(self.retriever.people(frame, met), self.ranker.people(frame, met), met, strict=True)
        return [(first, second, one.seen) for first, second, one in pairs]

    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        kept = self.retrieve(person, self.candidates)
        found = np.full(len(self.items), -np.inf, np.float32)
        found[kept.places] = self.order(person, kept)
        return found if places is None else found[places]

    def order(self, person: State, kept: Retrieved) -> np.ndarray:
        """The scores that order candidates: float32 [n]."""
        scores = np.array(self.ranker.scores(person[1], kept.places), np.float32)
        return scores + np.float32(self.weight) * kept.scores if self.weight else scores

    def retrieve(self, person: State, n: int) -> Retrieved:
        """The n best items that the person has not met, fewer where there are no more."""
        first, _, seen = person
        queries = self.retriever.queries([first]) if self.index is not None else None
        if queries is not None and self.index is not None:
            scores, found = (one[0] for one in self.index.search(queries, n + len(seen)))
            new = np.flatnonzero((found >= 0) & ~np.isin(found, seen))[:n]
            return Retrieved(found[new], scores[new])
        scores = np.array(self.retriever.scores(first), np.float32)
        scores[seen] = -np.inf
        found = best_places(scores, self.ties, n)
        found = found[np.isfinite(scores[found])]
        return Retrieved(found, scores[found])


def newcomer(schema: FeatureSchema, liked: Sequence[int]) -> pd.DataFrame:
    """The encoded row of a person of whom nothing is known but some liked items (rows): ids unknown, dense features at their mean."""
    found: dict[str, list[Any]] = {}
    for feature in schema.on("user"):
        empty: Any = np.zeros(0, np.int32) if feature.multi_valued else 0
        found[FEATURE + feature.name] = [np.asarray(liked, np.int32) if feature.name == HISTORY else empty]
    for place in schema.dense_on("user"):
        found[FEATURE + schema.dense[place].name] = [0.0]
    return pd.DataFrame(found, index=[0])


def open_run(run: Path, dataset: PreparedDataset) -> OpenedModel:
    """The best checkpoint of a finished run; of a funnel, those of its parts.

    Args:
        run: its folder. dataset: the one that it was trained on.

    Raises:
        ValueError: no complete checkpoint, or one of another model.
    """
    funnel = RunSpec.read(run / SPEC).model
    if isinstance(funnel, FunnelSpec):
        parts = [open_run(run.parent / part, dataset) for part in (funnel.retriever, funnel.ranker)]
        vectors = index.load(run / RESULTS) or index.load(run.parent / funnel.retriever / RESULTS)
        return OpenedFunnel(parts[0], parts[1], vectors, funnel.candidates, _weight(run / RESULTS / FUNNEL))
    folder = checkpoint.best(run / CHECKPOINT)
    kept, items = checkpoint.facts(folder), catalogue(dataset.folder)
    spec = RunSpec.model_validate(kept["spec"])  # with the settings that tuning or the dataset chose
    if isinstance(spec.model, MatrixSpec):
        matrix = spec.model.build()
        matrix.load(checkpoint.load_arrays(folder))
        return OpenedMatrix(items, matrix)
    model = spec.network.build(FeatureSchema.model_validate(kept["schema"]), dataset.task)
    checkpoint.load_whole(folder, model)
    return OpenedNetwork(items, model, dataset.schema)


def _weight(told: Path) -> float:
    """Of the retriever's score in a measured funnel's order; none in a funnel of which nothing is told."""
    return float(json.loads(told.read_text()).get("order", {}).get("weight", 0.0)) if told.is_file() else 0.0
