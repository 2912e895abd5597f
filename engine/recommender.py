"""Live recommendations of a finished run for one user. Brings torch: import it where a page first needs it."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import coo_matrix

from engine import datasets, runs
from engine.settings import settings
from workers import checkpoint
from workers.batches import table_columns, to_batch
from workers.evaluate import TIE_SEED, catalogue
from workers.metrics import sort_keys, tie_order, top_items
from workers.modules.matrix import MatrixModel
from workers.modules.ranker import Ranker
from workers.results import CHECKPOINT
from workers.specs import FeatureSchema, MatrixSpec, RunSpec, Task

ROWS = 8192


class Recommender(ABC):
    """A trained model with its catalogue, ready to rank it for a user."""

    def __init__(self, dataset: str, items: pd.DataFrame) -> None:
        self.dataset, self.items = dataset, items
        self._ties = tie_order(len(items), TIE_SEED)

    @abstractmethod
    def scores(self, user_id: str) -> np.ndarray:
        """Scores of the whole catalogue, float32 [N]; of a network the logits. LookupError: no such user in the dataset."""

    def recommend(self, user_id: str, k: int = 10, exclude_seen: bool = True) -> pd.DataFrame:
        """The user's k best items, under the protocol's rules.

        Returns:
            rank (from 1), item_id, title, genres, score, train_positives, liked (held-out and liked: a hit).

        Raises:
            LookupError: no such user in the dataset.
        """
        met = datasets.user_interactions(self.dataset, user_id)
        scores = self.scores(user_id)
        if exclude_seen:
            seen = self.items["item_id"].isin(met.loc[met["split"] == "train", "item_id"])
            scores[seen.to_numpy()] = -np.inf
        top = top_items(sort_keys(scores[None], self._ties), k)[0]
        top = top[np.isfinite(scores[top])]
        liked = met.loc[(met["split"] != "train") & (met["label"] > 0), "item_id"]
        shown: Any = self.items.iloc[top][["item_id", "title", "genres", "train_positives"]].reset_index(drop=True)
        shown.insert(0, "rank", np.arange(1, len(shown) + 1))
        return shown.assign(score=scores[top], liked=shown["item_id"].isin(liked))


class NetworkRecommender(Recommender):
    """A network: what it makes of each item is worked out once."""

    def __init__(self, dataset: str, model: Ranker, schema: FeatureSchema, items: pd.DataFrame) -> None:
        super().__init__(dataset, items)
        self._model, self._schema = model.eval(), schema
        with torch.no_grad():
            parts = [items.iloc[start : start + ROWS] for start in range(0, len(items), ROWS)]
            states = [model.encode_items(to_batch(table_columns(p, schema, "item"), schema, len(p))) for p in parts]
            self._states = torch.cat(states)

    @torch.no_grad()
    def user_state(self, user_id: str) -> np.ndarray:
        """What the model makes of a user, float32 [S]; for a retriever its dot product with an item's state is the logit."""
        user = datasets.user_row(self.dataset, user_id)
        return self._model.encode_users(to_batch(table_columns(user, self._schema, "user"), self._schema, 1))[0].numpy()

    @torch.no_grad()
    def scores(self, user_id: str) -> np.ndarray:
        return self._model.score_grid(torch.from_numpy(self.user_state(user_id))[None], self._states)[0].numpy()


class MatrixRecommender(Recommender):
    """A fitted model: it reads what the user liked in train."""

    def __init__(self, dataset: str, model: MatrixModel, items: pd.DataFrame) -> None:
        super().__init__(dataset, items)
        self._model = model
        self._place = pd.Series(np.arange(len(items)), index=items["item_id"])

    def scores(self, user_id: str) -> np.ndarray:
        datasets.user_row(self.dataset, user_id)
        liked = datasets.user_likes(self.dataset, user_id)
        liked = liked[liked["item_id"].isin(self._place.index)]
        places, weights = self._place[liked["item_id"]].to_numpy(), liked["weight"].to_numpy(np.float32)
        likes = coo_matrix((weights, (np.zeros(len(places), np.int64), places)), (1, len(self.items))).tocsr()
        likes.sort_indices()
        return self._model.scores(likes)[0]


def open_model(run_id: str) -> Recommender:
    """Load a finished run's best checkpoint; LookupError or ValueError say what is missing."""
    run = runs.get_run(run_id)
    if run.kind != "train" or run.state != runs.RunState.FINISHED or run.dataset is None:
        raise ValueError(f"Run {run.title} is {run.state.value}; only finished training runs recommend.")
    dataset = datasets.get_dataset(run.dataset)
    if why := datasets.why_no_ranking(dataset):
        raise ValueError(why)
    folder = checkpoint.best(settings().runs / run_id / CHECKPOINT)
    kept, items = checkpoint.facts(folder), catalogue(dataset.path)
    fitted = RunSpec.model_validate(kept["spec"]).model  # with the settings that tuning chose
    if isinstance(fitted, MatrixSpec):
        matrix = fitted.build()
        matrix.load(checkpoint.load_arrays(folder))
        return MatrixRecommender(dataset.id, matrix, items)
    schema = FeatureSchema.model_validate(kept["schema"])
    model = RunSpec.model_validate(run.spec).network.build(schema, Task.of(dataset.manifest["label"]))
    checkpoint.load_whole(folder, model)
    return NetworkRecommender(dataset.id, model, schema, items)


def overlap(list_a: list[str], list_b: list[str]) -> int:
    """How many items two lists share."""
    return len(set(list_a) & set(list_b))
