"""What seeds do: which trainings are repeats of each other, and what a run lacks to have been repeated."""

import pytest

import engine
from engine import runs
from engine.compare import seed_noise
from tests.records import DATASET, run


def trained(run_id: str, kind: str = "dlrm", seed: int = 1, name: str | None = None, **changes: object) -> runs.Run:
    spec = engine.specs.RunSpec(
        dataset=DATASET, model=engine.specs.MODELS[kind](), train=engine.specs.TrainSpec(seed=seed), name=name
    )  # fmt: skip
    return run(run_id, kind, spec=spec.model_dump(mode="json"), **changes)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, runs.Run]:
    """The runs of a store, by id; a test adds its own."""
    every: dict[str, runs.Run] = {}
    monkeypatch.setattr(runs, "list_runs", lambda kind, dataset: [one for one in every.values() if one.dataset == dataset])
    monkeypatch.setattr(runs, "get_run", every.__getitem__)
    monkeypatch.setattr(runs, "done", lambda run_id: {"protocol": {"exclude_seen": run_id != "other protocol"}})
    return every


def test_repeats_differ_in_seed_and_name_alone(known: dict[str, runs.Run]) -> None:
    for one in (
        trained("a", metrics={"auc": 0.7}),
        trained("b", seed=2, name="again", metrics={"auc": 0.8}),
        trained("the same seed again", seed=2, metrics={"auc": 0.9}),
        trained("alone", kind="deepfm"),
        trained("e", kind="ease"),
        trained("e2", kind="ease", seed=2),  # has no seed: twice the same
        trained("failed", seed=3, state=runs.RunState.FAILED),
        trained("other protocol", seed=4),
        trained("other data", seed=5, dataset="other-0123456789ab"),
    ):
        known[one.run_id] = one
    (group,) = seed_noise.repeated([known["a"]])
    assert (group.model, [own["auc"] for own in group.metrics]) == ("dlrm", [0.7, 0.8])


def test_what_a_run_lacks_are_seeds_that_nobody_has_trained(known: dict[str, runs.Run]) -> None:
    for one in (
        trained("a", seed=7),
        trained("b", seed=8),
        trained("e", kind="ease"),
        trained("running", seed=9, state=runs.RunState.RUNNING),
    ):
        known[one.run_id] = one
    more = seed_noise.more_seeds("a", 3)
    assert more.there == ("b",)
    assert [spec.train.seed for spec in more.missing] == [9]
    assert [spec.train.seed for spec in seed_noise.more_seeds("a", 4).missing] == [9, 10]
    assert seed_noise.more_seeds("e", 3) == ((), ())
    with pytest.raises(KeyError):
        seed_noise.more_seeds("gone", 3)
