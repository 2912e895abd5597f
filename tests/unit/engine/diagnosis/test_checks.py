"""Each cause is named from evidence of its own, in an order, and a sound run has none. Whether real runs leave such evidence:
`python -m tests.bench.diagnosis`."""

from typing import Any

import numpy as np
import pytest

from engine.diagnosis.diagnose import CHECKS
from engine.diagnosis.evidence import Evidence
from engine.diagnosis.record import Diagnosis
from workers.models import TwoTowerSpec
from workers.run import RunSpec
from workers.specs import Categorical, FeatureSchema

SCHEMA = FeatureSchema(
    categorical=(
        Categorical(name="user_id", side="user", num_rows=900, vocabulary="user_id"),
        Categorical(name="history", side="user", num_rows=1600, multi_valued=True, vocabulary="item_id"),
        Categorical(name="item_id", side="item", num_rows=1600, vocabulary="item_id"),
        Categorical(name="session", side="context", num_rows=40_000, vocabulary="session"),
    )
)
COUNTS = {
    "interactions": {"train": 80_000, "test": 10_000}, "positives": {"train": 45_000}, "cold_user_rows_test": 100,
    "cold_item_rows_test": 150, "train_items": 1600,
}  # fmt: skip


def evidence(model: dict[str, Any] | None = None, train: dict[str, Any] | None = None, **more: Any) -> Evidence:
    """Of a sound run, but for what is given."""
    spec = RunSpec.model_validate({"dataset": "d", "model": {"kind": "two_tower", **(model or {})}, "train": train or {}})
    assert isinstance(spec.model, TwoTowerSpec)
    sound: dict[str, Any] = {
        "spec": spec, "model": spec.model, "train": spec.resolved(SCHEMA).train, "schema": SCHEMA, "counts": COUNTS,
        "label": {"kind": "threshold", "threshold": 4}, "users": 800, "ndcg": 0.2, "popularity": 0.1,
        "losses": np.array([6.5, 6.2, 6.1, 6.05, 6.0]), "valid": np.array([0.17, 0.19, 0.2, 0.2, 0.199]), "metric": "ndcg_at_10",
        "epochs": spec.train.epochs, "shared": 0.3, "alike": 0.2, "alarms": (),
    }  # fmt: skip
    return Evidence(**sound | more)


def causes(of: Evidence) -> list[Diagnosis]:
    return [one for check in CHECKS if (one := check(of))]


def test_a_sound_run_has_no_cause() -> None:
    assert causes(evidence()) == []


@pytest.mark.parametrize(
    ("cause", "given"),
    [
        ("few users", {"users": 12}),
        ("unknown rows", {"counts": COUNTS | {"cold_user_rows_test": 8000}}),
        ("label rule", {"counts": COUNTS | {"positives": {"train": 79_000}}}),
        ("label rule", {"counts": COUNTS | {"positives": {"train": 300}}}),
        ("reads nothing", {"model": {"history": False}}),
        ("diverged", {"losses": np.array([6.5, 7.5, 9.0]), "train": {"table_learning_rate": 5}}),
        ("diverged", {"losses": np.array([40.0, 38.0, 37.0])}),
        ("flat", {"losses": np.array([6.93, 6.93, 6.929]), "train": {"table_learning_rate": 1e-5}}),
        ("too short", {"valid": np.array([0.1, 0.14, 0.19]), "train": {"epochs": 3}}),
        ("too short", {"valid": np.array([0.1]), "losses": np.array([6.5]), "train": {"epochs": 1}}),
        ("pointwise", {"model": {"objective": "pointwise"}, "losses": np.array([0.69, 0.6, 0.55])}),
        ("dislikes", {"model": {"explicit_negatives": 10}}),
        ("few negatives", {"train": {"batch_size": 8}, "losses": np.array([2.0, 1.9, 1.8])}),
        ("temperature", {"model": {"similarity": "cosine", "temperature": 1.0}}),
        ("collapsed", {"alike": 0.999}),
        ("by heart", {"losses": np.array([6.5, 5, 4, 3]), "valid": np.array([0.2, 0.19, 0.17, 0.15])}),
        ("noise", {"model": {"user_features": True}}),
        ("dropout", {"model": {"history_dropout": 0.95}}),
        ("narrow", {"model": {"embedding_dim": 4}}),
        ("popularity alone", {"shared": 0.9}),
    ],
)
def test_each_cause_is_the_first_on_evidence_of_its_own(cause: str, given: dict[str, Any]) -> None:
    of = evidence(**given)
    first = causes(of)[0]
    assert first.cause == cause
    assert first.evidence.endswith(".") and first.advice.endswith(".")
    if first.run is not None:  # it is a run that can be launched, and another one
        again = RunSpec.model_validate(first.run.model_dump(mode="json"))
        assert again != of.spec
        assert (again.name, again.dataset) == (None, "d")


def test_what_makes_numbers_doubtful_comes_before_what_could_be_better() -> None:
    every = evidence({"embedding_dim": 4, "history_dropout": 0.95}, {"epochs": 1}, users=12, valid=np.array([0.1]), losses=np.array([6.5]))
    assert [one.cause for one in causes(every)] == ["few users", "too short", "dropout", "narrow"]


def test_a_dataset_of_clicks_has_no_rule_to_blame() -> None:
    counts = COUNTS | {"positives": {"train": 80_000}}
    assert causes(evidence(counts=counts, label={"kind": "given"})) == []
