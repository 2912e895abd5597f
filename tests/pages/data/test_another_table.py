"""What a person did not choose does not outlive the table that it was a default for; what a person chose for a table is still there."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.pages.reading import Visit, button
from tests.workspace import Workspace

PATH = "data.table.source.path"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    chance = random.Random(1)
    rows = [(f"u{chance.randint(1, 30)}", f"i{chance.randint(1, 30)}", chance.randint(1, 5), 1_600_000_000 + 60 * n) for n in range(600)]
    for name, columns in {
        "timed": ("user_id", "item_id", "rating", "timestamp"), "other": ("user_id", "item_id", "rating", "timestamp"),
        "untimed": ("user_id", "item_id"), "rated": ("user_id", "item_id", "rating"),
    }.items():  # fmt: skip
        lines = [",".join(columns), *(",".join(map(str, row[: len(columns)])) for row in rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def at(empty: Workspace, drivers: None, visit: Visit) -> AppTest:
    return visit("data", view="new", source="table")


def see(at: AppTest, path: Path) -> None:
    at.text_input(PATH).set_value(str(path)).run()
    assert not at.exception, at.exception


def chosen(at: AppTest, label: str) -> Any:
    """The value of a control by its label."""
    kinds: Sequence[Any] = (*at.button_group, *at.selectbox, *at.number_input, *at.text_input, *at.multiselect, *at.select_slider)
    return next(one for one in kinds if one.label == label or (one.label.startswith(label) and "(" in one.label))


def test_the_split_of_a_table_without_times_does_not_stick(at: AppTest, folder: Path) -> None:
    see(at, folder / "timed.csv")
    assert chosen(at, "What is held out").value == "time"
    see(at, folder / "untimed.csv")
    assert chosen(at, "What is held out").value == "random"
    for again in ("timed.csv", "other.csv"):
        see(at, folder / again)
        assert chosen(at, "What is held out").value == "time"


def test_what_is_chosen_for_one_table_is_not_taken_to_another_and_is_there_on_return(at: AppTest, folder: Path) -> None:
    see(at, folder / "timed.csv")
    defaults = {label: chosen(at, label).value for label in CHOICES}
    for label, value in CHOICES.items():
        chosen(at, label).set_value(value).run()
        assert not at.exception
    see(at, folder / "other.csv")
    assert {label: chosen(at, label).value for label in CHOICES} == defaults | {"Name": "other"}
    see(at, folder / "timed.csv")
    assert {label: chosen(at, label).value for label in CHOICES} == CHOICES


CHOICES = {
    "Lowest label": 2.0, "What counts as liked": "threshold", "Liked from": 3.0, "What is held out": "per_user", "Duplicates": "latest",
    "Min user interactions": 2, "Min item interactions": 3, "Min count": 2, "History": 50, "Name": "mine", "Seed": 7,
}  # fmt: skip


def test_a_column_without_a_role_for_a_while_leaves_no_default_behind(at: AppTest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = st.data_editor
    see(at, folder / "timed.csv")
    ignored = lambda frame, **_: frame.assign(Role=frame["Role"].replace(["timestamp", "label"], "ignore"))  # noqa: E731
    monkeypatch.setattr(st, "data_editor", ignored)
    at.run()
    assert chosen(at, "What is held out").value == "random"
    monkeypatch.setattr(st, "data_editor", editor)
    edit(at.run())
    assert (chosen(at, "What is held out").value, chosen(at, "What counts as liked").value) == ("time", "threshold")


def edit(at: AppTest) -> None:
    frame: pd.DataFrame = at.data_editor[0].value
    wanted = ["user", "item", "label", "timestamp"]
    rows = {place: {"Role": role} for place, role in enumerate(wanted) if frame["Role"].iloc[place] != role}
    at.session_state[at.data_editor[0].key or ""] = {"edited_rows": rows, "added_rows": [], "deleted_rows": []}
    at.run()


def test_a_file_that_was_written_anew_is_guessed_anew(at: AppTest, folder: Path) -> None:
    """The columns keep their names; what nobody changed in the mapping follows the new guess."""
    path = folder / "timed.csv"
    see(at, path)
    lines = path.read_text().splitlines()
    words = [lines[0], *(f"{user},{item},good{int(rating) % 2},{at}" for user, item, rating, at in (line.split(",") for line in lines[1:]))]
    path.write_text("\n".join(words))
    before = at.data_editor[0].value["Role"].tolist()
    button(at, "Read the source again").click().run()
    assert not at.exception
    assert before == ["user", "item", "label", "timestamp"]
    assert at.data_editor[0].value["Role"].tolist()[2] != "label"


def test_a_table_of_users_belongs_to_one_table_of_interactions(at: AppTest, folder: Path) -> None:
    (folder / "users.csv").write_text("\n".join(["user_id,segment", *(f"u{n},s{n % 3}" for n in range(1, 31))]))
    see(at, folder / "timed.csv")
    users = next(one for one in at.text_input if one.label == "Path or URI" and one.key != PATH)
    users.set_value(str(folder / "users.csv")).run()
    assert len(at.data_editor) == 2
    see(at, folder / "other.csv")
    assert len(at.data_editor) == 1
    see(at, folder / "timed.csv")
    assert len(at.data_editor) == 2


def test_a_preparation_of_another_table_does_not_count_as_done(at: AppTest, folder: Path) -> None:
    see(at, folder / "timed.csv")
    button(at, "Prepare").click().run()
    done = ":material/check_circle: [Prepare](#prepare)"
    assert any(done in one.value for one in at.markdown)
    see(at, folder / "other.csv")
    assert not any(done in one.value for one in at.markdown)
