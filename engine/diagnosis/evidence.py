"""What a finished two-tower left that says how it learned: settings, curves, lists, vectors, and the dataset's counts."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine import datasets, runs
from engine.runs import Run
from workers.artifacts import BASELINES, ITEM_EMBEDDINGS, METRICS, TOP_K
from workers.evaluation import DEFAULT, Floats
from workers.models import TwoTowerSpec
from workers.run import RunSpec
from workers.specs import FeatureSchema, Task, TrainSpec

if TYPE_CHECKING:
    import pandas as pd

LISTED = 10  # items of a list that are looked at


class Evidence(NamedTuple):
    """A finished run of a two-tower, as far as its files are here."""

    spec: RunSpec  # with the settings that its search or the dataset chose
    model: TwoTowerSpec
    train: TrainSpec
    schema: FeatureSchema
    counts: dict[str, Any]  # of the dataset's manifest
    label: dict[str, Any]  # the rule
    users: int  # ranked for on test
    ndcg: float  # NDCG@10 on test; nan where nothing was ranked
    popularity: float | None  # of the most popular items
    losses: Floats  # mean training loss of each epoch
    valid: Floats  # of each epoch, by the metric that picks it, more being better
    metric: str  # that one
    epochs: int  # planned
    shared: float  # share of a list that the most popular unseen items have too, mean over users; nan without lists
    alike: float  # mean cosine between items' vectors; nan without vectors
    alarms: tuple[str, ...]

    @property
    def best_epoch(self) -> int:
        return int(np.nanargmax(self.valid)) + 1 if np.isfinite(self.valid).any() else 1

    @property
    def candidates(self) -> int:
        """Items that the softmax chooses among: those of the rows of all ranks, and those that are drawn."""
        return (self.train.batch_size + self.model.uniform_negatives) * self.train.processes


def evidence_of(run: Run, model: TwoTowerSpec) -> Evidence:
    """Read the evidence of a finished run of a two-tower.

    Raises:
        LookupError: its dataset is gone. ValueError: its results were changed since.
    """
    dataset, done, spec = datasets.get_dataset(run.dataset or ""), runs.done(run.run_id), runs.as_chosen(run.run_id, run.training)
    chosen = spec.model if isinstance(spec.model, TwoTowerSpec) else model
    metric = chosen.selection_metric(Task.of(dataset.manifest.get("label", {})))
    losses, valid = _curves(run, metric)
    label = dataset.manifest.get("label", {})
    return Evidence(
        spec=spec,
        model=chosen,
        train=spec.resolved(dataset.schema).train,
        schema=dataset.schema,
        counts=dataset.manifest["counts"],
        label=label,
        users=int(done.get("users", 0)),
        ndcg=float(done.get("metrics", {}).get("ndcg_at_10", np.nan)),
        popularity=_popularity(dataset.id) if spec.protocol.measures_like(DEFAULT) else None,
        losses=losses,
        valid=valid,
        metric=metric,
        epochs=spec.train.epochs,
        shared=_shared_with_popular(run.run_id, dataset.id),
        alike=_alike(run.run_id),
        alarms=tuple(runs.alarms(run.run_id)),
    )


def _curves(run: Run, metric: str) -> tuple[Floats, Floats]:
    """The mean training loss, and the validation metric, of each epoch; of a search those of its winner."""
    trials = runs.done(run.run_id).get("trials")
    history = runs.history(run.run_id, _winner(run.run_id) if trials else None)
    sign = 1 if METRICS[metric].better == "higher" else -1
    loss, valid = (history[history["metric"] == name] for name in ("train_loss", f"valid_{metric}"))
    means, lasts = loss.groupby("epoch")["value"].mean(), sign * valid.groupby("epoch")["value"].last()
    return means.to_numpy(np.float64), lasts.to_numpy(np.float64)


def _winner(run_id: str) -> int | None:
    from engine import searches

    search = searches.of_run(run_id)
    return search.best.number if search and search.best else None


def _popularity(dataset: str) -> float | None:
    """NDCG@10 of the most popular items, which is measured under the default protocol when a dataset is prepared."""
    try:
        return datasets.baseline_results(dataset).get("popularity", {}).get("ndcg_at_10")
    except LookupError:
        return None


def _lists(run_id: str) -> "pd.DataFrame | None":
    import pandas as pd

    path = runs.result_file(run_id, TOP_K)
    return pd.read_parquet(path, columns=["user_id", "items"]) if path.is_file() else None


def _shared_with_popular(run_id: str, dataset: str) -> float:
    """How much of each user's list is in the list of the most popular items for that user."""
    import pandas as pd

    lists, path = _lists(run_id), datasets.get_dataset(dataset).path / BASELINES / f"popularity_{TOP_K}"
    if lists is None or lists.empty or not path.is_file():
        return float("nan")
    popular = pd.read_parquet(path, columns=["user_id", "items"]).set_index("user_id")["items"]
    both = [(items, popular[user]) for user, items in zip(lists["user_id"], lists["items"], strict=True) if user in popular.index]
    shares = [len(set(ours[:LISTED]) & set(theirs[:LISTED])) / max(1, min(LISTED, len(ours))) for ours, theirs in both]
    return float(np.mean(shares)) if shares else float("nan")


def _alike(run_id: str) -> float:
    """The mean cosine between the vectors of two items, of 2,000 at most."""
    import pandas as pd

    path = runs.result_file(run_id, ITEM_EMBEDDINGS)
    if not path.is_file():
        return float("nan")
    vectors = np.stack(pd.read_parquet(path, columns=["embedding"])["embedding"].head(2000).to_list())[:, :-1].astype(
        np.float64
    )  # the last is the bias
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    count = len(unit)
    return float((np.linalg.norm(unit.sum(0)) ** 2 - count) / (count * (count - 1))) if count > 1 else float("nan")
