"""Made clicks: the same for the same spec, of the law they are said to follow."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from engine.sources import synthetic
from engine.sources.synthetic import SyntheticSource, cardinalities, oracle_auc
from workers.prepare.rows import read_frame

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPEC = SyntheticSource(rows=30_000, users=500, items=200)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return SPEC.frame()


def test_the_same_spec_makes_the_same_rows_and_another_seed_others(rows: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(SPEC.frame(), rows)
    pd.testing.assert_frame_equal(SPEC.frame(100), rows.head(100))
    other = SyntheticSource(rows=30_000, users=500, items=200, seed=8)
    assert not other.frame()["rating"].equals(rows["rating"])
    assert other.fingerprint() != SPEC.fingerprint()


def test_chunks_are_whole_and_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "CHUNK", 7000)
    whole = SPEC.frame()
    assert len(whole) == 30_000
    second = synthetic.make(SPEC, 1).to_pandas()
    pd.testing.assert_frame_equal(whole.iloc[7000:14_000].reset_index(drop=True), second)
    assert synthetic.make(SPEC, 4).num_rows == 2000
    assert not whole[["user_id", "D1", "timestamp"]].duplicated().any()


def test_clicks_follow_the_true_logit(rows: pd.DataFrame) -> None:
    chance = 1 / (1 + np.exp(-rows["oracle"]))
    assert rows["rating"].mean() == pytest.approx(chance.mean(), abs=0.01)
    assert rows["rating"].mean() == pytest.approx(0.25, abs=0.02)
    by_decile = rows.groupby(pd.qcut(chance, 10))["rating"].mean().to_numpy()
    expected = chance.groupby(pd.qcut(chance, 10)).mean().to_numpy()
    np.testing.assert_allclose(by_decile, expected, atol=0.035)


def test_more_signal_makes_a_better_oracle_and_as_many_clicks() -> None:
    specs = [SPEC.model_copy(update={"signal": signal}) for signal in (0.3, 1.5, 6.0)]
    best = [oracle_auc(spec) for spec in specs]
    assert best == sorted(best)
    assert best[0] < 0.65 < 0.9 < best[-1]
    for spec in specs:
        assert spec.frame()["rating"].mean() == pytest.approx(0.25, abs=0.02)


def test_spark_makes_the_same_rows(spark: "SparkSession") -> None:
    spec = SyntheticSource(rows=120_000)  # three chunks, the last one short
    loaded = spec.load(spark)
    assert loaded.users is None
    assert loaded.items is None
    pd.testing.assert_frame_equal(loaded.interactions.toArrow().to_pandas(), spec.frame())


def test_features_have_gaps_and_long_tails(rows: pd.DataFrame) -> None:
    assert rows["D1"].notna().all()
    assert rows["D13"].isna().mean() == pytest.approx(0.45, abs=0.02)
    assert rows["D1"].skew() > 2
    counts = rows["C26"].value_counts()
    assert counts.iloc[0] > 20 * counts.median()
    assert rows["C1"].nunique() == 3
    assert rows["timestamp"].between(synthetic.FIRST_DAY, synthetic.FIRST_DAY + synthetic.SPAN_S).all()
    read = read_frame(rows, SPEC.reading(), SPEC.features())
    assert read["reason"].isna().all()


def test_no_feature_and_no_simple_model_beats_the_oracle_though_one_learns(rows: pd.DataFrame) -> None:
    best = oracle_auc(SPEC)
    assert best == pytest.approx(roc_auc_score(rows["rating"], rows["oracle"]))
    assert best > 0.7
    numbers = np.log1p(rows[[f"D{k}" for k in range(1, 14)]]).fillna(0).to_numpy()
    few = pd.get_dummies(rows[["C1", "C2", "C3", "C4"]]).to_numpy(float)
    x, y = np.hstack([numbers, few]), rows["rating"].to_numpy()
    fitted = LogisticRegression(max_iter=500).fit(x[:20_000], y[:20_000])
    reached = roc_auc_score(y[20_000:], fitted.decision_function(x[20_000:]))
    single = max(abs(roc_auc_score(y, x[:, k]) - 0.5) for k in range(13)) + 0.5
    assert single < best
    assert 0.55 < reached < best
    assert f"{best:.4f}" in SPEC.notes()[0]


def test_the_largest_category_can_be_kept_small():
    small = SyntheticSource(rows=100_000, most_values=50)
    assert cardinalities(small)[-1] == 50
    assert cardinalities(small.model_copy(update={"most_values": 100_000}))[-1] == 10_000
    assert small.frame(2000)["C26"].nunique() <= 50
