"""How good each contender is as its kind can be, on a prepared dataset: `python -m tests.bench.quality DATASET_FOLDER [--seeds 3]`.

Everything in one run, under the protocol: fitted models tuned on validation, a BPR tuned on validation (implicit), networks with
their defaults over some seeds, and with `--ablate` the two-tower without each of its parts. Differences are paired over users.
"""

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from tests import ranks
from workers.artifacts.dataset import PreparedDataset
from workers.artifacts.results import TEST, VALID
from workers.batches.likes import Likes, read_likes
from workers.evaluation.matrices import evaluate_matrix
from workers.matrices.matrix import MatrixModel
from workers.run.spec import RunSpec
from workers.training import fit as fit_

FITTED = ("popularity", "item_knn", "ials", "ease")
NETWORKS: dict[str, dict[str, Any]] = {
    "two-tower": {"kind": "two_tower"},
    "two-tower pointwise": {"kind": "two_tower", "objective": "pointwise"},
    "DLRM": {"kind": "dlrm"},
    "DLRM-DCNv2": {"kind": "dlrm_dcnv2"},
    "DeepFM": {"kind": "deepfm"},
    "DLRM, uniform negatives": {"kind": "dlrm", "negatives": "uniform"},
    "DeepFM, uniform negatives": {"kind": "deepfm", "negatives": "uniform"},
    "DLRM, popularity negatives": {"kind": "dlrm", "negatives": "popularity"},
    "DeepFM, popularity negatives": {"kind": "deepfm", "negatives": "popularity"},
}
ABLATIONS: dict[str, dict[str, Any]] = {
    "two-tower, history may be a negative": {"kind": "two_tower", "mask_history": False},
    "two-tower, no dropout of the history": {"kind": "two_tower", "history_dropout": 0.0},
    "two-tower, no item features": {"kind": "two_tower", "item_features": False},
    "two-tower, user features too": {"kind": "two_tower", "user_features": True},
    "two-tower, user id too": {"kind": "two_tower", "user_id": True},
    "two-tower, user id instead of history": {"kind": "two_tower", "user_id": True, "history": False},
    "two-tower, 1024 uniform negatives": {"kind": "two_tower", "uniform_negatives": 1024},
    "two-tower, dim 128": {"kind": "two_tower", "embedding_dim": 128},
}
BPR = {"factors": (16, 32, 64), "learning_rate": (0.02, 0.05), "regularization": (0.003, 0.01, 0.03), "iterations": (50, 100, 200)}


class Bpr(MatrixModel):
    """implicit's BPR as it stands, scored under the protocol; users by the rows of the matrix it was fitted on."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def fit(self, likes: Likes, seed: int = 1, told: Any = None) -> None:
        from implicit.bpr import BayesianPersonalizedRanking

        self.model = BayesianPersonalizedRanking(**self.settings, random_state=seed, num_threads=1)
        self.model.fit((likes.matrix > 0).astype(np.float32), show_progress=False)
        self.users = {row.tobytes(): place for place, row in enumerate(_rows(likes.matrix))}

    def scores(self, likes: csr_matrix) -> np.ndarray:
        places = [self.users.get(row.tobytes(), 0) for row in _rows(likes)]
        return np.asarray(self.model.user_factors[places] @ self.model.item_factors.T, np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    def load(self, arrays: Any) -> None:
        raise NotImplementedError


def _rows(matrix: csr_matrix) -> Iterator[np.ndarray]:
    return (matrix.indices[start:end] for start, end in itertools.pairwise(matrix.indptr))


def tuned_bpr(dataset: PreparedDataset, likes: Likes) -> tuple[str, pd.DataFrame, dict[str, float]]:
    """The BPR that validation prefers: its settings, per-user metrics on test, all metrics."""
    best, kept, chosen = -1.0, None, ""
    for values in itertools.product(*BPR.values()):
        settings = dict(zip(BPR, values, strict=True))
        model = Bpr(**settings)
        model.fit(likes)
        value = evaluate_matrix(model, likes.matrix, dataset, VALID).metrics["ndcg_at_10"]
        if value > best:
            best, kept, chosen = value, model, ", ".join(f"{name} {value}" for name, value in settings.items())
    assert kept is not None
    found = evaluate_matrix(kept, likes.matrix, dataset, TEST)
    return chosen, found.ranked, found.metrics


def fitted(dataset: Path, kind: str, folder: Path) -> pd.DataFrame:
    """Per-user metrics of a fitted model, tuned on validation."""
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(RunSpec.model_validate({"dataset": "bench", "model": {"kind": kind}}).model_dump_json())
    fit_.main(str(folder), str(dataset), 1)
    return pd.read_parquet(folder / "results" / "per_user.parquet")


def row(name: str, runs: list[pd.DataFrame], metrics: list[dict[str, float]], against: dict[str, pd.Series]) -> str:
    """A line of the table: NDCG@10 and its standard error over users, the spread over seeds, paired differences, AUC."""
    users = pd.concat(runs).groupby("user_id")["ndcg_at_10"].mean()
    seeds = [one["ndcg_at_10"].mean() for one in runs]
    spread = f"{np.std(seeds, ddof=1):.4f}" if len(seeds) > 1 else "–"
    told = [f"{users.mean():.4f} ± {users.sem():.4f}", spread]
    for other in against.values():
        apart = users - other.reindex(users.index)
        told.append(f"{apart.mean():+.4f} ± {apart.sem():.4f}" if apart.abs().sum() else "–")
    area = np.mean([one["auc"] for one in metrics]) if metrics else float("nan")
    return "| " + " | ".join([f"{name:<38}", *told, f"{area:.4f}"]) + " |"


def main() -> None:
    """Measure and print, line by line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ablate", action="store_true")
    args = parser.parse_args()
    dataset = args.dataset.resolve()
    prepared = PreparedDataset.open(dataset)
    likes = read_likes(prepared)
    with tempfile.TemporaryDirectory() as scratch:
        ease = fitted(dataset, "ease", Path(scratch) / "ease")
        chosen, bpr, bpr_metrics = tuned_bpr(prepared, likes)
        against = {"EASE": ease.set_index("user_id")["ndcg_at_10"], "BPR": bpr.set_index("user_id")["ndcg_at_10"]}
        print(f"{dataset.name}: {len(ease):,} users; BPR: {chosen}")
        print("| contender | NDCG@10 ± s.e. | σ of seeds | against EASE | against BPR | AUC |\n|---|---|---|---|---|---|", flush=True)
        for kind in FITTED:
            found = ease if kind == "ease" else fitted(dataset, kind, Path(scratch) / kind)
            done = json.loads((Path(scratch) / kind / "done.json").read_text())["metrics"]
            print(row(kind, [found], [done], against), flush=True)
        print(row("BPR, tuned", [bpr], [bpr_metrics], against), flush=True)
        for name, model in (NETWORKS | (ABLATIONS if args.ablate else {})).items():
            wanted = [
                (Path(scratch) / f"{name} {seed}", dataset, {"model": model, "train": {"seed": seed}}) for seed in range(1, args.seeds + 1)
            ]
            ends = ranks.train_all(wanted, timeout=3600)
            runs = [pd.read_parquet(run / "results" / "per_user.parquet") for run, *_ in wanted]
            print(row(name, runs, [end["metrics"] for end in ends], against), flush=True)


if __name__ == "__main__":
    main()
