"""Paired tests against scipy, scikit-learn and naive loops; on inputs that have nothing to test; and on what may be called a difference."""

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
from engine.compare import Comparison, Contender, Method, Reason, lists_at_k, paired_tests, paired_values
from workers.artifacts.results import ITEMS, RESULTS

NO = float("nan")
Users = dict[str, np.ndarray]
Make = Callable[..., Comparison]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    """A comparison by NDCG@10 of runs with such values per user; letters of several characters are baselines."""
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))

    def made(
        users: Users, metric: str = "ndcg_at_10", std: Any = None, settings: Any = None, seeds: Any = None, **models: str
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
        return Comparison(
            contenders=contenders, dataset="d", apart=[], table=table, curves=nothing, differences=nothing, costs=nothing, users=1,
            settings=settings,
        )  # fmt: skip

    return made


def ranked(seed: int, users: int = 200, lead: float = 0.0) -> np.ndarray:
    """Values as recall has them: most users 0, and many ties."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.integers(0, 5, users) / 4 * (rng.random(users) < 0.5) + lead, 0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_means_are_tested_as_scipy_tests_them(make: Make, seed: int) -> None:
    a, b = ranked(seed), ranked(seed + 100, lead=0.03)
    row = engine.compare.pairs(make({"A": a, "B": b}), "ndcg_at_10").iloc[0]
    assert (row["a"], row["b"], row["n"]) == ("A", "B", 200)
    assert row["difference"] == pytest.approx((a - b).mean())
    boot = stats.bootstrap((a - b,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    assert (row["low"], row["high"]) == pytest.approx((boot.low, boot.high), abs=0.1 * (boot.high - boot.low))
    flips = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1).pvalue
    assert row["p"] == pytest.approx(flips, abs=0.02)
    assert row["p_wilcoxon"] == pytest.approx(stats.wilcoxon(a, b, zero_method="pratt").pvalue)
    assert row["effect"] == pytest.approx((a - b).mean() / np.std(a - b, ddof=1))


def test_sign_flips_come_to_what_all_of_them_give() -> None:
    values = np.random.default_rng(3).normal(size=(8, 2)) + np.array([0.6, 0.0])
    every = stats.permutation_test((values[:, 0] - values[:, 1],), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert paired_tests.sign_flip_p(values, [(0, 1)])[0] == pytest.approx(every, abs=0.015)


def test_many_users_are_tested_by_the_limit_of_the_same_test(monkeypatch: pytest.MonkeyPatch, make: Make) -> None:
    users = {"A": ranked(1, 3000), "B": ranked(2, 3000, 0.01)}
    flipped = engine.compare.pairs(make(users), "ndcg_at_10").iloc[0]
    monkeypatch.setattr(paired_tests, "LARGE", 100)
    limit = engine.compare.pairs(make(users), "ndcg_at_10").iloc[0]
    assert limit["p"] == pytest.approx(flipped["p"], abs=0.02)
    assert (limit["low"], limit["high"]) == pytest.approx((flipped["low"], flipped["high"]), abs=0.002)


@pytest.mark.parametrize("seed", range(5))
def test_holm_steps_down_as_its_definition_says(seed: int) -> None:
    p = np.random.default_rng(seed).random(9) ** 4
    naive = [min(1.0, max((len(p) - sum(p < q)) * q for q in p if q <= one)) for one in p]
    assert paired_tests.holm(p) == pytest.approx(naive)
    assert paired_tests.holm(np.array([0.01, NO, 0.04])) == pytest.approx([0.02, NO, 0.04], nan_ok=True)
    assert len(paired_tests.holm(np.array([]))) == 0


def test_who_is_better_is_said_in_the_direction_that_is_better(make: Make) -> None:
    users = {"A": ranked(1), "B": ranked(1, lead=0.05)}
    assert engine.compare.pairs(make(users), "ndcg_at_10")["verdict"].tolist() == ["b better"]
    comparison = make(users, "rmse")
    assert engine.compare.pairs(comparison, "rmse")["verdict"].tolist() == ["a better"]
    found = engine.compare.judge(comparison).metrics["rmse"]
    assert (found.leader, found.unsure_of, found.winner) == ("A", (), "A")


def test_no_difference_between_equals(make: Make) -> None:
    row = engine.compare.pairs(make({"A": ranked(1), "B": ranked(1)}), "ndcg_at_10").iloc[0]
    assert (row["p"], row["p_holm"], row["verdict"], row["reason"]) == (1.0, 1.0, "no difference", "chance")
    assert np.isnan(row["p_wilcoxon"]) and np.isnan(row["effect"])


def test_two_seeds_of_one_model_are_never_told_apart(make: Make) -> None:
    users = {"A": ranked(1), "B": ranked(1, lead=0.05), "C": ranked(1, lead=0.1)}
    settings = pd.DataFrame(
        {"setting": ["train.seed", "model.dim", "model.l2"], "A": ["1", "8", None], "B": ["2", "8", None], "C": ["1", "9", None]}
    )
    models = dict.fromkeys("ABC", "two_tower")
    found = engine.compare.pairs(make(users, settings=settings, **models), "ndcg_at_10")
    assert found["p_holm"].max() < 0.001
    assert found["verdict"].tolist() == ["no difference", "b better", "b better"]
    assert found["reason"].tolist() == ["same settings", "", ""]


def test_a_lead_within_the_spread_of_seeds_is_no_difference(make: Make) -> None:
    users = {"1": ranked(1, lead=0.04), "2": ranked(1, lead=0.06), "B": ranked(1)}
    groups = {"A": ("1", "2"), "B": ("B",)}
    found = engine.compare.pairs(make(users, std={"A": 0.06}, seeds=groups), "ndcg_at_10").iloc[0]
    assert found["difference"] == pytest.approx((users["1"] + users["2"]).mean() / 2 - users["B"].mean())
    assert (found["verdict"], found["reason"], found["spread"]) == ("no difference", "seeds", 0.06)
    assert engine.compare.pairs(make(users, std={"A": 0.01}, seeds=groups), "ndcg_at_10")["verdict"].tolist() == ["a better"]


def test_who_is_ahead_and_of_whom_that_is_not_sure(make: Make) -> None:
    users = {"A": ranked(1, lead=0.05), "B": ranked(1, lead=0.0501) + ranked(5) / 50, "C": ranked(1), "popularity": ranked(1)}
    found = engine.compare.judge(make(users)).metrics["ndcg_at_10"]
    assert (found.leader, found.unsure_of, found.winner) == ("B", (), "B")
    assert {pair.method for pair in found.runs} == {Method.TEST}
    users["A"] = users["B"] + np.tile([0.01, -0.0101], 100)
    found = engine.compare.judge(make(users)).metrics["ndcg_at_10"]
    assert (found.leader, found.unsure_of, found.winner) == ("B", ("A",), None)
    assert engine.compare.judge(make({"A": ranked(1)})).metrics["ndcg_at_10"].leader is None


def test_an_untested_rival_is_behind_where_intervals_are_apart(make: Make) -> None:
    comparison = make({"A": ranked(1, lead=0.1), "B": ranked(1)}, seeds={"A": ("A",), "B": ("B",), "C": ("gone",), "D": ("lost",)})
    ends = {"A": (0.4, 0.5, 0.45), "B": (0.2, 0.3, 0.25), "C": (0.1, 0.39, 0.2), "D": (0.1, 0.4, 0.2)}
    for place, name in enumerate(("low", "high", "value")):
        comparison.table[name] = [ends[letter][place] for letter in comparison.table["contender"]]
    found = engine.compare.judge(comparison).metrics["ndcg_at_10"]
    assert (found.leader, found.unsure_of) == ("A", ("D",))
    reasons = {pair.b: (pair.method, pair.reason) for pair in found.runs}
    assert reasons == {"B": (Method.TEST, None), "C": (Method.INTERVALS, None), "D": (Method.INTERVALS, Reason.OVERLAP)}


def test_a_baseline_that_is_a_run_too_and_what_nobody_can_beat_are_no_rivals(make: Make) -> None:
    users = {"A": ranked(1), "B": ranked(2), "popularity": ranked(1), "oracle": ranked(3)}
    found = engine.compare.pairs(make(users, A="popularity"), "ndcg_at_10")
    assert found[["a", "b"]].to_numpy().tolist() == [["A", "B"]]


def test_what_is_not_here_cannot_be_tested(make: Make) -> None:
    comparison = make({"A": ranked(1), "B": np.full(200, NO), "C": ranked(1, 1)})
    found = engine.compare.pairs(comparison, "ndcg_at_10")
    assert found.empty
    assert {"p_holm", "verdict"} <= set(found.columns)
    gone = make({"A": ranked(1)}, seeds={"A": ("A",), "B": ("gone",)})
    assert engine.compare.pairs(gone, "ndcg_at_10").empty
    assert engine.compare.testable(gone) == []
    assert engine.compare.testable(make({"A": ranked(1), "B": ranked(2)})) == ["ndcg_at_10"]


def write(folder: Path, run_id: str, score: np.ndarray, label: np.ndarray, known: np.ndarray) -> None:
    (folder / "runs" / run_id / RESULTS).mkdir(parents=True)
    rows = {"user": np.arange(len(score), dtype=np.int32), "item": np.int32(1), "label": label.astype(np.float32)}
    frame = pd.DataFrame(rows).assign(known=known, score=score.astype(np.float32))
    frame.to_parquet(folder / "runs" / run_id / RESULTS / paired_values.SCORED)


def scores(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < 0.3).astype(float)
    truth = label + rng.normal(0, 1, rows)
    return np.round(truth, 1), np.round(truth + rng.normal(0, 0.7, rows), 1), label, rng.random(rows) < 0.9


def test_areas_are_tested_over_rows(make: Make, tmp_path: Path) -> None:
    a, b, label, known = scores(1)
    for run_id, found in (("A", a), ("B", b)):
        write(tmp_path, run_id, found, label, known)
    comparison = make({"A": np.array([0.8]), "B": np.array([0.7])}, "auc")
    row = engine.compare.pairs(comparison, "auc").iloc[0]
    areas = [roc_auc_score(label[known], one[known]) for one in (a, b)]
    assert row["difference"] == pytest.approx(areas[0] - areas[1], abs=1e-6)
    assert row["n"] == known.sum()
    rng, drawn = np.random.default_rng(2), []
    for _ in range(2000):
        some = rng.choice(np.flatnonzero(known), known.sum())
        drawn.append(roc_auc_score(label[some], a[some]) - roc_auc_score(label[some], b[some]))
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * np.std(drawn), rel=0.06)
    assert row["verdict"] == "a better"
    assert engine.compare.testable(comparison) == ["auc"]


def test_the_variance_of_a_difference_is_that_of_delongs_matrices() -> None:
    a, b, label, _ = scores(4, 60)
    liked, naive = label > 0.5, []
    for one in (a, b):
        wins = (one[liked][:, None] > one[~liked]) + 0.5 * (one[liked][:, None] == one[~liked])
        naive.append((wins.mean(1), wins.mean(0)))
    s10, s01 = (np.cov([part[side] for part in naive]) for side in (0, 1))
    matrix, contrast = s10 / liked.sum() + s01 / (~liked).sum(), np.array([1, -1])
    mean, low, high, p, *_ = paired_tests.delong(*(paired_tests.placements(one, liked) for one in (a, b)))
    assert (high - low) / (2 * 1.96) == pytest.approx(np.sqrt(contrast @ matrix @ contrast), rel=1e-5)
    assert p == pytest.approx(2 * stats.norm.sf(abs(mean) / np.sqrt(contrast @ matrix @ contrast)), rel=1e-4)
    same = paired_tests.delong(*[paired_tests.placements(a, liked)] * 2)
    assert (same[0], same[3]) == (0.0, 1.0)


def test_rows_that_do_not_stand_beside_each_other_are_not_paired(make: Make, tmp_path: Path) -> None:
    a, b, label, known = scores(1)
    write(tmp_path, "A", a, label, known)
    write(tmp_path, "B", b, 1 - label, known)
    assert engine.compare.pairs(make({"A": np.array([0.8]), "B": np.array([0.7])}, "auc"), "auc").empty
    one_class = np.zeros(len(a))
    for run_id, found in (("C", a), ("D", b)):
        write(tmp_path, run_id, found, one_class, known)
    assert engine.compare.pairs(make({"C": np.array([0.8]), "D": np.array([0.7])}, "auc"), "auc").empty


def write_clicks(folder: Path, run_id: str, seed: int, skill: float, users: int = 40, lone: bool = False) -> pd.DataFrame:
    """Test rows of users with few or many rows each, the same whatever the skill, and logits that know the labels so well."""
    rng = np.random.default_rng(seed)
    user = np.sort(rng.integers(1, users + 1, 30 * users) if not lone else np.ones(30, int))
    label = (rng.random(len(user)) < 0.4).astype(np.float32)
    logit = skill * (label - 0.4) + np.random.default_rng(int(skill * 100)).normal(0, 1, len(user))
    frame = pd.DataFrame({"user": user, "item": 1, "label": label, "known": rng.random(len(user)) < 0.9, "score": logit.astype(np.float32)})
    (folder / "runs" / run_id / RESULTS).mkdir(parents=True)
    frame.to_parquet(folder / "runs" / run_id / RESULTS / paired_values.SCORED)
    return frame[frame["known"]]


def losses(rows: pd.DataFrame) -> np.ndarray:
    p = 1 / (1 + np.exp(-rows["score"].to_numpy(float)))
    return np.where(rows["label"] > 0.5, -np.log(p), -np.log(1 - p))


def test_log_loss_is_tested_over_rows_with_those_of_a_user_together(make: Make, tmp_path: Path) -> None:
    a, b = (write_clicks(tmp_path, run_id, 1, skill) for run_id, skill in (("A", 1.2), ("B", 0.9)))
    comparison = make({"A": np.array([0.6]), "B": np.array([0.7])}, "log_loss")
    row = engine.compare.pairs(comparison, "log_loss").iloc[0]
    apart = losses(a) - losses(b)
    of_users = [apart[a["user"] == user] for user in a["user"].unique()]
    assert (row["difference"], row["n"], row["unit"]) == (pytest.approx(apart.mean()), len(of_users), "users")
    sums = np.array([own.sum() for own in of_users])
    flips = stats.permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=20_000, rng=1).pvalue
    assert row["p"] == pytest.approx(flips, abs=0.01)
    rng, means = np.random.default_rng(5), []
    for _ in range(3000):
        means.append(np.concatenate([of_users[at] for at in rng.integers(0, len(of_users), len(of_users))]).mean())
    low, high = np.percentile(means, [2.5, 97.5])
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.1 * (high - low))
    assert row["verdict"] == "a better"  # the lower is
    assert engine.compare.testable(comparison) == ["log_loss"]


def test_a_users_rows_that_go_together_do_not_count_as_many(make: Make, tmp_path: Path) -> None:
    a, *_ = (write_clicks(tmp_path, run_id, 2, 1.0, users=12) for run_id in ("A", "B"))
    better = a["user"].isin([1, 2, 3, 4, 5, 6, 7])  # all rows of 7 of 12 users lean one way: much of 300 rows, little of 12 users
    frame = pd.read_parquet(tmp_path / "runs" / "B" / RESULTS / paired_values.SCORED)
    frame["score"] += np.where(frame["user"] <= 7, 1.0, -0.6) * np.where(frame["label"] > 0.5, 1, -1)
    frame.to_parquet(tmp_path / "runs" / "B" / RESULTS / paired_values.SCORED)
    row = engine.compare.pairs(make({"A": np.array([0.6]), "B": np.array([0.5])}, "log_loss"), "log_loss").iloc[0]
    apart = losses(a) - losses(frame[frame["known"]])
    assert better.mean() > 0.5 and stats.ttest_1samp(apart, 0).pvalue < 0.01 < 0.05 < row["p"]
    assert row["verdict"] == "no difference"


def test_area_of_each_user_is_tested_over_users_weighed_by_rows(make: Make, tmp_path: Path) -> None:
    a, b = (write_clicks(tmp_path, run_id, 3, skill) for run_id, skill in (("A", 1.5), ("B", 0.5)))
    row = engine.compare.pairs(make({"A": np.array([0.8]), "B": np.array([0.7])}, "user_auc"), "user_auc").iloc[0]
    both = [[own for _, own in rows.groupby("user") if own["label"].nunique() > 1] for rows in (a, b)]
    areas = [[roc_auc_score(own["label"], own["score"]) for own in of_users] for of_users in both]
    weights = np.array([len(own) for own in both[0]])
    apart = np.array(areas[0]) - np.array(areas[1])
    assert (row["difference"], row["n"]) == (pytest.approx(np.average(apart, weights=weights)), len(weights))
    flips = stats.permutation_test((apart * weights,), np.sum, permutation_type="samples", n_resamples=20_000, rng=1).pvalue
    assert row["p"] == pytest.approx(flips, abs=0.01)
    assert row["verdict"] == "a better"


@pytest.mark.parametrize("metric", ["user_auc", "log_loss"])
def test_one_user_is_no_test_and_equals_are_no_difference(make: Make, tmp_path: Path, metric: str) -> None:
    for run_id in ("A", "B"):
        write_clicks(tmp_path, run_id, 4, 1.0, lone=True)
    assert engine.compare.pairs(make({"A": np.array([0.8]), "B": np.array([0.7])}, metric), metric).empty
    for run_id in ("C", "D"):
        write_clicks(tmp_path, run_id, 4, 1.0)
    row = engine.compare.pairs(make({"C": np.array([0.8]), "D": np.array([0.8])}, metric), metric).iloc[0]
    assert (row["difference"], row["p"], row["verdict"], row["reason"]) == (0, 1, "no difference", "chance")


def test_rows_of_nobody_stand_for_themselves(make: Make, tmp_path: Path) -> None:
    a, b, label, known = scores(6)
    for run_id, found in (("A", a), ("B", b)):
        write(tmp_path, run_id, found, label, known)
        path = tmp_path / "runs" / run_id / RESULTS / paired_values.SCORED
        pd.read_parquet(path).assign(user=0).to_parquet(path)
    row = engine.compare.pairs(make({"A": np.array([0.8]), "B": np.array([0.7])}, "log_loss"), "log_loss").iloc[0]
    assert (row["n"], row["unit"]) == (known.sum(), "rows")


def test_weights_in_the_limit_give_what_resampling_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    values, weights = rng.normal(0.02, 1, (3000, 2)), rng.integers(1, 40, 3000).astype(float)
    some = paired_tests.over_users("AB", values, weights)[0]
    monkeypatch.setattr(paired_tests, "LARGE", 100)
    limit = paired_tests.over_users("AB", values, weights)[0]
    assert limit.p == pytest.approx(some.p, abs=0.02)
    assert (limit.low, limit.high) == pytest.approx((some.low, some.high), abs=0.06 * (some.high - some.low))


def test_popularity_is_tested_with_the_likes_of_train_as_its_scores(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, _, label, known = scores(7)
    write(tmp_path, "A", a, label, known)
    path, item = tmp_path / "runs" / "A" / RESULTS / paired_values.SCORED, np.random.default_rng(1).integers(0, 4, len(a))
    pd.read_parquet(path).assign(item=item.astype(np.int32)).to_parquet(path)
    pd.DataFrame({"row": [2, 1, 3, 0], "train_positives": [5, 9, 1, 0]}).to_parquet(tmp_path / ITEMS)
    monkeypatch.setattr(datasets, "get_dataset", lambda dataset: SimpleNamespace(path=tmp_path))
    monkeypatch.setattr(lists_at_k, "known", lambda dataset: None)
    comparison = make({"A": np.array([0.8]), "popularity": np.array([0.6]), "random": np.array([0.5])}, "auc")
    found = engine.compare.pairs(comparison, "auc")
    assert found[["a", "b"]].to_numpy().tolist() == [["A", "popularity"]]
    popular = np.array([0, 9, 5, 1])[item]
    assert found["difference"].iloc[0] == pytest.approx(
        roc_auc_score(label[known], a[known]) - roc_auc_score(label[known], popular[known]), abs=1e-6
    )
    assert engine.compare.testable(comparison) == ["auc"]
    alone = make({"popularity": np.array([0.6]), "random": np.array([0.5])}, "auc")
    assert engine.compare.pairs(alone, "auc").empty and paired_values.with_scores(alone) == []


def test_lists_at_another_k_are_tested_with_what_they_tell_of_each_user(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    users = {"A": ranked(1), "B": ranked(2), "popularity": ranked(3)}
    at_5 = {key: ranked(seed, lead=0.02) for seed, key in enumerate(users, 11)}
    comparison = make(users, "ndcg_at_5").model_copy(update={"k": 5})
    frame = {key: pd.DataFrame({"user_id": [str(at) for at in range(200)], "ndcg_at_5": own}).iloc[::-1] for key, own in at_5.items()}
    monkeypatch.setattr(
        runs, "per_user", lambda run_id: pd.DataFrame({"user_id": [str(at) for at in range(200)], "ndcg_at_10": users[run_id]})
    )
    monkeypatch.setattr(runs, "get_run", lambda run_id: run_id)
    monkeypatch.setattr(paired_values, "protocol_of", lambda run: None)
    monkeypatch.setattr(lists_at_k, "known", lambda dataset: ("facts",))
    monkeypatch.setattr(lists_at_k, "of_run", lambda run_id, protocol, known, k: lists_at_k.Measured(frame[run_id], {}))
    monkeypatch.setattr(datasets, "baseline_per_user", lambda dataset, name: pd.DataFrame({"user_id": ["0"], "ndcg_at_10": [0.0]}).iloc[:0])
    monkeypatch.setattr(lists_at_k, "of_baseline", lambda name, known, k: None)  # kept no lists
    row = engine.compare.pairs(comparison, "ndcg_at_5")
    assert row["difference"].tolist() == pytest.approx([(at_5["A"] - at_5["B"]).mean()])
    assert engine.compare.testable(comparison) == ["ndcg_at_5"]
