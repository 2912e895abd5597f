"""Sources: what all of them promise, and the planted world of the sample."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from engine.cli import main
from engine.datasets.rules import LABELS_OF
from engine.datasets.spec import DatasetSpec
from engine.sources import SOURCES
from engine.sources.base import SourceSpec
from engine.sources.sample import SampleSource
from tests.alike import same_in_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL = SampleSource(users=60, items=40, interactions=700, seed=3)


def test_the_sample_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    pd.testing.assert_frame_equal(SMALL.frame(), SampleSource(**SMALL.model_dump()).frame())
    other = SMALL.model_copy(update={"seed": 4})
    assert not SMALL.frame().equals(other.frame())
    assert SMALL.fingerprint() != other.fingerprint()


def test_spark_generates_the_very_same_sample(spark: "SparkSession") -> None:
    same_in_spark(SMALL, spark)
    tables = SMALL.load(spark)
    assert tables.users is not None
    pd.testing.assert_frame_equal(tables.users.toPandas(), SMALL.users_frame())
    assert {f.name for f in SMALL.features()} < {*SMALL.users_frame(), *SMALL.items_frame()}


def test_the_sample_has_the_size_asked_for_and_believable_columns() -> None:
    rows, items = SampleSource().frame(), SampleSource().items_frame()
    assert (len(rows), rows["user_id"].nunique(), rows["item_id"].nunique()) == (60_000, 1000, 600)
    assert not rows.duplicated(["user_id", "item_id"]).any()
    assert set(rows["rating"]) == {1, 2, 3, 4, 5}
    assert 0.4 < (rows["rating"] >= 4).mean() < 0.7
    days = (rows["timestamp"].max() - rows["timestamp"].min()) / 86_400
    assert 700 < days <= 730
    assert items["title"].is_unique
    assert items["title"].str.fullmatch(r".+ \(\d{4}\)").all()
    popular = rows["item_id"].value_counts()
    assert popular.iloc[:60].sum() > 2 * popular.iloc[-300:].sum() / 5, "a long tail"


def test_the_sample_is_generated_in_parts_that_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.sources import sample

    monkeypatch.setattr(sample, "CHUNK_CELLS", 400)
    assert sample.num_chunks(SMALL) == 6
    rows = SMALL.frame()
    assert len(rows) == 700
    assert rows["user_id"].nunique() == 60
    assert len(SMALL.frame(limit=100)) == 100


def test_tastes_of_the_sample_can_be_found_and_popularity_cannot_find_them() -> None:
    """A linear item-item model (EASE, Steck 2019) on the first nine tenths ranks the last tenth far better than popularity."""
    rows = SampleSource().frame()
    users, items = rows["user_id"].astype(int).to_numpy() - 1, rows["item_id"].astype(int).to_numpy() - 1
    train = (rows["timestamp"] < rows["timestamp"].quantile(0.9)).to_numpy()
    liked = (rows["rating"] >= 4).to_numpy()
    seen, held_out = np.zeros((1000, 600), bool), np.zeros((1000, 600), bool)
    seen[users[train], items[train]] = True
    held_out[users[~train & liked], items[~train & liked]] = True
    positive = np.zeros((1000, 600))
    positive[users[train & liked], items[train & liked]] = 1
    inverse = np.linalg.inv(positive.T @ positive + 300 * np.eye(600))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)

    def recall_at_10(scores: np.ndarray) -> float:
        top = np.argsort(-np.where(seen, -np.inf, scores), axis=1)[:, :10]
        ranked = held_out.any(axis=1)
        hits = np.take_along_axis(held_out, top, axis=1).sum(axis=1)
        return float((hits[ranked] / held_out.sum(axis=1)[ranked]).mean())

    popularity = recall_at_10(np.broadcast_to(positive.sum(axis=0), seen.shape))
    assert recall_at_10(positive @ weights) > 1.5 * popularity > 0


def test_an_impossible_sample_is_refused_with_what_would_do() -> None:
    with pytest.raises(ValidationError, match="allow 100 to 133"):
        SampleSource(users=20, items=20, interactions=600)


every_source = pytest.mark.parametrize("kind", SOURCES.values(), ids=SOURCES.keys())


@every_source
def test_every_source_describes_itself(kind: type[SourceSpec]) -> None:
    assert kind.label
    assert kind.description
    assert all(field.description for name, field in kind.model_fields.items() if name != "kind")


@every_source
def test_every_source_gives_a_spec_to_start_from(kind: type[SourceSpec], capsys: pytest.CaptureFixture[str], workspace: Path) -> None:
    """`recbench spec dataset --source …` before there is any file: what a spec needs of a source reads none."""
    name = kind.model_fields["kind"].default
    main(["spec", "dataset", "--source", name])
    printed = capsys.readouterr()
    spec = DatasetSpec.model_validate_json(printed.out)
    assert isinstance(spec.source, kind)
    assert spec.source.reading().value in LABELS_OF
    assert all(field in printed.err for field in kind.model_fields if field != "kind")
