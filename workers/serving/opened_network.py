"""A network that is open in one process."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from workers.batches import newest, table_columns, to_batch
from workers.networks import Ranker
from workers.serving.opened_model import NOTHING, OpenedModel, State, UserItems
from workers.specs import FeatureSchema

ROWS = 8192  # items encoded at a time


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
