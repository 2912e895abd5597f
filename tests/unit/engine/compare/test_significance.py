"""Paired tests against scipy, scikit-learn and simulation; on inputs that have nothing to test; and on what may be called a difference."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

import engine
from engine import datasets, runs
from engine.compare import Answer, Comparison, Contender, Reason, cells, lists_at_k, paired_tests, row_metrics
from engine.compare.contenders import Repeated
from engine.compare.paired_tests import Measured, SeedNoise
from workers.artifacts.results import ITEMS, RESULTS, SCORED
from workers.specs import Protocol

NO = float("nan")
Users = dict[str, np.ndarray]
Make = Callable[..., Comparison]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    """A comparison by NDCG@10 of runs with such values per user; letters of several characters are baselines. Models are named by their
    letter, and such models have seeds: a deviation of 0 is stated for them, so that users alone decide."""
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(runs, "alarms", lambda run_id: [])

    def made(
        users: Users,
        metric: str = "ndcg_at_10",
        std: Any = None,
        settings: Any = None,
        seeds: Any = None,
        repeats: Any = None,
        **models: str,
    ) -> Comparison:
        def frame(key: str) -> pd.DataFrame:
            if key not in users:
                raise LookupError(key)
            return pd.DataFrame({"user_id": [str(at) for at in range(len(users[key]))], metric: users[key]})

        monkeypatch.setattr(runs, "per_user", frame)
        monkeypatch.setattr(datasets, "baseline_per_user", lambda dataset, name: frame(name))
        groups = seeds or {key: (key,) for key in users}
        contenders = [
            Contender(
                letter=key, run_id=None if len(key) > 1 else ids[0], name=key, model=models.get(key, key), color_index=at, run_ids=ids
            )
            for at, (key, ids) in enumerate(groups.items())
        ]
        rows = [
            (metric, key, float(np.mean([np.mean(users.get(i, [NO])) for i in ids])), (std or {}).get(key, NO))
            for key, ids in groups.items()
        ]
        table = pd.DataFrame(rows, columns=["metric", "contender", "value", "std"])
        nothing = pd.DataFrame()
        no_noise = Repeated(model="of no effect", metrics=({metric: 0.4}, {metric: 0.4}))
        return Comparison(
            contenders=contenders, dataset="d", apart=[], table=table, curves=nothing, differences=nothing, costs=nothing, users=1,
            settings=settings, repeats=(no_noise,) if repeats is None else repeats,
        )  # fmt: skip

    return made


def ranked(seed: int, users: int = 200, lead: float = 0.0) -> np.ndarray:
    """Values as recall has them: most users 0, and many ties."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.integers(0, 5, users) / 4 * (rng.random(users) < 0.5) + lead, 0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_means_are_tested_as_scipy_tests_them(make: Make, seed: int) -> None:
    a, b = ranked(seed), ranked(seed + 100, lead=0.03)
    (pair,) = engine.compare.pairs(make({"A": a, "B": b}), "ndcg_at_10")
    assert (pair.a, pair.b, pair.n, pair.unit) == ("A", "B", 200, "users")
    theirs = stats.ttest_rel(a, b)
    interval = theirs.confidence_interval()
    assert (pair.difference, pair.p) == (pytest.approx((a - b).mean()), pytest.approx(theirs.pvalue))
    assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high))
    flips = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1).pvalue
    assert pair.p == pytest.approx(flips, abs=0.02)  # and that assumes no distribution


@pytest.mark.parametrize("seed", range(5))
def test_holm_steps_down_as_its_definition_says(seed: int) -> None:
    p = np.random.default_rng(seed).random(9) ** 4
    naive = [min(1.0, max((len(p) - sum(p < q)) * q for q in p if q <= one)) for one in p]
    assert paired_tests.holm(p) == pytest.approx(naive)
    assert paired_tests.holm(np.array([0.01, NO, 0.04])) == pytest.approx([0.02, NO, 0.04], nan_ok=True)
    assert len(paired_tests.holm(np.array([]))) == 0


def answers(comparison: Comparison, metric: str = "ndcg_at_10") -> list[str]:
    return [pair.answer.value for pair in engine.compare.pairs(comparison, metric)]


def test_who_is_better_is_said_in_the_direction_that_is_better(make: Make) -> None:
    users = {"A": ranked(1), "B": ranked(1, lead=0.05)}
    assert answers(make(users)) == ["b better"]
    comparison = make(users, "mrr")
    assert answers(comparison, "mrr") == ["b better"]
    found = engine.compare.judge(comparison).metrics["mrr"]
    assert (found.leader, found.unsure_of, found.winner) == ("B", (), "B")


def test_equals_are_the_same_for_every_purpose(make: Make) -> None:
    (pair,) = engine.compare.pairs(make({"A": ranked(1), "B": ranked(1)}), "ndcg_at_10")
    assert (pair.p, pair.p_holm, pair.answer, pair.reason, pair.difference) == (1.0, 1.0, Answer.SAME, None, 0)


def test_two_seeds_of_one_model_are_never_told_apart(make: Make) -> None:
    users = {"A": ranked(1), "B": ranked(1, lead=0.05), "C": ranked(1, lead=0.1)}
    settings = pd.DataFrame(
        {"setting": ["train.seed", "model.dim", "model.l2"], "A": ["1", "8", None], "B": ["2", "8", None], "C": ["1", "9", None]}
    )
    tested = engine.compare.pairs(make(users, settings=settings, **dict.fromkeys("ABC", "two_tower")), "ndcg_at_10")
    assert max(pair.p_holm or 0 for pair in tested) < 0.001
    assert [pair.answer.value for pair in tested] == ["cannot be told", "b better", "b better"]
    assert tested[0].reason is Reason.SAME_SETTINGS


def test_a_lead_within_the_spread_of_seeds_is_not_told(make: Make) -> None:
    users = {"1": ranked(1, lead=0.04), "2": ranked(1, lead=0.06), "3": ranked(1, lead=0.05), "B": ranked(1)}
    groups = {"A": ("1", "2", "3"), "B": ("B",)}
    (pair,) = engine.compare.pairs(make(users, std={"A": 0.06}, seeds=groups, B="ease"), "ndcg_at_10")
    assert pair.difference == pytest.approx(np.mean([users[seed] for seed in "123"]) - users["B"].mean())
    assert (pair.answer, pair.reason) == (Answer.UNKNOWN, Reason.SEEDS)
    assert answers(make(users, std={"A": 0.005}, seeds=groups, B="ease")) == ["a better"]


def test_one_seed_is_given_what_others_of_its_kind_vary_by(make: Make) -> None:
    """Own seeds, else those of the kind, else those of the dataset, else what is stated; nothing for what has no seed."""
    users = {"A": ranked(1, lead=0.06), "B": ranked(1)}

    def allowed(*repeats: Repeated, **more: Any) -> Any:
        return engine.compare.judge(make(users, repeats=repeats, A="dlrm", B="ease", **more)).metrics["ndcg_at_10"].allowances

    kind = Repeated(model="dlrm", metrics=({"ndcg_at_10": 0.18}, {"ndcg_at_10": 0.22}, {"ndcg_at_10": 0.20}))
    other = Repeated(model="two_tower", metrics=({"ndcg_at_10": 0.40}, {"ndcg_at_10": 0.44}))
    value = float(users["A"].mean())
    assert allowed(kind, other)["A"].deviation == pytest.approx(0.1 * value)
    assert (allowed(kind, other)["A"].source, allowed(kind, other)["A"].df) == ("its kind", 2)
    assert allowed(other)["A"].deviation == pytest.approx(np.std([0.40, 0.44], ddof=1) / 0.42 * value)
    assert allowed(other)["A"].source == "this dataset"
    same_stage = Repeated(model="deepfm", metrics=({"ndcg_at_10": 0.10}, {"ndcg_at_10": 0.12}))
    assert allowed(same_stage, other)["A"].deviation == pytest.approx(np.std([0.10, 0.12], ddof=1) / 0.11 * value)
    assert allowed(same_stage, other)["A"].source == "its stage"
    assert (allowed()["A"].source, allowed()["A"].df) == ("stated", None)
    assert allowed()["A"].deviation > 0
    assert (allowed()["B"].source, allowed()["B"].deviation, allowed()["B"].seeds) == ("no seed", 0, 0)
    found = engine.compare.judge(make(users, repeats=(kind,), A="dlrm", B="ease")).metrics["ndcg_at_10"]
    assert found.one_seed == ("A",)
    assert (found.winner, found.runs[0].reason) == (None, Reason.SEEDS)


def test_who_is_ahead_and_of_whom_that_is_not_sure(make: Make) -> None:
    users = {"A": ranked(1, lead=0.05), "B": ranked(1, lead=0.0601) + ranked(5) / 50, "C": ranked(1), "popularity": ranked(1)}
    found = engine.compare.judge(make(users)).metrics["ndcg_at_10"]
    assert (found.leader, found.unsure_of, found.winner) == ("B", (), "B")
    users["A"] = users["B"] + np.tile([0.01, -0.0101], 100)
    found = engine.compare.judge(make(users)).metrics["ndcg_at_10"]
    assert (found.leader, found.unsure_of, found.winner) == ("B", ("A",), None)
    assert found.runs[0].answer is Answer.SAME
    assert engine.compare.judge(make({"A": ranked(1)})).metrics["ndcg_at_10"].leader is None


def test_a_sure_lead_that_is_too_small_to_matter_is_called_so(make: Make) -> None:
    a = ranked(1, lead=0.002)
    users = {"A": a, "B": ranked(1)}
    assert answers(make(users)) == ["a better, by less than matters"]
    comparison = make(users).model_copy(update={"threshold": 0.0001})
    assert answers(comparison) == ["a better"]
    assert engine.compare.judge(comparison).metrics["ndcg_at_10"].winner == "A"


def test_an_untested_rival_keeps_the_leader_from_winning(make: Make) -> None:
    comparison = make({"A": ranked(1, lead=0.1), "B": ranked(1)}, seeds={"A": ("A",), "B": ("B",), "C": ("gone",)})
    comparison.table["value"] = [0.45, 0.25, 0.2]
    found = engine.compare.judge(comparison).metrics["ndcg_at_10"]
    assert (found.leader, found.unsure_of) == ("A", ("C",))
    assert [(pair.b, pair.reason) for pair in found.runs] == [("B", None), ("C", Reason.UNTESTED)]


def test_what_nobody_can_beat_is_no_rival(make: Make) -> None:
    users = {"A": ranked(1), "B": ranked(2), "oracle": ranked(3)}
    tested = engine.compare.pairs(make(users), "ndcg_at_10")
    assert [(pair.a, pair.b) for pair in tested] == [("A", "B")]


def test_what_is_not_here_cannot_be_tested(make: Make) -> None:
    assert (
        engine.compare.pairs(make({"A": ranked(1), "B": np.full(200, NO), "C": ranked(1, 1)}), "ndcg_at_10")[0].reason is Reason.FEW_USERS
    )
    gone = make({"A": ranked(1)}, seeds={"A": ("A",), "B": ("gone",)})
    assert engine.compare.pairs(gone, "ndcg_at_10") == []
    assert engine.compare.testable(gone) == []
    assert engine.compare.testable(make({"A": ranked(1), "B": ranked(2)})) == ["ndcg_at_10"]


def test_nine_users_tell_nothing_and_ten_something(make: Make) -> None:
    for users, told in ((9, False), (10, True)):
        (pair,) = engine.compare.pairs(make({"A": ranked(1, users, 0.3), "B": ranked(1, users)}), "ndcg_at_10")
        assert (pair.reason is Reason.FEW_USERS, pair.p is None, pair.low is None) == (not told,) * 3


def measured(values: np.ndarray) -> Measured:
    return Measured("AB", values.mean(axis=0), (values - values.mean(axis=0)) / len(values))


def one_test(values: np.ndarray, threshold: float = 0.0, seeds: float = 0.0) -> paired_tests.PairedTest:
    noise = SeedNoise(seeds**2)
    return paired_tests.test_pairs(measured(values), [noise, noise], np.full((2, 2), threshold))[0]


def test_the_smallest_visible_difference_is_seen_in_four_of_five_tests() -> None:
    rng, users = np.random.default_rng(3), 150
    smallest = np.mean([one_test(rng.normal(0, 1, (users, 2))).smallest for _ in range(200)])
    seen = [one_test(rng.normal(0, 1, (users, 2)) + np.array([smallest, 0])).p < 0.05 for _ in range(1500)]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.03)


def test_the_users_that_are_needed_are_those_that_it_takes() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0, 1, (200, 2))
    values[:, 0] += 0.1 - (values[:, 0] - values[:, 1]).mean()  # the difference is 0.1
    needed = one_test(values).needed
    spread = (values[:, 0] - values[:, 1]).std(ddof=1)
    draws = {n: rng.normal(0.1, spread, (1000, n)) for n in (int(0.85 * needed), int(needed), int(1.15 * needed))}
    power = [np.mean(abs(stats.ttest_1samp(own, 0, axis=1).statistic) > 1.96) for own in draws.values()]
    assert power == pytest.approx([0.74, 0.8, 0.86], abs=0.05)


def test_no_number_of_users_tells_what_seeds_hide() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0, 1, (400, 2)) + np.array([0.05, 0])
    assert one_test(values, seeds=1.0).needed == np.inf
    assert np.isfinite(one_test(values, seeds=0.001).needed)


def test_equivalence_is_shown_by_two_one_sided_tests() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(0, 1, (300, 2))
    apart, threshold = values[:, 0] - values[:, 1], 0.3
    theirs = max(
        stats.ttest_1samp(apart, -threshold, alternative="greater").pvalue, stats.ttest_1samp(apart, threshold, alternative="less").pvalue
    )
    assert one_test(values, threshold).p_same == pytest.approx(theirs)
    border = [one_test(rng.normal(0, 1, (60, 2)) + np.array([threshold, 0]), threshold).p_same < 0.05 for _ in range(2000)]
    assert np.mean(border) <= 0.06  # what is just as large as matters is called the same in one of twenty


def write(folder: Path, run_id: str, score: np.ndarray, label: np.ndarray, known: np.ndarray) -> None:
    (folder / "runs" / run_id / RESULTS).mkdir(parents=True)
    rows = {"user": np.arange(1, len(score) + 1, dtype=np.int32), "item": np.int32(1), "label": label.astype(np.float32)}
    frame = pd.DataFrame(rows).assign(known=known, score=score.astype(np.float32))
    frame.to_parquet(folder / "runs" / run_id / RESULTS / SCORED)


def scores(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < 0.3).astype(float)
    truth = label + rng.normal(0, 1, rows)
    return np.round(truth, 1), np.round(truth + rng.normal(0, 0.7, rows), 1), label, rng.random(rows) < 0.9


def test_areas_with_a_row_a_user_are_tested_as_delong_does(make: Make, tmp_path: Path) -> None:
    a, b, label, known = scores(1)
    for run_id, score in (("A", a), ("B", b)):
        write(tmp_path, run_id, score, label, known)
    comparison = make({"A": np.array([0.8]), "B": np.array([0.7])}, "auc")
    (pair,) = engine.compare.pairs(comparison, "auc")
    areas = [roc_auc_score(label[known], one[known]) for one in (a, b)]
    assert (pair.difference, pair.n) == (pytest.approx(areas[0] - areas[1], abs=1e-6), known.sum())
    liked, placed = label[known] > 0.5, []
    for one in (a[known], b[known]):
        wins = 1.0 * (one[liked][:, None] > one[~liked]) + 0.5 * (one[liked][:, None] == one[~liked])
        placed.append((wins.mean(1), wins.mean(0)))
    s10, s01 = (np.cov([part[side] for part in placed]) for side in (0, 1))
    delong = np.sqrt(np.array([1, -1]) @ (s10 / liked.sum() + s01 / (~liked).sum()) @ np.array([1, -1]))
    assert pair.high is not None and pair.low is not None
    of_seeds = sum(one.deviation**2 for one in engine.compare.judge(comparison).metrics["auc"].allowances.values())
    assert of_seeds == 0
    assert pair.high - pair.low == pytest.approx(2 * 1.966 * delong, rel=0.005)
    assert pair.answer is Answer.A_BETTER
    assert engine.compare.testable(comparison) == ["auc"]


def test_rows_that_differ_between_runs_are_not_paired(make: Make, tmp_path: Path) -> None:
    a, b, label, known = scores(1)
    write(tmp_path, "A", a, label, known)
    write(tmp_path, "B", b, 1 - label, known)
    assert engine.compare.pairs(make({"A": np.array([0.8]), "B": np.array([0.7])}, "auc"), "auc") == []
    one_class = np.zeros(len(a))
    for run_id, score in (("C", a), ("D", b)):
        write(tmp_path, run_id, score, one_class, known)
    assert engine.compare.pairs(make({"C": np.array([0.8]), "D": np.array([0.7])}, "auc"), "auc") == []


def clicks(seed: int, skill: float, users: int = 40) -> pd.DataFrame:
    """Test rows of users with few or many rows each, the same whatever the skill, and logits that know the labels so well."""
    rng = np.random.default_rng(seed)
    user = np.sort(rng.integers(1, users + 1, 30 * users))
    taste = rng.normal(0, 1, users + 1)[user]
    label = (rng.random(len(user)) < 1 / (1 + np.exp(-taste))).astype(np.float32)
    logit = skill * (label - 0.4) + 0.5 * taste + np.random.default_rng(int(skill * 100)).normal(0, 1, len(user))
    return pd.DataFrame({"user": user, "item": 1, "label": label, "known": rng.random(len(user)) < 0.9, "score": logit.astype(np.float32)})


def keep(folder: Path, run_id: str, frame: pd.DataFrame) -> pd.DataFrame:
    (folder / "runs" / run_id / RESULTS).mkdir(parents=True)
    frame.to_parquet(folder / "runs" / run_id / RESULTS / SCORED)
    return frame[frame["known"]]


def area(rows: pd.DataFrame) -> float:
    return float(roc_auc_score(rows["label"], rows["score"]))


def loss(rows: pd.DataFrame) -> float:
    p = 1 / (1 + np.exp(-rows["score"].to_numpy(float)))
    return float(np.where(rows["label"] > 0.5, -np.log(p), -np.log(1 - p)).mean())


def area_of_each(rows: pd.DataFrame) -> float:
    both = [own for _, own in rows.groupby("user") if own["label"].nunique() > 1]
    return float(np.average([area(own) for own in both], weights=[len(own) for own in both]))


@pytest.mark.parametrize("metric, formula", [("auc", area), ("log_loss", loss), ("user_auc", area_of_each)])
def test_metrics_over_rows_are_tested_with_those_of_a_user_together(
    make: Make, tmp_path: Path, metric: str, formula: Callable[[pd.DataFrame], float]
) -> None:
    a, b = (keep(tmp_path, run_id, clicks(1, skill)) for run_id, skill in (("A", 1.2), ("B", 0.9)))
    (pair,) = engine.compare.pairs(make({"A": np.array([0.6]), "B": np.array([0.7])}, metric), metric)
    assert pair.difference == pytest.approx(formula(a) - formula(b), abs=1e-6)
    assert pair.unit == "users" and pair.n == a["user"].nunique()
    if metric == "user_auc":
        return  # its errors are held against a bootstrap where they are made
    rng, drawn = np.random.default_rng(2), []
    rows = {user: np.flatnonzero(a["user"] == user) for user in a["user"].unique()}
    for _ in range(120):
        users = rng.choice(list(rows), len(rows))
        some, owner = np.concatenate([rows[user] for user in users]), np.repeat(np.arange(len(users)), [len(rows[user]) for user in users])
        drawn.append(formula(a.iloc[some].assign(user=owner)) - formula(b.iloc[some].assign(user=owner)))
    assert pair.high is not None and pair.low is not None
    assert pair.high - pair.low == pytest.approx(2 * 2.02 * np.std(drawn), rel=0.22)


def test_rows_of_nobody_count_one_by_one(make: Make, tmp_path: Path) -> None:
    a, b, label, known = scores(6)
    for run_id, score in (("A", a), ("B", b)):
        write(tmp_path, run_id, score, label, known)
        path = tmp_path / "runs" / run_id / RESULTS / SCORED
        pd.read_parquet(path).assign(user=0).to_parquet(path)
    (pair,) = engine.compare.pairs(make({"A": np.array([0.8]), "B": np.array([0.7])}, "log_loss"), "log_loss")
    assert (pair.n, pair.unit) == (known.sum(), "rows")


def test_popularity_is_tested_with_the_likes_of_train_as_its_scores(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, _, label, known = scores(7)
    write(tmp_path, "A", a, label, known)
    path, item = tmp_path / "runs" / "A" / RESULTS / SCORED, np.random.default_rng(1).integers(0, 4, len(a))
    pd.read_parquet(path).assign(item=item.astype(np.int32)).to_parquet(path)
    pd.DataFrame({"row": [2, 1, 3, 0], "train_positives": [5, 9, 1, 0]}).to_parquet(tmp_path / ITEMS)
    dataset = SimpleNamespace(path=tmp_path, manifest={"label": {"output": "binary"}})
    monkeypatch.setattr(datasets, "get_dataset", lambda dataset_id: dataset)
    monkeypatch.setattr(lists_at_k, "list_facts", lambda dataset_id, target: None)
    comparison = make({"A": np.array([0.8]), "popularity": np.array([0.6]), "random": np.array([0.5])}, "auc")
    (pair,) = engine.compare.pairs(comparison, "auc")
    assert (pair.a, pair.b) == ("A", "popularity")
    popular = np.array([0, 9, 5, 1])[item]
    assert pair.difference == pytest.approx(roc_auc_score(label[known], a[known]) - roc_auc_score(label[known], popular[known]), abs=1e-6)
    alone = make({"popularity": np.array([0.6]), "random": np.array([0.5])}, "auc")
    assert engine.compare.pairs(alone, "auc") == [] and row_metrics.estimates_of(alone) == {}


def test_rated_sets_are_tested_over_users(make: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    users, ratings = np.repeat(np.arange(40), 3), rng.normal(3, 1, 120)
    for run_id, error in (("A", 0.3), ("B", 0.9)):
        a, _, label, known = scores(1)
        write(tmp_path, run_id, a, label, known)
        predicted = ratings + np.random.default_rng(int(10 * error)).normal(0, error, 120)
        frame = pd.DataFrame({"user": users, "rating": ratings, "score": predicted, "predicted": predicted})
        frame.to_parquet(tmp_path / "runs" / run_id / RESULTS / "rated_sets.parquet")
    for key, answer in (("set_rmse", "a better"), ("set_spearman", "a better")):
        (pair,) = engine.compare.pairs(make({"A": np.array([0.3]), "B": np.array([0.9])}, key), key)
        assert (pair.answer.value, pair.n, pair.unit) == (answer, 40, "users")


def test_lists_at_another_k_are_tested_with_what_they_say_of_each_user(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    users = {"A": ranked(1), "B": ranked(2), "popularity": ranked(3)}
    at_5 = {key: ranked(seed, lead=0.02) for seed, key in enumerate(users, 11)}
    comparison = make(users, "ndcg_at_5").model_copy(update={"k": 5})
    frame = {key: pd.DataFrame({"user_id": [str(at) for at in range(200)], "ndcg_at_5": own}).iloc[::-1] for key, own in at_5.items()}
    monkeypatch.setattr(
        runs, "per_user", lambda run_id: pd.DataFrame({"user_id": [str(at) for at in range(200)], "ndcg_at_10": users[run_id]})
    )
    monkeypatch.setattr(runs, "get_run", lambda run_id: SimpleNamespace(run_id=run_id, metrics={"ndcg_at_10": 0.5}, dataset="d"))
    monkeypatch.setattr(cells, "protocol_of", lambda run: Protocol())
    monkeypatch.setattr(lists_at_k, "list_facts", lambda dataset, target: ("facts",))
    monkeypatch.setattr(lists_at_k, "of_run", lambda run_id, protocol, known, k: lists_at_k.ListMetrics(frame[run_id], {}))
    monkeypatch.setattr(datasets, "baseline_per_user", lambda dataset, name: pd.DataFrame({"user_id": ["0"], "ndcg_at_10": [0.0]}).iloc[:0])
    monkeypatch.setattr(lists_at_k, "of_baseline", lambda name, known, k: None)  # kept no lists
    (pair,) = engine.compare.pairs(comparison, "ndcg_at_5")
    assert pair.difference == pytest.approx((at_5["A"] - at_5["B"]).mean())
    assert engine.compare.testable(comparison) == ["ndcg_at_5"]
