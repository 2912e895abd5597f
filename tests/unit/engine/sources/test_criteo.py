"""Criteo: tabs or commas, header or none, one file or a folder of days; no user, no item."""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.datasets.spec import DatasetSpec
from engine.sources.criteo import CATEGORIES, COUNTS, CriteoSource
from tests.alike import same_in_spark, set_aside

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HEADER = ["label", *COUNTS, *CATEGORIES]


def row(label: str = "1", count: str = "5", category: str = "68fd1e64") -> list[str]:
    return [label, count, "-1", "", *["0"] * 10, category, "", *["05db9164"] * 24]


def written(path: Path, rows: list[list[str]], separator: str = "\t") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(separator.join(fields) + "\n" for fields in rows))
    return path


def source(path: Path) -> CriteoSource:
    return CriteoSource(path=str(path))


@pytest.mark.parametrize("separator", ["\t", ","])
@pytest.mark.parametrize("header", [[], [HEADER], [[name.upper() for name in HEADER]]], ids=["bare", "header", "capitals"])
def test_every_way_it_is_written_gives_the_same_rows(
    tmp_path: Path, workspace: Path, spark: "SparkSession", separator: str, header: list[list[str]]
) -> None:
    found = source(written(tmp_path / "train.txt", [*header, row("0"), row("1", "7.0", "abc")], separator))
    found.check()
    rows = same_in_spark(found, spark)
    assert list(rows.columns) == ["rating", *COUNTS, *CATEGORIES, "problem", "raw"]
    assert rows[["rating", "I1", "I2", "I3", "C1", "C2"]].to_numpy().tolist() == [
        ["0", "5", "-1", "", "68fd1e64", ""], ["1", "7.0", "-1", "", "abc", ""],
    ]  # fmt: skip
    assert set_aside(found) == {}


def test_columns_of_a_header_are_found_by_name(tmp_path: Path, workspace: Path, spark: "SparkSession") -> None:
    names = ["day", *reversed(HEADER)]
    found = source(written(tmp_path / "train.csv", [names, ["3", *reversed(row())]], ","))
    found.check()
    rows = same_in_spark(found, spark)
    assert rows[["rating", "I1", "C1"]].to_numpy().tolist() == [["1", "5", "68fd1e64"]]


def test_rows_that_cannot_be_read_are_set_aside(tmp_path: Path, workspace: Path, spark: "SparkSession") -> None:
    bad = [row()[:-1], [*row(), "more"], row("2"), row("")]
    found = source(written(tmp_path / "train.txt", [row(), *bad, row("0")]))
    found.check()
    same_in_spark(found, spark)
    assert list(set_aside(found).values()) == [
        "39 fields instead of 40", "41 fields instead of 40", "the rating is outside 0 to 1", "no rating",
    ]  # fmt: skip
    assert "\t".join(bad[0]) in set_aside(found)


def test_a_folder_of_days_is_read_in_the_order_of_days_packed_or_not(tmp_path: Path, workspace: Path, spark: "SparkSession") -> None:
    for day in (10, 2):
        written(tmp_path / "days" / f"day_{day}", [row(count=str(day))] * 2)
    text = (tmp_path / "days" / "day_2").read_bytes().replace(b"\t2\t", b"\t0\t")
    (tmp_path / "days" / "day_0.gz").write_bytes(gzip.compress(text))
    (tmp_path / "days" / "README.txt").write_text("not a day")
    found = source(tmp_path / "days")
    found.check()
    assert same_in_spark(found, spark, in_order=False)["I1"].value_counts().to_dict() == {"0": 2, "10": 2, "2": 2}
    assert found.frame()["I1"].tolist() == ["0", "0", "2", "2", "10", "10"]
    assert len(found.frame(limit=3)) == 3
    written(tmp_path / "days" / "day_3", [row()], ",")
    with pytest.raises(ValueError, match=r"day_3 is written unlike day_0\.gz"):
        found.check()


def test_what_is_not_criteo_is_refused(tmp_path: Path, workspace: Path) -> None:
    with pytest.raises(ValueError, match="39 columns, as test sets without a label"):
        source(written(tmp_path / "test.txt", [row()[1:]])).check()
    with pytest.raises(ValueError, match="3 fields instead of 40"):
        source(written(tmp_path / "other.txt", [["1", "2", "3"]])).check()
    with pytest.raises(ValueError, match="neither a label of 0 or 1 nor the header"):
        source(written(tmp_path / "header.txt", [["clicked", *HEADER[1:]], row()])).check()
    with pytest.raises(ValueError, match="is empty"):
        source(written(tmp_path / "empty.txt", [])).check()
    with pytest.raises(ValueError, match="holds no row"):
        source(written(tmp_path / "only.txt", [HEADER])).check()
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        source(tmp_path / "nowhere").check()
    with pytest.raises(ValueError, match="no day_"):
        source(tmp_path).check()
    whole = gzip.compress(("\t".join(row()) + "\n").encode() * 50_000)
    (tmp_path / "torn.txt.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        source(tmp_path / "torn.txt.gz").frame()


def test_it_says_that_it_names_no_user_and_no_item(tmp_path: Path) -> None:
    found = source(written(tmp_path / "train.txt", [row()]))
    reading = found.reading()
    assert not (reading.user or reading.item or reading.time)
    assert {f.side for f in found.features()} == {"context"}
    assert [f.kind for f in found.features()] == ["dense"] * 13 + ["single"] * 26
    assert "only DLRM and DeepFM" in found.notes()[0]
    spec = DatasetSpec.model_validate({"source": found.model_dump()})
    assert (spec.label.kind, spec.split.kind, spec.history, spec.log1p) == ("given", "random", 0, COUNTS)


def test_the_real_sample_is_read_whole(criteo: Path, workspace: Path, spark: "SparkSession") -> None:
    found = source(criteo)
    found.check()
    rows = same_in_spark(found, spark)
    assert len(rows) == 200
    assert rows["rating"].value_counts().to_dict() == {"0": 151, "1": 49}
    assert rows["C26"].eq("").any()
    assert set_aside(found) == {}
