"""Ratings of sets: how they are judged, and how scores come onto the rating scale."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from workers.evaluation.rated_sets import calibrated, evaluate_sets, rated_sets
from workers.networks.ranker import weighted_mean


def rated(ratings: np.ndarray) -> pd.DataFrame:
    """Ratings of sets, two of each user."""
    return pd.DataFrame({"place": np.arange(len(ratings)) // 2, "rating": ratings})


def test_sets_are_judged_by_distance_and_by_order() -> None:
    ratings = np.array([1.0, 2.0, 3.0, 4.0])
    sets = rated(ratings)
    assert evaluate_sets(sets, ratings, ratings, 3).metrics == {
        "set_rmse": 0, "set_spearman": pytest.approx(1), "sets": 4, "sets_left_out": 3,
    }  # fmt: skip
    assert evaluate_sets(sets, 5 - ratings, ratings, 0).metrics["set_spearman"] == pytest.approx(-1)
    assert evaluate_sets(sets, ratings, ratings + 2, 0).metrics["set_rmse"] == 2
    assert "set_spearman" not in evaluate_sets(sets, np.full(4, 2.5), None, 0).metrics
    none = evaluate_sets(rated(np.zeros(0)), np.zeros(0), None, 5)
    assert none.metrics == {"sets": 0, "sets_left_out": 5} and none.sets.empty
    kept = evaluate_sets(sets, 5 - ratings, ratings + 2, 0).sets
    assert kept.to_dict("list") == {
        "user": [0, 0, 1, 1], "rating": ratings.tolist(), "score": (5 - ratings).tolist(), "predicted": (ratings + 2).tolist()
    }  # fmt: skip


def test_the_errors_of_sets_are_those_of_repeated_samples_of_users() -> None:
    rng = np.random.default_rng(2)

    def drawn() -> dict[str, float]:
        of_user = np.repeat(rng.normal(0, 0.8, 150), 2)  # the two sets of a user are rated alike
        ratings = of_user + rng.normal(0, 1, 300)
        return evaluate_sets(rated(ratings), of_user + rng.normal(0, 1, 300), np.zeros(300), 0).metrics

    every = [drawn() for _ in range(300)]
    for key in ("set_rmse", "set_spearman"):
        values, errors = (np.array([found[name] for found in every]) for name in (key, f"{key}_se"))
        assert errors.mean() == pytest.approx(values.std(), rel=0.12)


def test_scores_are_put_on_the_scale_by_the_least_squares_line() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=200)
    ratings = 3 + 0.5 * scores + rng.normal(0, 0.1, 200)
    found = calibrated(scores, ratings, np.array([0.0, 1.0]))
    slope, start = np.linalg.lstsq(np.stack([scores, np.ones(200)], 1), ratings, rcond=None)[0]
    np.testing.assert_allclose(found, [start, start + slope])
    assert calibrated(np.ones(3), np.array([1.0, 2.0, 3.0]), np.zeros(2)).tolist() == [2, 2]  # type: ignore[union-attr]
    assert calibrated(np.zeros(0), np.zeros(0), np.zeros(2)) is None


def test_a_set_of_items_that_train_does_not_know_is_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    sets = pd.DataFrame(
        {
            "split": ["test", "test", "train", "test"],
            "place": [0, 1, 0, 0],
            "items": [[1, 0, 2], [0, 0, 0], [3, 1, 2], [2, 2, 1]],
            "rating": [4.0, 2.0, 3.0, 5.0],
            "user_mean": [3.0, 3.0, 3.0, 3.5],
        }
    )
    sets.to_parquet(tmp_path / "sets" / "sets.parquet")
    found, left_out = rated_sets(tmp_path, "test")
    assert found["rating"].tolist() == [4, 5]
    assert left_out == 1


def test_a_loss_is_the_weighted_mean_and_nothing_where_no_row_weighs() -> None:
    loss, total = weighted_mean(torch.tensor([1.0, 3.0]), torch.tensor([0.2, 0.6]))
    assert (float(loss), float(total)) == (pytest.approx(2.5), pytest.approx(0.8))
    assert float(weighted_mean(torch.tensor([1.0]), torch.tensor([0.0]))[0]) == 0
