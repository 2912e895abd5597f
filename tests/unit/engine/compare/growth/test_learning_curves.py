"""Learning curves gather runs that differ in share, seed and name alone, and say what is missing."""

import pytest

import engine
from engine import runs
from engine.compare import growth
from tests.records import DATASET, run


def trained(run_id: str, share: float = 1.0, seed: int = 1, kind: str = "dlrm", **changes: object) -> runs.Run:
    train = engine.specs.TrainSpec(seed=seed, user_share=share)
    spec = engine.specs.RunSpec(dataset=DATASET, model=engine.specs.MODELS[kind](), train=train)
    return run(run_id, kind, spec=spec.model_dump(mode="json"), **changes)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, runs.Run]:
    """The runs of a store, by id; a test adds its own."""
    every: dict[str, runs.Run] = {}
    monkeypatch.setattr(runs, "list_runs", lambda kind, dataset: [one for one in every.values() if one.dataset == dataset])
    monkeypatch.setattr(runs, "get_run", every.__getitem__)
    monkeypatch.setattr(runs, "done", lambda run_id: {})
    monkeypatch.setattr(runs, "damage_of", lambda run_id: None)
    return every


def test_runs_on_other_shares_are_gathered_with_their_seeds(known: dict[str, runs.Run]) -> None:
    for one in (
        trained("a"), trained("a2", seed=2), trained("half", 0.5), trained("tenth", 0.1), trained("tenth again", 0.1),
        trained("other", 0.1, kind="deepfm"), trained("failed", 0.25, state=runs.RunState.FAILED),
    ):  # fmt: skip
        known[one.run_id] = one
    for asked in ("a", "half"):
        found = {share: sorted(run.run_id for run in group) for share, group in growth.siblings(asked).items()}
        assert found == {0.1: ["tenth"], 0.5: ["half"], 1.0: ["a", "a2"]}
        assert list(found) == [0.1, 0.5, 1.0]


def test_what_exists_or_is_under_way_is_not_launched_again(known: dict[str, runs.Run]) -> None:
    for one in (trained("a"), trained("half", 0.5), trained("running", 0.1, state=runs.RunState.RUNNING)):
        known[one.run_id] = one
    missing = growth.missing_runs("a")
    assert [spec.train.user_share for spec in missing] == [0.25]
    assert missing[0].model_copy(update={"train": known["a"].training.train}) == known["a"].training
    assert [spec.train.user_share for spec in growth.missing_runs("a", [0.2, 0.5])] == [0.2]
    with pytest.raises(ValueError, match="A share of 0 % is none of the users"):
        growth.missing_runs("a", [0.0])


def test_a_curve_begun_with_a_share_lacks_the_run_on_all_users(known: dict[str, runs.Run]) -> None:
    known["half"] = trained("half", 0.5)
    assert [spec.train.user_share for spec in growth.missing_runs("half")] == [0.1, 0.25, 1.0]
