"""The new-dataset flow as a person goes through it: the engine's own sources, guesses, audits and queue; the drivers wait."""

import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.runs import RunState, processes, store
from tests.pages.reading import Says, Visit, button, foreign_markup, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace

Flow = Callable[..., AppTest]
TABLE = "data.table.source"


@pytest.fixture
def flow(empty: Workspace, drivers: None, visit: Visit) -> Callable[..., AppTest]:
    """The flow on a source, from a path where the source has one."""

    def opened(kind: str, path: Path | None = None) -> AppTest:
        at = visit("data", view="new", source=kind)
        if path is not None:
            at.text_input(f"data.{kind}.source.path").set_value(str(path)).run()
            assert not at.exception, at.exception
        return at

    return opened


def table(folder: Path, header: str, row: Callable[[random.Random, int], str], name: str = "events.csv", encoding: str = "utf-8") -> Path:
    """A table of 600 rows, ends of lines as on Windows."""
    chance = random.Random(1)
    path = folder / name
    path.write_bytes("\r\n".join([header, *(row(chance, at) for at in range(600))]).encode(encoding))
    return path


def counted(folder: Path) -> Path:
    """A table whose times are numbers that no unit explains, whose letters may be of several encodings, and which has two bad rows."""

    def row(chance: random.Random, at: int) -> str:
        rating = "bad" if at == 20 else str(chance.randint(1, 5))
        item = "" if at == 10 else f"café{chance.randint(1, 30)}"
        return f"{chance.randint(1, 30):03d};{item};{rating};{10_000 + at}"

    return table(folder, "user;item;rating;when", row, encoding="cp1252")


def implicit(folder: Path) -> Path:
    """A table of who met what, and nothing else."""
    return table(folder, "user_id,item_id", lambda chance, at: f"u{chance.randint(1, 30)},i{chance.randint(1, 30)}")


def box(at: AppTest, label: str) -> Any:
    return next(found for found in at.selectbox if found.label.startswith(label))


def answered(at: AppTest) -> AppTest:
    """Both questions that `counted` leaves open, answered."""
    box(at, "Encoding").set_value("cp1252").run()
    return box(at, "Unit of the times").set_value("order").run()


def edit(at: AppTest, rows: dict[int, dict[str, str]]) -> AppTest:
    """Change cells of the mapping, as a person would: row -> column -> value."""
    at.session_state[at.data_editor[0].key or ""] = {"edited_rows": rows, "added_rows": [], "deleted_rows": []}
    return at.run()


def specs(empty: Workspace) -> list[Any]:
    """What was asked to be prepared, in its order."""
    return [engine.datasets.DatasetSpec.model_validate(run.spec) for run in empty.launched() if run.kind == "prepare"]


def test_a_question_about_times_keeps_prepare_shut_until_it_is_answered(empty: Workspace, flow: Flow, says: Says, tmp_path: Path) -> None:
    at = flow("table", counted(tmp_path))
    assert "too small for times since 1970" in plainly(says(at))
    assert box(at, "Encoding").value is None
    assert box(at, "Unit of the times").value is None
    assert button(at, "Prepare").disabled
    assert "Choose the unit of the times in when." in plainly(says(at))  # named as open, not left to a refusal
    box(at, "Unit of the times").set_value("order").run()
    assert button(at, "Prepare").disabled  # the other is still open
    box(at, "Encoding").set_value("cp1252").run()
    assert not at.exception
    assert not any("too small" in plainly(warning.value) for warning in at.warning)  # an answered question is gone
    shown = {metric.label: metric.value for metric in at.metric}
    assert (shown["Rows read"], shown["Rows used"]) == ("600", "598")  # one has no item, one a word for a rating
    assert not button(at, "Prepare").disabled
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    assert spec.source.time_unit == "order"
    assert (spec.source.delimiter, spec.source.header, spec.source.encoding) == (";", True, "cp1252")
    assert spec.split.kind == "time"


def test_what_a_person_maps_is_what_is_prepared(empty: Workspace, flow: Flow, tmp_path: Path) -> None:
    at = answered(flow("table", counted(tmp_path)))
    edit(at, {2: {"Role": "ignore"}, 3: {"Role": "ignore"}})
    assert not at.exception
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    assert {column.name: column.role for column in spec.source.columns} == {
        "user": "user", "item": "item", "rating": "ignore", "when": "ignore",
    }  # fmt: skip
    assert (spec.label.kind, spec.split.kind) == ("implicit", "random")


def test_a_mapping_outlives_a_look_at_another_page(empty: Workspace, flow: Flow, tmp_path: Path) -> None:
    at = answered(flow("table", counted(tmp_path)))
    edit(at, {2: {"Role": "dense"}})
    at.switch_page("system/page.py").run()
    at.switch_page("data/page.py")
    at.query_params["view"], at.query_params["source"] = "new", "table"
    at.run()
    assert not at.exception
    assert at.data_editor[0].value["Role"].tolist() == ["user", "item", "dense", "timestamp"]


def test_an_impossible_mapping_is_a_sentence(empty: Workspace, flow: Flow, says: Says, tmp_path: Path) -> None:
    at = answered(flow("table", counted(tmp_path)))
    edit(at, {1: {"Role": "user"}})
    assert not at.exception
    assert "gives the role user to 'user' and 'item'" in plainly(says(at))
    assert button(at, "Prepare").disabled


def test_a_changed_delimiter_is_read_again(empty: Workspace, flow: Flow, tmp_path: Path) -> None:
    at = flow("table", counted(tmp_path))
    box(at, "Delimiter").set_value(",").run()
    assert not at.exception
    assert len(at.data_editor[0].value) == 1  # no comma in it: one wide column
    assert button(at, "Prepare").disabled


def test_implicit_data_says_what_it_cannot_teach(empty: Workspace, flow: Flow, says: Says, tmp_path: Path) -> None:
    at = flow("table", implicit(tmp_path))
    said = says(at)
    assert "each interaction counts as positive" in said
    assert "refused" in said
    assert "leaks the future" in said  # no time: the split is random
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    assert (spec.label.kind, spec.split.kind, spec.name) == ("implicit", "random", "events")


def test_classes_that_count_as_liked_are_chosen_from_those_of_the_data(empty: Workspace, flow: Flow, tmp_path: Path) -> None:
    rows = table(
        tmp_path,
        "user_id,item_id,action,timestamp",
        lambda chance, at: f"u{chance.randint(1, 20)},i{at % 30},{chance.choice(['view', 'cart', 'buy'])},{1_600_000_000 + 60 * at}",
    )
    at = flow("table", rows)
    assert not at.exception
    liked = next(found for found in at.multiselect if found.label == "Counts as liked")
    assert sorted(liked.options) == ["buy", "cart", "view"]
    liked.set_value(["buy"]).run()
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    assert (spec.label.kind, sorted(spec.label.liked)) == ("actions", ["buy"])


@pytest.mark.fault("F59")
def test_hostile_text_of_a_table_stays_text(empty: Workspace, flow: Flow, says: Says, tmp_path: Path) -> None:
    hostile = HOSTILE.replace(",", " ")
    rows = table(
        tmp_path,
        f"user_id,item_id,{hostile},class",
        lambda chance, at: f"u{chance.randint(1, 30)},{hostile}{chance.randint(1, 9)},{hostile},{hostile}{at % 3}",
    )
    at = flow("table", rows)
    assert not at.exception
    assert not foreign_markup(at)
    assert not re.findall("<img", " ".join(chart.proto.spec for chart in at.get("plotly_chart")))


def test_rows_of_criteo_need_no_user_item_or_time(empty: Workspace, flow: Flow, says: Says, tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    line = "\t".join
    path.write_text("".join(line([str(at % 2), *[str(at % 7)] * 13, *[f"{at % 5:08x}"] * 26]) + "\n" for at in range(60)))
    at = flow("criteo", path)
    assert not at.exception
    assert not button(at, "Prepare").disabled
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    assert (spec.label.kind, spec.split.kind, spec.history, len(spec.log1p)) == ("given", "random", 0, 13)


def test_a_rule_that_is_turned_changes_the_picture_and_the_spec(empty: Workspace, flow: Flow) -> None:
    at = flow("sample")
    before = {metric.label: metric.value for metric in at.metric}["Liked in train"]
    at.select_slider[0].set_value(5.0).run()
    after = {metric.label: metric.value for metric in at.metric}["Liked in train"]
    assert float(after.split()[0]) < float(before.split()[0])
    button(at, "Prepare").click().run()
    assert specs(empty)[0].label.threshold == 5.0


def test_minimums_are_said_with_the_rows_they_cost(empty: Workspace, flow: Flow, says: Says) -> None:
    at = flow("sample")
    at.number_input("data.sample.min_item_interactions").set_value(60).run()
    assert not at.exception
    found = re.search(r"The minimum counts set ([\d,]+) rows aside", says(at))
    assert found and int(found[1].replace(",", "")) > 0


def test_a_release_is_downloaded_can_be_stopped_and_is_used_when_it_comes(empty: Workspace, flow: Flow, says: Says, tmp_path: Path) -> None:
    at = flow("movielens")
    said = says(at)
    assert "4.92 MB" in plainly(said)
    assert "acknowledgement of GroupLens" in said
    at.button("get.ml-100k").click().run()
    assert not at.exception
    (run,) = empty.launched()
    assert (run.kind, run.spec.key, run.state) == ("download", "ml-100k", RunState.QUEUED)
    at.button("stop.ml-100k").click().run()
    assert engine.runs.get_run(run.run_id).state == RunState.CANCELLING
    target = fetched(run.run_id)
    at.run()
    assert at.text_input("data.movielens.source.path").value == str(target)


def fetched(run_id: str) -> Path:
    """End a download as its driver does, with a zip where it belongs; where that is."""
    target = engine.datasets.DOWNLOADS[engine.runs.get_run(run_id).spec.key].target
    target.parent.mkdir(parents=True)
    with zipfile.ZipFile(target, "w") as packed:
        packed.writestr("nothing", "nothing")
    processes.sweep(run_id)
    store.set_status(run_id, "FINISHED")
    return target


def test_two_tables_are_joined(empty: Workspace, flow: Flow, tmp_path: Path) -> None:
    rows = implicit(tmp_path)
    films = tmp_path / "films.csv"
    films.write_text("item_id,title,year\n" + "".join(f"i{n},Film {n},{1990 + n % 20}\n" for n in range(1, 31)))
    at = flow("table", rows)
    next(one for one in at.text_input if (one.key or "").endswith(".items.path")).set_value(str(films)).run()
    assert not at.exception
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    assert {column.name: column.role for column in spec.source.items.columns}["title"] == "title"
    assert spec.source.users is None


def test_a_refused_upload_is_a_sentence(empty: Workspace, flow: Flow, says: Says) -> None:
    at = flow("table")
    at.file_uploader[0].set_value(("empty.csv", b"", "text/csv")).run()
    assert not at.exception
    assert "empty.csv" in plainly(" ".join(error.value for error in at.error))
    assert not at.text_input(f"{TABLE}.path").value


def test_an_upload_becomes_the_path(empty: Workspace, flow: Flow, tmp_path: Path) -> None:
    at = flow("table")
    rows = implicit(tmp_path)
    at.file_uploader[0].set_value(("../../my events.csv", rows.read_bytes(), "text/csv")).run()
    assert not at.exception
    path = Path(at.text_input(f"{TABLE}.path").value or "")
    assert path.read_bytes() == rows.read_bytes()
    assert path.resolve().is_relative_to(engine.settings.settings().uploads)
    assert not button(at, "Prepare").disabled


def test_reading_again_sees_columns_that_a_file_got_meanwhile(empty: Workspace, flow: Flow, tmp_path: Path) -> None:
    at = flow("table", implicit(tmp_path))
    table(tmp_path, "user_id,item_id,rating", lambda chance, at: f"u{chance.randint(1, 30)},i{at % 30},{chance.randint(1, 5)}")
    button(at, "Read the source again").click().run()
    assert not at.exception
    assert at.data_editor[0].value["Column"].tolist() == ["user_id", "item_id", "rating"]


def test_a_new_dataset_shows_what_the_rules_leave_and_is_prepared_once(empty: Workspace, flow: Flow, says: Says) -> None:
    at = flow("sample")
    for name, value in (("users", 40), ("items", 40), ("interactions", 500)):
        at.number_input(f"data.sample.source.{name}").set_value(value)
    at.run()
    assert not at.exception
    assert "users to rank for" in says(at)
    button(at, "Prepare").click().run()
    assert [spec.source.users for spec in specs(empty)] == [40]
    assert button(at, "Prepare").disabled


def test_a_source_that_cannot_be_read_is_a_sentence(flow: Flow, says: Says) -> None:
    at = flow("sample")
    at.number_input("data.sample.source.interactions").set_value(500)
    at.run()
    assert "interactions is 500" in plainly(says(at))
    assert button(at, "Prepare").disabled
