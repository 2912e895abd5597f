"""MovieLens: what a release is told by, what is set aside, what is refused and how it is said."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from engine.sources.movielens import MovieLensSource
from tests.alike import same_in_spark, set_aside

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

U_ITEM = "1|Toy Story (1995)|01-Jan-1995||http://x|{}\n2|Café, The: Part 2 (1994)|01-Jan-1994||http://x|{}\n"


def release_100k(folder: Path, ratings: str = "196\t1\t3\t881250949\n007\t2\t5\t881250950\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    first, second = ["0"] * 19, ["0"] * 19
    first[3] = first[5] = second[8] = "1"  # Animation, Comedy; Drama
    (folder / "u.data").write_text(ratings, encoding="latin-1")
    (folder / "u.item").write_text(U_ITEM.format("|".join(first), "|".join(second)), encoding="latin-1")
    (folder / "u.user").write_text("196|49|M|writer|55105\n007|23|F|student|V1A2B\n", encoding="latin-1")
    return folder


def release_1m(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "ratings.dat").write_text("1::1193::5::978300760\n2::661::3::978302109\n")
    (folder / "movies.dat").write_bytes("661::Alien³: Again (1992)::Action|Sci-Fi\n1193::Nest (1975)::Drama\n".encode("latin-1"))
    (folder / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    return folder


def release_csv(folder: Path, ratings: str = "1,31,2.5,1260759144\n7,1029,0.5,1260759179\n") -> Path:
    folder.mkdir(parents=True)
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + ratings)
    titles = '31,"American President, The (1995)",Comedy|Drama\n1029,Dumbo,(no genres listed)\n'
    (folder / "movies.csv").write_text("movieId,title,genres\n" + titles, encoding="utf-8")
    return folder


def source(path: Path) -> MovieLensSource:
    return MovieLensSource(path=str(path))


def test_the_100k_layout_keeps_ids_as_text_and_latin_1_titles(tmp_path: Path, workspace: Path) -> None:
    found = source(release_100k(tmp_path / "ml"))
    found.check()
    rows = found.frame()
    assert rows[["user_id", "item_id", "rating", "timestamp"]].to_numpy().tolist() == [
        ["196", "1", "3", "881250949"], ["007", "2", "5", "881250950"],
    ]  # fmt: skip
    assert rows["problem"].isna().all()
    items = found.items_frame()
    assert items["title"].tolist() == ["Toy Story (1995)", "Café, The: Part 2 (1994)"]
    assert items["genres"].tolist() == ["Animation|Comedy", "Drama"]
    assert items["year"].tolist() == [1995, 1994]


def test_the_1m_layout_takes_its_separator_whole(tmp_path: Path, workspace: Path) -> None:
    found = source(release_1m(tmp_path / "ml"))
    found.check()
    assert found.frame()["rating"].tolist() == ["5", "3"]
    assert found.frame()["item_id"].tolist() == ["1193", "661"]
    assert found.items_frame()["title"].tolist() == ["Alien³: Again (1992)", "Nest (1975)"]


def test_the_csv_layout_reads_quoted_titles_and_half_stars(tmp_path: Path, workspace: Path) -> None:
    found = source(release_csv(tmp_path / "ml"))
    found.check()
    assert found.frame()["rating"].tolist() == ["2.5", "0.5"]
    items = found.items_frame()
    assert items["title"].tolist() == ["American President, The (1995)", "Dumbo"]
    assert items["genres"].tolist() == ["Comedy|Drama", None]
    assert items["year"].isna().tolist() == [False, True]


def test_a_folder_that_holds_the_release_folder_will_do(tmp_path: Path, workspace: Path) -> None:
    release_100k(tmp_path / "downloads" / "ml-100k")
    assert len(source(tmp_path / "downloads").frame()) == 2


BAD = {
    "1\t1\tfive\t881250951": "the rating is not a number",
    "1\t1\t6\t881250951": "the rating is outside 0.5 to 5",
    "1\t1\t-1\t881250951": "the rating is outside 0.5 to 5",
    "1\t1\tinf\t881250951": "the rating is infinite",
    "1\t1\t4\tyesterday": "the timestamp cannot be read",
    "\t1\t4\t881250951": "no user id",
    "1\t\t4\t881250951": "no item id",
    "1\t1\t4": "3 fields instead of 4",
    "1": "1 field instead of 4",
    "1\t1\t4\t881250951\t9": "5 fields instead of 4",
    "1\t1\x00\t4\t881250951": "a NUL byte",
}


def test_bad_rows_are_set_aside_with_their_reason_and_the_others_are_read(tmp_path: Path, workspace: Path) -> None:
    found = source(release_100k(tmp_path / "ml", "196\t1\t3\t881250949\n\n" + "\n".join(BAD) + "\n   \n196\t2\t3\t881250949\n"))
    found.check()
    assert len(found.frame()) == len(BAD) + 2, "blank lines are no rows, bad ones are"
    aside = set_aside(found)
    assert list(aside.values()) == list(BAD.values())
    kept = {line: reason for line, reason in aside.items() if line in BAD}
    assert kept == {line: BAD[line] for line in kept}, "what only the reader can see keeps its line"
    assert len(kept) == 4


def test_spark_reads_every_release_as_pandas_does_bad_rows_too(tmp_path: Path, workspace: Path, spark: "SparkSession") -> None:
    text = "\ufeff196\t1\t3\t881250949\r\n\n" + "\n".join(BAD) + "\r   \n196\t2\t3\t881250949"
    found = release_100k(tmp_path / "a [1] {b}")  # not patterns
    (found / "u.data").write_bytes(text.encode() + b"\n1\tcaf\xe9\t3\t881250949\n1\t\xe2\x82\t3\t881250949\n\t\t\t")
    rows = same_in_spark(source(found), spark)
    assert rows["user_id"].iloc[0] == "196", "the byte order mark is not part of the id"
    assert (rows["problem"] == "bytes that are not UTF-8 text").sum() == 2
    dat = release_1m(tmp_path / "dat")
    with (dat / "ratings.dat").open("a") as file:
        file.write("1:1193:5:978300760\n1::2::3\n1::2::3::4::5\n::2::3::4\n")
    assert same_in_spark(source(dat), spark)["problem"].notna().sum() == 3
    header = "userId,movieId,rating,timestamp\n"
    table = release_csv(tmp_path / "csv", f"1,31,2.5,1260759144\n{header}7,1029,0.5\n7,1029,x,1260759179\n")
    assert same_in_spark(source(table), spark)["rating"].tolist() == ["2.5", "0.5", "x"], "a header in the middle is no row"


def test_spark_gives_the_films_and_the_users_that_pandas_gives(tmp_path: Path, workspace: Path, spark: "SparkSession") -> None:
    for found in (source(release_100k(tmp_path / "a")), source(release_1m(tmp_path / "b")), source(release_csv(tmp_path / "c"))):
        tables = found.load(spark)
        assert tables.items is not None
        pd.testing.assert_frame_equal(tables.items.toPandas(), found.items_frame())
        named = {f.name for f in found.features()}
        if tables.users is None:
            assert named == {"genres", "year"}
            assert found.notes()
        else:
            pd.testing.assert_frame_equal(tables.users.toPandas(), found.users_frame())
            assert named == {"genres", "year", "gender", "occupation", "region", "age"} < {*found.users_frame(), *found.items_frame()}


def test_the_real_release_is_read_whole(ml100k: Path, workspace: Path, spark: "SparkSession") -> None:
    rows = same_in_spark(source(ml100k), spark)
    assert (len(rows), rows["user_id"].nunique(), rows["item_id"].nunique()) == (100_000, 943, 1682)
    assert set_aside(source(ml100k)) == {}
    assert len(source(ml100k).frame(limit=10)) == 10


def test_features_are_known_without_extracting_and_when_the_release_is_gone(tmp_path: Path, untouched: Path) -> None:
    archive = zipped(release_csv(tmp_path / "ml"), tmp_path / "ml.zip")
    assert {f.name for f in source(archive).features()} == {"genres", "year"}
    assert not untouched.exists()
    assert "age" in {f.name for f in source(tmp_path / "gone").features()}, "an old spec must still be one"


def test_a_file_that_is_written_otherwise_is_refused_as_a_whole(tmp_path: Path, workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"No line in the head of u\.data can be read; the first has 1 field instead of 4: '1,2,3,4'"):
        source(release_100k(tmp_path / "commas", "1,2,3,4\n1,2,4,5\n")).check()
    binary = release_100k(tmp_path / "binary")
    (binary / "u.data").write_bytes(b"x" * (2 << 20))
    with pytest.raises(ValueError, match="no line end"):
        source(binary).check()
    with pytest.raises(ValueError, match="holds no row"):
        source(release_csv(tmp_path / "header", "")).check()


def test_a_folder_that_is_not_movielens_is_told_what_was_looked_for(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match="not a MovieLens folder") as error:
        source(tmp_path / "photos").check()
    assert all(name in str(error.value) for name in ("u.data", "ratings.dat", "ratings.csv"))
    with pytest.raises(FileNotFoundError, match="no folder or zip file"):
        source(tmp_path / "nowhere").check()


def test_a_missing_file_is_named(tmp_path: Path, workspace: Path) -> None:
    (release_100k(tmp_path / "ml") / "u.item").unlink()
    with pytest.raises(FileNotFoundError, match=r"not u\.item"):
        source(tmp_path / "ml").check()


@pytest.mark.parametrize("name", ["u.data", "u.item", "u.user"])
def test_an_empty_file_is_named(tmp_path: Path, workspace: Path, name: str) -> None:
    (release_100k(tmp_path / "ml") / name).write_text("")
    with pytest.raises(ValueError, match=name):
        source(tmp_path / "ml").check()


def test_a_truncated_release_is_noticed(tmp_path: Path, workspace: Path) -> None:
    folder = release_100k(tmp_path / "ml")
    (folder / "u.info").write_text("2 users\n2 items\n100000 ratings\n")
    with pytest.raises(ValueError, match=r"truncated: it has 2 ratings where u\.info says 100,000"):
        source(folder).check()
    (folder / "u.info").unlink()
    (folder / "u.item").write_text((folder / "u.item").read_text("latin-1")[:-12], encoding="latin-1")
    with pytest.raises(ValueError, match=r"u\.item, line 2: the line is cut short"):
        source(folder).check()


def test_a_header_of_something_else_is_refused(tmp_path: Path, workspace: Path) -> None:
    folder = release_csv(tmp_path / "ml")
    (folder / "ratings.csv").write_text("user,item,stars\n1,2,3\n")
    with pytest.raises(ValueError, match="instead of the header userId,movieId,rating,timestamp"):
        source(folder).check()
    (folder / "ratings.csv").write_bytes("userId,movieId,rating,timestamp\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"ratings\.csv"):
        source(folder).check()


def zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in folder.iterdir():
            opened.write(path, f"{folder.name}/{path.name}")
    return archive


def test_a_zip_reads_like_its_folder_and_has_the_same_fingerprint(tmp_path: Path, workspace: Path) -> None:
    folder = release_100k(tmp_path / "ml")
    packed = source(zipped(folder, tmp_path / "ml.zip"))
    packed.check()
    pd.testing.assert_frame_equal(packed.frame(), source(folder).frame())
    assert packed.fingerprint() == source(folder).fingerprint()
    assert not any(tmp_path.glob("u.*")), "nothing is extracted beside the zip"


def test_the_fingerprint_follows_the_content(tmp_path: Path, workspace: Path) -> None:
    before = source(release_100k(tmp_path / "a")).fingerprint()
    assert before == source(release_100k(tmp_path / "b")).fingerprint()
    assert before != source(release_100k(tmp_path / "c", "196\t1\t4\t881250949\n007\t2\t5\t881250950\n")).fingerprint()


@pytest.mark.parametrize("name", ["../u.data", "ml/../../u.data", "/etc/u.data", "..\\u.data"])
@pytest.mark.fault("F58")
def test_a_zip_that_climbs_out_is_refused_before_anything_is_written(tmp_path: Path, workspace: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as opened:
        opened.writestr(name, "1\t1\t3\t881250949\n")
    with pytest.raises(ValueError, match="leads outside"):
        source(tmp_path / "bad.zip").check()
    assert not list(tmp_path.rglob("u.data"))


@pytest.mark.fault("F58")
def test_a_zip_bomb_a_link_and_a_torn_zip_are_refused(tmp_path: Path, workspace: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("u.data", b"0" * 20_000_000)
    with pytest.raises(ValueError, match="would grow"):
        source(tmp_path / "bomb.zip").check()
    link = zipfile.ZipInfo("u.data")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="is a link"):
        source(tmp_path / "link.zip").check()
    whole = zipped(release_100k(tmp_path / "ml"), tmp_path / "ml.zip").read_bytes()
    (tmp_path / "torn.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a zip file that can be read"):
        source(tmp_path / "torn.zip").check()
