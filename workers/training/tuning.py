"""The settings of a matrix model that are left empty, chosen on validation by a search with a budget, as those of networks are."""

import logging
import time
from dataclasses import dataclass

from workers.artifacts import METRICS, VALID
from workers.batches import Likes
from workers.evaluation import evaluate_matrix, users_to_validate
from workers.matrices import MatrixModel
from workers.models import MatrixSpec
from workers.run import RunSpec
from workers.training.trials import Trials

log = logging.getLogger("workers.training.fit")
CHOOSES = ("ndcg_at_10", "auc")


@dataclass
class Tuning(Trials[MatrixModel]):
    """Trials of a model that is fitted to the matrix of likes."""

    likes: Likes  # of everybody, whom lists are made for
    of_share: Likes | None = None  # of the users who are learned from; None: of everybody

    @property
    def learned(self) -> Likes:
        """What models are fitted on."""
        return self.of_share or self.likes

    @property
    def rows(self) -> int:
        return int(self.learned.counts.sum())

    @property
    def chooses(self) -> tuple[str, ...]:
        return CHOOSES

    def _try(self, spec: RunSpec, place: int, total: int) -> tuple[RunSpec, MatrixModel, float, dict[str, float]]:
        assert isinstance(spec.model, MatrixSpec)
        report_progress = self._reporter(place, total)
        report_progress(0.0)
        model, since = spec.model.build(), time.monotonic()
        model.fit(self.learned, spec.train.seed, report_progress)
        fit_s = time.monotonic() - since
        likes, limit = self.likes.matrix, users_to_validate(self.likes.matrix.shape[1])
        journal = self.context.journal
        evaluation = evaluate_matrix(
            model,
            likes,
            self.context.dataset,
            VALID,
            protocol=spec.protocol,
            limit=limit,
            report_progress=lambda done, users: journal.progress("validating", done, users),
        )
        metrics = {name: value for name, value in evaluation.metrics.items() if name in METRICS}
        named = {f"valid_{name}": value for name, value in metrics.items()}
        journal.metrics(named, step=place, epoch=place, rows=place * self.learned.matrix.nnz)
        log.info("%d of %d: %s", place, total, ", ".join(f"{name} {metrics[name]:.4f}" for name in CHOOSES if name in metrics))
        return spec, model, fit_s, metrics
