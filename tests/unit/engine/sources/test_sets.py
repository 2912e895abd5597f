"""Learning from Sets: item ratings as themselves, set ratings as weighted rows or to be tested on, and what cannot be read."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from engine.datasets.spec import DatasetSpec
from engine.sources.sets import SetsSource
from tests.alike import same_in_spark, set_aside

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ITEMS = "7fd,1265,4.0,2013-01-02 03:04:05\n7fd,2,3.5,2013-01-02 03:04:06\n9ab,2,0.5,2015-11-12 13:14:15\n"
SETS = "7fd,1265,2628,6299,82459,134853,4.0,2016-03-12 22:10:24\n9ab,2,4,5,7,9,2.5,2016-03-12 22:10:42\n"
BAD_SETS = {
    "7fd,1,2,3,4,5,4.0": "7 fields instead of 8",
    ",1,2,3,4,5,4.0,2016-03-12 22:10:24": "a set without a user",
    "7fd,1,2,,4,5,4.0,2016-03-12 22:10:24": "a set with fewer than 5 items",
    "7fd,1,2,3,4,5,good,2016-03-12 22:10:24": "a set whose rating is not a number",
    "7fd,1,2,3,4,5,NaN,2016-03-12 22:10:24": "a set whose rating is not a number",
    "7fd,1,2,3,4,5,4d,2016-03-12 22:10:24": "a set whose rating is not a number",
    "7fd,1,2,3,4,5,5.5,2016-03-12 22:10:24": "a set whose rating is outside 0.5 to 5",
    "7fd,1,2,3,4,5,4.0,2016-02-30 22:10:24": "a set whose timestamp cannot be read",
    "7fd,1,2,3,4,5,4.0,1457820624": "a set whose timestamp cannot be read",
    "7fd,1,2,3,4,5,4.0,": "a set whose timestamp cannot be read",
}


def release(folder: Path, items: str | None = ITEMS, sets: str | None = SETS, movies: bool = True) -> Path:
    folder.mkdir(parents=True)
    if items is not None:
        (folder / "item_ratings.csv").write_text("userId,movieId,rating,timestamp\n" + items)
    if sets is not None:
        columns = ",".join(f"movieId_{k}" for k in range(1, 6))
        (folder / "set_ratings.csv").write_text(f"userId,{columns},rating,timestamp\n" + sets)
    if movies:
        (folder / "movies.csv").write_text("movieId,title,genres\n2,Jumanji (1995),Adventure|Children\n1265,Groundhog Day (1993),Comedy\n")
    return folder


def source(path: Path, **more: object) -> SetsSource:
    return SetsSource.model_validate({"kind": "sets", "path": str(path), **more})


def test_item_ratings_are_rows_and_sets_are_kept_to_be_tested_on(tmp_path: Path, workspace: Path, spark: "SparkSession") -> None:
    found = source(release(tmp_path / "sets"))
    found.check()
    rows = same_in_spark(found, spark)
    assert rows["item_id"].tolist() == ["1265", "2", "2"]
    assert "weight" not in rows
    assert set_aside(found) == {}
    sets = found.load(spark).sets
    assert sets is not None
    first, _ = sets.collect()
    assert first.asDict() == {
        "user_id": "7fd", "item_ids": ["1265", "2628", "6299", "82459", "134853"], "rating": 4.0, "timestamp": 1_457_820_624,
    }  # fmt: skip


def test_sets_to_train_on_are_five_rows_of_a_fifth_each(tmp_path: Path, workspace: Path, spark: "SparkSession") -> None:
    found = source(release(tmp_path / "sets"), set_ratings="train")
    rows = same_in_spark(found, spark)
    assert rows["weight"].tolist() == [1.0] * 3 + [0.2] * 10
    assert rows.iloc[3:8][["user_id", "rating", "timestamp"]].drop_duplicates().to_numpy().tolist() == [
        ["7fd", "4.0", "2016-03-12 22:10:24"]
    ]
    assert rows["item_id"].iloc[3:8].tolist() == ["1265", "2628", "6299", "82459", "134853"]
    tables = found.load(spark)
    assert tables.sets is not None
    assert tables.sets.count() == 2
    assert found.fingerprint() != source(tmp_path / "sets").fingerprint()
    assert len(found.frame(limit=4)) == 4


@pytest.mark.parametrize("use", ["evaluate", "train"])
def test_a_set_that_cannot_be_read_is_set_aside_whole(tmp_path: Path, workspace: Path, spark: "SparkSession", use: str) -> None:
    found = source(release(tmp_path / "sets", sets=SETS + "\n".join(BAD_SETS)), set_ratings=use)
    found.check()
    rows = same_in_spark(found, spark)
    assert len(rows) == 3 + len(BAD_SETS) + (10 if use == "train" else 0)
    assert set_aside(found) == BAD_SETS
    sets = found.load(spark).sets
    assert sets is not None
    assert sets.count() == 2


def test_item_ratings_that_cannot_be_read_are_set_aside(tmp_path: Path, workspace: Path, spark: "SparkSession") -> None:
    bad = "7fd,2\n7fd,2,six,2013-01-02 03:04:06\n7fd,2,6,2013-01-02 03:04:06\n7fd,2,4,someday\n,2,4,2013-01-02 03:04:06\n"
    found = source(release(tmp_path / "sets", items=ITEMS + bad))
    same_in_spark(found, spark)
    assert list(set_aside(found).values()) == [
        "2 fields instead of 4", "the rating is not a number", "the rating is outside 0.5 to 5", "the timestamp cannot be read",
        "no user id",
    ]  # fmt: skip


def test_either_file_may_be_absent_and_it_is_said(tmp_path: Path, workspace: Path, spark: "SparkSession") -> None:
    alone = source(release(tmp_path / "alone", items=None, movies=False))
    alone.check()
    assert len(same_in_spark(alone, spark)) == 10, "the sets are the training data then"
    assert alone.features() == ()
    assert alone.items_frame().empty
    assert alone.load(spark).items is None
    told = " ".join(alone.notes())
    assert "no item_ratings.csv" in told
    assert "Without movies.csv" in told
    items = source(release(tmp_path / "items", sets=None))
    assert len(same_in_spark(items, spark)) == 3
    assert items.load(spark).sets is None
    assert "no set_ratings.csv" in " ".join(items.notes())
    release(tmp_path / "none", items=None, sets=None)
    with pytest.raises(ValueError, match=r"neither item_ratings\.csv nor set_ratings\.csv"):
        source(tmp_path / "none").check()


def test_titles_come_from_the_folder_itself_or_from_another_release(tmp_path: Path, workspace: Path) -> None:
    found = source(release(tmp_path / "sets"))
    assert found.items_frame()["title"].tolist() == ["Jumanji (1995)", "Groundhog Day (1993)"]
    assert [f.name for f in found.features()] == ["genres", "year"]
    assert "8 of 10 films have no title" in " ".join(found.notes())
    other = release(tmp_path / "downloads" / "ml-small", items=None, sets=None)
    bare = release(tmp_path / "bare", movies=False)
    for movies in (other, other / "movies.csv", other.parent):
        assert len(source(bare, movies=str(movies)).items_frame()) == 2
    with pytest.raises(FileNotFoundError, match=r"no movies\.csv at"):
        source(bare, movies=str(bare)).check()


def test_a_zip_reads_like_its_folder(tmp_path: Path, untouched: Path) -> None:
    folder = release(tmp_path / "sets")
    with zipfile.ZipFile(tmp_path / "sets.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        for path in folder.iterdir():
            opened.write(path, f"learning-from-sets-2019/{path.name}")
    packed = source(tmp_path / "sets.zip")
    assert packed.features() == source(folder).features()
    assert not untouched.exists(), "features are known without extracting"
    packed.check()
    pd.testing.assert_frame_equal(packed.frame(), source(folder).frame())
    assert packed.fingerprint() == source(folder).fingerprint() == source(tmp_path).fingerprint()


def test_a_file_that_begins_otherwise_is_refused(tmp_path: Path, workspace: Path) -> None:
    folder = release(tmp_path / "sets")
    (folder / "set_ratings.csv").write_text("user,items,rating\n1,2 3 4,5\n")
    with pytest.raises(ValueError, match=r"instead of the header userId,movieId_1,.*movieId_5,rating,timestamp"):
        source(folder).check()
    (tmp_path / "sets.txt").write_text("x")
    with pytest.raises(ValueError, match="neither a folder nor a"):
        source(tmp_path / "sets.txt").check()
    with pytest.raises(FileNotFoundError, match="no folder or zip file"):
        source(tmp_path / "nowhere").check()


def test_the_defaults_are_the_reference_methods_rule_and_a_split_that_knows_its_users() -> None:
    spec = DatasetSpec.model_validate({"source": {"kind": "sets", "path": "not/there"}})
    assert (spec.label.kind, spec.split.kind) == ("mean", "per_user")


def test_the_real_set_ratings_are_read_whole(set_ratings: Path, movies: Path, workspace: Path, spark: "SparkSession") -> None:
    found = source(set_ratings, movies=str(movies))
    found.check()
    rows = same_in_spark(found, spark)
    assert (len(rows), rows["user_id"].nunique(), rows["item_id"].nunique()) == (5 * 29_516, 854, 12_549)
    assert "5,241 of 12,549 films have no title" in " ".join(found.notes())
    assert set_aside(found) == {}
    sets = found.load(spark).sets
    assert sets is not None
    assert sets.count() == 29_516
    assert abs(found.size_hint() / len(rows) - 1) < 0.05
