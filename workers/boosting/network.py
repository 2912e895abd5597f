"""Trees as a network: states of users and items in, scores of pairs out, so that they are measured and served as networks are.

Letters: B rows, U users, N items, O outputs, S width of a state.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from workers.boosting.features import Features
from workers.models import LightGBMSpec
from workers.networks import Batch, Head, Ranker
from workers.specs import BINARY, Task

if TYPE_CHECKING:
    import lightgbm

AT_ONCE = 1 << 16  # pairs that are scored at a time


class BoostedRanker(Ranker):
    """Has no weights that PyTorch knows. States are float64, since they hold rows of items. trees: those that count, the first so many."""

    def __init__(self, spec: LightGBMSpec, task: Task, features: Features, booster: "lightgbm.Booster", trees: int) -> None:
        super().__init__()
        self.features, self.booster, self.trees = features, booster, trees
        self.head = Head(task if spec.predicts_label else BINARY)

    def encode_users(self, batch: Batch) -> Tensor:
        return torch.from_numpy(self.features.users(batch))

    def encode_items(self, batch: Batch) -> Tensor:
        return torch.from_numpy(self.features.items(batch))

    def forward(self, batch: Batch) -> Tensor:
        return self.score(self.encode_users(batch), self.encode_items(batch))

    def score(self, users: Tensor, items: Tensor) -> Tensor:
        return self._logits(self.features.matrix(users.numpy(), items.numpy()))

    def score_grid(self, users: Tensor, items: Tensor) -> Tensor:
        states, found, some = items.numpy(), [items.new_zeros(0)], max(1, AT_ONCE // max(1, len(items)))
        for people in _chunks(users.numpy(), some):
            rows = np.concatenate([self.features.grid(one, states) for one in people])
            found.append(self.head.score(self._logits(rows)))
        return torch.cat(found).view(len(users), len(items)).float()

    @property
    def leaves(self) -> int:
        """Of all trees that count."""
        trees = self.booster.dump_model(num_iteration=self.trees)["tree_info"]
        return sum(int(tree["num_leaves"]) for tree in trees)

    def _logits(self, rows: np.ndarray) -> Tensor:
        """[B, O] of the numbers of pairs [B, F]."""
        if not len(rows):
            return torch.zeros(0, self.head.outputs)
        parts = [
            np.asarray(
                self.booster.predict(
                    rows[start : start + AT_ONCE], raw_score=True, num_iteration=self.trees, num_threads=torch.get_num_threads()
                )
            )
            for start in range(0, len(rows), AT_ONCE)
        ]
        return torch.from_numpy(np.concatenate(parts).astype(np.float32).reshape(len(rows), -1))


def _chunks(users: np.ndarray, size: int) -> list[np.ndarray]:
    return [users[start : start + size] for start in range(0, len(users), size)]


def importance(model: BoostedRanker) -> list[dict[str, float | str]]:
    """The share of each feature in the gain of all splits, the largest first; those that no tree uses are left out."""
    gains = model.booster.feature_importance("gain", iteration=model.trees)
    total = max(float(gains.sum()), 1e-12)
    order = np.argsort(-gains, kind="stable")
    return [{"feature": model.features.names[at], "share": float(gains[at] / total)} for at in order if gains[at] > 0]
