"""The search for settings: it goes on past the ends of the grid while they win, and says where it could not."""

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
from workers.run import Journal, RunContext, RunSpec
from workers.specs import FeatureSchema
from workers.training import tuning
from workers.training.tuning import Tuning, beyond

Quality = Callable[[MatrixSpec], float]


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[MatrixSpec, Quality], Tuning]:
    """The search for a model's open settings, where validation is a known function of them."""

    def run(spec: MatrixSpec, quality: Quality) -> Tuning:
        monkeypatch.setattr(Tuning, "_try", lambda self, one, place, total: (Popularity(), 0.0, {"ndcg_at_10": quality(one)}))
        context = RunContext(
            tmp_path, PreparedDataset(tmp_path, FeatureSchema(categorical=())), RunSpec(dataset="d", model=spec), Journal(None)
        )
        return Tuning(context, Likes(csr_matrix(np.eye(3, dtype=np.float32)), np.ones(3, np.int64))).run()

    return run


def near(**best: float) -> Quality:
    """Best at some values, and worse the further away in factors; other settings do not matter."""
    return lambda spec: 1 - sum(abs(np.log(getattr(spec, name) / value)) for name, value in best.items()) / 100


def test_a_best_value_inside_the_grid_needs_no_more_fits(search: Any) -> None:
    found = search(EASESpec(), near(l2=100))
    assert found.chosen == {"l2": 100.0}
    assert len(found.tried) == 5
    assert found.at_edge == {}


@pytest.mark.parametrize(("best", "wanted"), [(30_000.0, 27_000.0), (3.0, 2.7)])
def test_past_an_end_the_search_goes_on_until_the_best_is_inside(search: Any, best: float, wanted: float) -> None:
    found = search(EASESpec(), near(l2=best))
    assert found.chosen == {"l2": pytest.approx(wanted)}
    tried = sorted(row["settings"]["l2"] for row in found.tried)
    assert tried[0] < wanted < tried[-1]
    assert found.at_edge == {}


def test_a_wider_model_is_tuned_anew_and_the_widest_is_said(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Width wins without end, and wants more regularisation: the search stops at 512, with the regularisation inside."""
    monkeypatch.setattr(tuning, "MOST_EFFORT", 10.0)
    found = search(IALSSpec(), lambda spec: near(regularisation=spec.factors / 8, alpha=4, iterations=16)(spec) + spec.factors / 1000)
    assert (found.chosen["factors"], found.chosen["alpha"], found.chosen["iterations"]) == (512, 4.0, 16)
    assert found.chosen["regularisation"] == pytest.approx(45)
    assert found.at_edge == {"factors": 512}


def test_scaled_regularisation_is_tried_at_the_best_alone(search: Any) -> None:
    found = search(IALSSpec(), lambda spec: near(factors=32, regularisation=5, alpha=4, iterations=4)(spec) + spec.frequency_scaling / 10)
    assert found.chosen["frequency_scaling"] == 1
    assert len(found.tried) < 36 + 12
    wide = search(IALSSpec(), lambda spec: near(factors=128, regularisation=5, alpha=4, iterations=16)(spec) + spec.frequency_scaling / 10)
    assert wide.chosen["frequency_scaling"] == 0  # at this width the exact solution would take as long as all else together, and longer
    given = search(IALSSpec(frequency_scaling=0.0, factors=32, alpha=4, iterations=16), near(regularisation=5))
    assert given.chosen == {"regularisation": 5.0} and len(given.tried) == 3


def test_one_sweep_is_an_end_that_nothing_lies_beyond(search: Any) -> None:
    found = search(IALSSpec(factors=32, regularisation=5, alpha=4, frequency_scaling=0), lambda spec: 1 / spec.iterations)
    assert found.chosen == {"iterations": 1}
    assert found.at_edge == {}


def test_the_search_is_bounded_in_fits_and_in_effort(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = search(ItemKNNSpec(similarity="cosine"), lambda spec: spec.neighbours)
    assert (found.chosen, found.at_edge) == ({"neighbours": 6400}, {}), "12,800 is more than there can be"
    monkeypatch.setattr(tuning, "MOST_STEPS", 3)
    found = search(ItemKNNSpec(similarity="cosine"), lambda spec: spec.neighbours)
    assert found.chosen == found.at_edge == {"neighbours": 3200}
    monkeypatch.setattr(tuning, "MOST_EFFORT", 0.0)
    assert search(EASESpec(), lambda spec: spec.l2).at_edge == {"l2": 3000.0}


def test_without_users_to_validate_the_first_stays(search: Any) -> None:
    found = search(EASESpec(), lambda spec: -np.inf)
    assert (found.chosen, len(found.tried), found.at_edge) == ({"l2": 30.0}, 5, {})


def test_steps_are_factors_or_differences_and_keep_whole_numbers() -> None:
    assert beyond((10, 20, 400), 400, up=True) == 8000
    assert beyond((4, 16), 4, up=False) == 1
    assert beyond((0.0, 0.2, 0.4), 0.4, up=True) == pytest.approx(0.6)
    assert beyond((0.0, 0.2, 0.4), 0.0, up=False) == pytest.approx(-0.2)
    assert isinstance(beyond((32, 128), 128, up=True), int)
