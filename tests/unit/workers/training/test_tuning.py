"""Settings of fitted models: a search within a budget, the same for the same seed, which says what lies at an end of its ranges."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from workers.artifacts import PreparedDataset
from workers.batches import Likes
from workers.matrices import Popularity
from workers.models import MatrixSpec
from workers.models.ease import EASESpec
from workers.models.ials import IALSSpec
from workers.models.item_knn import ItemKNNSpec
from workers.models.popularity import PopularitySpec
from workers.run import Journal, RunContext, RunSpec
from workers.specs import FeatureSchema
from workers.training.tuning import Tuning

Quality = Callable[[MatrixSpec], float]


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Tuning]:
    """The search for a model's open settings, where validation is a known function of them."""

    def run(model: MatrixSpec, quality: Quality, **given: Any) -> Tuning:
        def tried(self: Tuning, spec: RunSpec, place: int, total: int) -> tuple[RunSpec, Popularity, float, dict[str, float]]:
            value = quality(spec.model)  # type: ignore[arg-type]
            return spec, Popularity(), 0.0, {"ndcg_at_10": value} if np.isfinite(value) else {}

        monkeypatch.setattr(Tuning, "_try", tried)
        spec = RunSpec.model_validate({"dataset": "d", "model": model.model_dump(), **given})
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        context = RunContext(folder, PreparedDataset(folder, FeatureSchema(categorical=())), spec, Journal(None))
        return Tuning(context, Likes(csr_matrix(np.eye(3, dtype=np.float32)), np.ones(3, np.int64))).run()

    return run


def near(**best: float) -> Quality:
    """Best at some values, and worse the further away in factors; other settings do not matter."""
    return lambda spec: 1 - sum(abs(np.log(getattr(spec, name) / value)) for name, value in best.items()) / 100


@pytest.mark.parametrize("best", [30.0, 100.0, 3000.0, 30_000.0])
def test_the_best_of_the_trials_is_near_the_best_there_is(search: Any, best: float) -> None:
    found = search(EASESpec(), near(l2=best))
    assert len(found.tried) == 20
    assert found.chosen["model.l2"] == found.model_spec.l2 == pytest.approx(best, rel=0.5)
    assert found.at_edge == {}


def test_the_first_trial_is_the_usual_value_and_the_budget_is_kept(search: Any) -> None:
    found = search(ItemKNNSpec(), near(neighbours=100), search={"trials": 3})
    assert found.tried[0]["settings"] == {"model.neighbours": 100, "model.similarity": "cosine"}
    assert len(found.tried) == 3 and found.chosen["model.neighbours"] == 100


def test_the_same_seed_tries_the_same_and_another_does_not(search: Any) -> None:
    one, same, other = (search(IALSSpec(), near(factors=40, alpha=2), train={"seed": seed}) for seed in (1, 1, 2))
    assert [row["settings"] for row in one.tried] == [row["settings"] for row in same.tried]
    assert [row["settings"] for row in one.tried] != [row["settings"] for row in other.tried]


def test_a_given_setting_is_not_searched_and_one_without_open_settings_is_fitted_once(search: Any) -> None:
    found = search(ItemKNNSpec(similarity="bm25"), near(neighbours=20))
    assert {row["settings"].keys() == {"model.neighbours"} for row in found.tried} == {True}
    assert len(search(EASESpec(l2=5.0), near(l2=100)).tried) == 1
    once = search(PopularitySpec(), lambda spec: 0.5)
    assert (len(once.tried), once.chosen, once.cost(0.0).get("trials")) == (1, {}, None)


def test_a_best_value_at_the_end_of_a_range_is_said(search: Any) -> None:
    found = search(EASESpec(), lambda spec: -spec.l2)
    assert found.at_edge == {"model.l2": found.chosen["model.l2"]} and found.chosen["model.l2"] < 2


def test_without_users_to_validate_the_first_stays(search: Any) -> None:
    found = search(EASESpec(), lambda spec: -np.inf)
    assert (found.chosen, len(found.tried)) == ({"model.l2": 300.0}, 1)


def test_a_setting_that_cannot_be_fitted_is_passed_over(search: Any) -> None:
    def quality(spec: MatrixSpec) -> float:
        if spec.l2 > 100:  # type: ignore[attr-defined]
            raise ValueError("cannot be inverted")
        return 0.5

    found = search(EASESpec(), quality)
    assert {row["state"] for row in found.tried} == {"done", "failed"} and found.model_spec.l2 <= 100
    with pytest.raises(ValueError, match=r"None of 20 settings could be fitted. The last one: never"):
        search(EASESpec(), lambda spec: (_ for _ in ()).throw(ValueError("never")))
