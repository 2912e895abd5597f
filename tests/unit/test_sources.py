"""Sources: what a MovieLens release is told by, what is refused and how it is said, and the planted world of the sample."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from engine.sources import SOURCES, SourceSpec
from engine.sources.movielens import MovieLensSource
from engine.sources.sample import SampleSource

SMALL = SampleSource(users=60, items=40, interactions=700, seed=3)
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
    expected = pd.DataFrame({"user_id": ["196", "007"], "item_id": ["1", "2"], "rating": [3.0, 5.0], "timestamp": [881250949, 881250950]})
    pd.testing.assert_frame_equal(found.frame(), expected)
    items = found.items_frame()
    assert items["title"].tolist() == ["Toy Story (1995)", "Café, The: Part 2 (1994)"]
    assert items["genres"].tolist() == ["Animation|Comedy", "Drama"]
    assert items["year"].tolist() == [1995, 1994]


def test_the_1m_layout_takes_its_separator_whole(tmp_path: Path, workspace: Path) -> None:
    found = source(release_1m(tmp_path / "ml"))
    found.check()
    assert found.frame()["rating"].tolist() == [5.0, 3.0]
    assert found.frame()["item_id"].tolist() == ["1193", "661"]
    assert found.items_frame()["title"].tolist() == ["Alien³: Again (1992)", "Nest (1975)"]


def test_the_csv_layout_reads_quoted_titles_and_half_stars(tmp_path: Path, workspace: Path) -> None:
    found = source(release_csv(tmp_path / "ml"))
    found.check()
    assert found.frame()["rating"].tolist() == [2.5, 0.5]
    items = found.items_frame()
    assert items["title"].tolist() == ["American President, The (1995)", "Dumbo"]
    assert items["genres"].tolist() == ["Comedy|Drama", None]
    assert items["year"].isna().tolist() == [False, True]


def test_a_folder_that_holds_the_release_folder_will_do(tmp_path: Path, workspace: Path) -> None:
    release_100k(tmp_path / "downloads" / "ml-100k")
    assert len(source(tmp_path / "downloads").frame()) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1\t1\tfive\t881250951", "line 3: the rating is 'five', which is not a number"),
        ("1\t1\t6\t881250951", "line 3: the rating is 6; MovieLens ratings are from 0.5 to 5"),
        ("1\t1\t-1\t881250951", "line 3: the rating is -1"),
        ("1\t1\tnan\t881250951", "line 3: the rating is 'nan'"),
        ("1\t1\t4\tyesterday", "line 3: the timestamp is 'yesterday'"),
        ("1\t1\t4", "line 3: 3 of 4 fields; the line is cut short"),
        ("1\t\t4\t881250951", "line 3: the user or the item is empty"),
        ("1\t1\t4\t881250951\t9", "line 3: more than 4 fields"),
    ],
)
def test_a_bad_row_is_named_with_its_file_and_line(tmp_path: Path, workspace: Path, line: str, said: str) -> None:
    found = source(release_100k(tmp_path / "ml", f"196\t1\t3\t881250949\n\n{line}\n196\t2\t3\t881250949\n"))
    with pytest.raises(ValueError, match=r"u\.data") as error:
        found.check()
    assert said in str(error.value)


def test_a_bad_row_of_a_csv_release_counts_the_header_as_a_line(tmp_path: Path, workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"ratings\.csv, line 3: the rating is 'x'"):
        source(release_csv(tmp_path / "ml", "1,31,2.5,1260759144\n1,31,x,1260759144\n")).check()


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
def test_a_zip_that_climbs_out_is_refused_before_anything_is_written(tmp_path: Path, workspace: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as opened:
        opened.writestr(name, "1\t1\t3\t881250949\n")
    with pytest.raises(ValueError, match="leads outside"):
        source(tmp_path / "bad.zip").check()
    assert not list(tmp_path.rglob("u.data"))


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


def test_the_sample_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    pd.testing.assert_frame_equal(SMALL.frame(), SampleSource(**SMALL.model_dump()).frame())
    other = SMALL.model_copy(update={"seed": 4})
    assert not SMALL.frame().equals(other.frame())
    assert SMALL.fingerprint() != other.fingerprint()


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
