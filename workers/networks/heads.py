"""The meaning of logits: the loss of each kind of output, and the one score that ranks. Letters: B batch, O outputs.

Outputs: binary (one logit), regression (the value itself), multi-class (a logit a class), several actions (a logit an action).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.specs import Task


class Head(nn.Module):
    """Has no weights of its own. The score that ranks is the sum of the logits weighted by `preference` [O], so that towers can be indexed.

    Multi-class: mean logit of the liked classes minus that of the others. Actions: the weighted mean of their logits.

    Args:
        action_weights: of each action, in the order of `task.classes`; empty: 1 each in the loss, and those that count as liked rank.
    """

    preference: Tensor
    weights: Tensor

    def __init__(self, task: Task, action_weights: tuple[float, ...] = ()) -> None:
        super().__init__()
        self.output, self.outputs = task.output, task.outputs
        weights = torch.tensor(action_weights) if action_weights else torch.ones(self.outputs)
        preference = torch.ones(1)
        if task.output == "multi_class":
            liked = torch.tensor([name in (task.liked or task.classes[-1:]) for name in task.classes])
            preference = liked / liked.sum().clamp(min=1) - ~liked / (~liked).sum().clamp(min=1)
        elif task.output == "actions":
            counts = weights if action_weights else torch.tensor([float(name in (task.liked or task.classes)) for name in task.classes])
            preference = counts / counts.sum()
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("preference", preference, persistent=False)

    def score(self, logits: Tensor) -> Tensor:
        """The score that ranks, of logits [..., O]: [...]."""
        return logits[..., 0] if self.outputs == 1 else logits @ self.preference

    def losses(self, logits: Tensor, label: Tensor, target: Tensor) -> Tensor:
        """The loss of each row [B]: cross entropy, or the squared error.

        Args:
            logits: [B, O]. label: [B], 0 or 1.
            target: [B] the value, or the place of the class; [B, O] 0 or 1 for each action. Not read where the output is binary.
        """
        if self.output == "regression":
            return (logits[:, 0] - target) ** 2
        if self.output == "multi_class":
            return F.cross_entropy(logits, target.long(), reduction="none")
        if self.output == "actions":
            each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
            return each @ self.weights / self.weights.sum()
        return F.binary_cross_entropy_with_logits(logits[:, 0], label, reduction="none")
