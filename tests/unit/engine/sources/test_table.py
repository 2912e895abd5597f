"""The mapping of a table: what it may say, what it comes to, and what is said when it cannot be."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from engine.datasets.spec import DatasetSpec
from engine.sources.table import TableSource
from engine.tables.specs import ColumnRole
from workers.prepare.rows import RESERVED, SourceFeature, read_frame
from workers.specs.spec import explain

USER, ITEM = {"name": "user", "role": "user"}, {"name": "item", "role": "item"}


def column(name: str, role: str, **more: str) -> dict[str, str]:
    return {"name": name, "role": role, **more}


def table(folder: Path, text: str, *columns: dict[str, str], name: str = "t.csv", **more: Any) -> TableSource:
    (folder / name).write_text(text, encoding="utf-8")
    return TableSource(path=str(folder / name), columns=list(columns), **more)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"columns": [USER, column("b", "user")]}, "gives the role user to 'user' and 'b'; choose one"),
        ({"columns": [USER, USER]}, "lists 'user' 2 times; keep one"),
        ({"columns": [column("a", "ignore")]}, "gives no column a role"),
        ({"columns": [USER, ITEM, column("t", "timestamp")]}, "time_unit is not chosen for the timestamp 't'"),
        ({"columns": [USER, ITEM, column("a", "label"), column("b", "action")]}, "label and action, which are both labels"),
        ({"columns": [USER, column("t", "title")]}, "'t' the role title, but no column has the role item"),
        ({"columns": [USER, column("p", "dense", side="item")]}, "'p' on the item's side, but no column has the role item"),
        ({"columns": [column("p", "dense")]}, "neither user nor item; such a table needs features and a label"),
        ({"columns": [USER, ITEM], "low": 5, "high": 1}, "low is 5 and high is 1"),
        ({"columns": [USER, ITEM], "format": "delta"}, "format is delta, but the path is"),
        ({"columns": [USER, ITEM], "delimiter": '"'}, "delimiter"),
        ({"columns": [USER, ITEM], "delimiter": "::", "quoting": "lines"}, "needs a delimiter of one character"),
        (
            {"columns": [USER], "items": {"path": "i.csv", "columns": [column("id", "item")]}},
            "items is given, but no column of the interactions",
        ),
        ({"columns": [USER, ITEM], "items": {"path": "i.csv", "columns": [USER]}}, "a table of items may have"),
        ({"columns": [USER, ITEM], "users": {"path": "i.csv", "columns": [column("a", "dense")]}}, "no column with the role user"),
        ({"columns": [USER, ITEM], "encoding": "rot13"}, "encoding"),
        ({"columns": [USER, ITEM], "colour": "red"}, "colour"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_a_sentence(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        TableSource.model_validate({"path": "t.csv", **fields})
    assert said in explain(error.value)


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no column 'item' in t\.csv; it has user, thing"):
        table(tmp_path, "user,thing\n1,2\n", USER, ITEM).check()
    with pytest.raises(ValueError, match=r"No row in the head of t\.csv has the key 'item'"):
        table(tmp_path, '{"user": 1}\n', USER, ITEM, format="jsonl").check()
    with pytest.raises(ValueError, match=r"No row in the head of t\.csv can be read; the first has 3 fields instead of 2"):
        table(tmp_path, "user,item\n1,2,3\n", USER, ITEM).check()


@pytest.mark.parametrize(
    ("columns", "value", "defaults"),
    [
        ([USER, ITEM], "none", {"label": {"kind": "implicit"}, "split": {"kind": "random"}}),
        ([USER, ITEM, column("r", "label"), column("t", "timestamp")], "number", {"label": {"kind": "threshold"}}),
        ([USER, ITEM, column("r", "class"), column("t", "timestamp")], "category", {"label": {"kind": "multi_class"}}),
        ([USER, ITEM, column("r", "action"), column("t", "timestamp")], "category", {"label": {"kind": "actions"}}),
        (
            [USER, ITEM, column("a", "label"), column("b", "label"), column("s", "split")],
            "actions",
            {"label": {"kind": "actions"}, "split": {"kind": "column"}},
        ),
        ([column("r", "label"), column("x", "dense")], "number", {"label": {"kind": "threshold"}, "split": {"kind": "random"}}),
    ],
)
def test_roles_say_what_a_row_teaches_and_what_suits(columns: list[dict[str, str]], value: str, defaults: dict[str, Any]) -> None:
    source = TableSource.model_validate({"path": "t.csv", "columns": columns, "time_unit": "s"})
    assert source.reading().value == value
    assert source.defaults() == defaults
    assert DatasetSpec(source=source).label.kind == defaults["label"]["kind"]
    assert source.reading().user == (USER in columns)


def test_feature_names_are_plain_unlike_each_other_and_not_taken() -> None:
    names = ["Größe (cm)", "grosse cm", "GROSSE_CM", "年齢", "rating", "Title", "a" * 200, "a.b`c"]
    columns = [USER, ITEM, *(column(name, "category") for name in names)]
    found = [feature.name for feature in TableSource.model_validate({"path": "t.csv", "columns": columns}).features()]
    assert len({name.lower() for name in found}) == len(names)
    assert all(name.replace("_", "").isalnum() and name.isascii() and name not in RESERVED for name in found)
    assert found[4:6] == ["rating_value", "Title_value"]
    again = TableSource.model_validate({"path": "t.csv", "columns": columns})
    assert [feature.name for feature in again.features()] == found
    assert again.renamed()[found[3]] == ("interactions", "年齢")


def test_features_tags_and_display_columns_come_out_as_agreed(tmp_path: Path, workspace: Path) -> None:
    text = "user,item,price,kind,tags,title,genres,img,w\nu,i,1e2,, b ; c|d ;;a ,T,x|y,http://p/1.png,2\nu,j,,k,;,,, ,1\n"
    source = table(
        tmp_path, text, USER, ITEM, column("price", "dense", side="item"), column("kind", "category"),
        column("tags", "tags", separator=";"), column("title", "title"), column("genres", "genres"), column("img", "image"),
        column("w", "weight"),
    )  # fmt: skip
    assert source.features() == (
        SourceFeature("price", "item", "dense"), SourceFeature("kind", "context", "single"), SourceFeature("tags", "context", "multi"),
        SourceFeature("genres", "item", "multi"),
    )  # fmt: skip
    rows = source.frame()
    assert rows["tags"].tolist() == ["b|c¦d|a", None]
    assert rows["kind"].tolist() == [None, "k"]
    assert rows["genres"].tolist() == ["x|y", None]
    assert rows["title"].tolist() == ["T", None]
    assert rows["image"].tolist() == ["http://p/1.png", None]
    read = read_frame(rows, source.reading(), source.features())
    assert read["price"].tolist()[0] == 100
    assert read["price"].isna().tolist() == [False, True]
    assert read["reason"].isna().all()


@pytest.mark.fault("F49", "F51")
def test_several_labels_are_actions_and_blank_ids_are_set_aside_later(tmp_path: Path, workspace: Path) -> None:
    text = "user,item,Click!,like\nu,i,1,0\n,i,0,1\nu,  ,1,1\nu,i,2,0\n"
    source = table(tmp_path, text, USER, ITEM, column("Click!", "label"), column("like", "label"))
    assert source.reading().actions == ("Click", "like")
    read = read_frame(source.frame(), source.reading(), source.features())
    assert read["reason"].tolist() == [None, "no user id", "no item id", "an action is neither 0 nor 1"]
    assert read["action.Click"].tolist()[0] == 1


def test_users_and_items_tables_are_unique_whatever_they_hold(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "items.csv").write_text('item,name,year,tags\ni,B,2001,x\ni,A,2002,\n,C,1,\nbad\n007,"D, E",x,p|q\n')
    (tmp_path / "users.tsv").write_text("who\tage\nu\t30\nv\tNA\n")
    source = table(
        tmp_path, "user,item\nu,i\n", USER, ITEM,
        items={"path": str(tmp_path / "items.csv"), "columns": [
            ITEM, column("name", "title"), column("year", "dense", side="user"), column("tags", "tags"),
        ]},
        users={"path": str(tmp_path / "users.tsv"), "delimiter": "\t", "columns": [column("who", "user"), column("age", "dense")]},
    )  # fmt: skip
    source.check()
    items = source.items_frame()
    assert items.columns.tolist() == ["item_id", "title", "genres", "year", "tags"]
    assert items["item_id"].tolist() == ["i", "007"]
    assert items["title"].tolist() == ["B", "D, E"]
    assert items["year"].isna().tolist() == [False, True]
    assert source.users_frame().to_dict("list")["user_id"] == ["u", "v"]
    assert [feature.side for feature in source.features()] == ["user", "item", "item"]
    assert any("1 of the first 5 rows of items.csv cannot be read" in note for note in source.notes())
    with pytest.raises(ValueError, match="The items table: There is no column"):
        (tmp_path / "items.csv").write_text("x,y\n1,2\n")
        source.check()


def test_the_fingerprint_follows_the_content_and_nothing_else(tmp_path: Path, workspace: Path) -> None:
    one = table(tmp_path, "user,item\nu,i\n", USER, ITEM)
    (tmp_path / "folder").mkdir()
    same = table(tmp_path / "folder", "user,item\nu,i\n", USER, ITEM, name="other.csv")
    assert one.fingerprint() == same.fingerprint()
    assert one.fingerprint() == same.model_copy(update={"path": str(tmp_path / "folder")}).fingerprint()
    before = one.fingerprint()
    assert table(tmp_path, "user,item\nu,j\n", USER, ITEM).fingerprint() != before


def test_notes_say_how_the_table_is_taken(tmp_path: Path, workspace: Path) -> None:
    text = "user,item,größe,ts\nu,i,1,1700000000\n"
    source = table(tmp_path, text, USER, ITEM, column("größe", "category"), column("ts", "timestamp"), time_unit="s")
    notes = " ".join(source.notes())
    assert "UTF-8 text, delimiter ',', with a header" in notes
    assert "'größe' is called gro_e" in notes or "'größe' is called groe" in notes
    assert "'ts' is the timestamp, read as seconds since 1970" in notes


def test_a_spec_survives_json(tmp_path: Path, workspace: Path) -> None:
    source = table(tmp_path, "user,item\nu,i\n", USER, ITEM, items={"path": "i.csv", "columns": [ITEM]})
    spec = DatasetSpec(name="mine", source=source)
    again = DatasetSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert isinstance(again.source, TableSource)
    assert isinstance(again.source.columns[0], ColumnRole)


@pytest.mark.fault("F57")
def test_more_than_memory_would_like_is_only_looked_at(tmp_path: Path, workspace: Path) -> None:
    file = tmp_path / "big.csv"
    with file.open("wb") as opened:
        opened.write(b"user,item\nu,i\n")
        opened.truncate(5 << 30)  # 5 GiB with a hole in it
        opened.seek(0, 2)
        opened.write(b"\nu,i\n")
    source = TableSource(path=str(file), columns=[USER, ITEM])
    source.check()
    assert source.frame(limit=1)["user_id"].tolist() == ["u"]
    assert isinstance(source.frame(limit=1), pd.DataFrame)
