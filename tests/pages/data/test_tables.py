"""The Data page on real files: what a person brings is understood, asked about, audited and prepared. Drivers of what is launched wait."""

import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import engine
from engine.runs import RunState, processes, store
from tests.pages.reading import Says, Visit, button, foreign_markup
from tests.records import AUDIT, HOSTILE, dataset
from tests.workspace import Workspace
from ui.data import dataset_charts, prepared, rules
from ui.shared import words

RATINGS = [(f"{n % 30:03d}", f"film-{n % 17}", 1 + n * 7 % 5, 1_600_000_000 + 86_400 * n) for n in range(300)]


def table(tmp_path: Path, text: str, name: str = "ratings.csv") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def ratings(header: str = "userId,movieId,rating,timestamp", extra: tuple[str, ...] = ()) -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in RATINGS), *extra]) + "\n"


def specs(empty: Workspace) -> list[Any]:
    """What was asked to be prepared, in its order."""
    return [engine.datasets.DatasetSpec.model_validate(run.spec) for run in empty.launched()]


def bring(visit: Visit, path: str) -> AppTest:
    at = visit("data", view="new", source="table")
    at.text_input("data.table.source.path").set_value(path).run()
    assert not at.exception, at.exception
    return at


def select(at: AppTest, label: str) -> object:
    return next(box for box in at.selectbox if box.label.startswith(label))


def test_every_stage_is_in_sight_before_anything_is_named(empty: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = visit("data", view="new", source="movielens")
    for number, stage in enumerate(("Source", "Columns", "Label", "Split", "Features", "Audit", "Prepare"), 1):
        assert f"{number} · {stage}" in says(at)
    assert button(at, "Prepare").disabled


@pytest.mark.fault("F49", "F51")
def test_a_table_of_ones_own_is_understood_audited_and_prepared(
    empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path
) -> None:
    at = bring(visit, table(tmp_path, ratings(extra=(",film-1,4,1600000000", "001,film-2,five,1600000000"))))
    said = says(at)
    assert "302 rows read" in said
    assert "no user id" in said
    assert "the rating is not a number" in said
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    assert spec.name == "ratings"
    assert spec.source.time_unit == "s"
    assert {column.name: column.role for column in spec.source.columns} == {
        "userId": "user", "movieId": "item", "rating": "label", "timestamp": "timestamp",
    }  # fmt: skip


@pytest.mark.fault("F52")
def test_an_uncertain_time_is_asked_and_nothing_is_prepared_before_the_answer(
    empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path
) -> None:
    mixed = [f"{u},{i},{r},{t * (1000 if n % 2 else 1)}" for n, (u, i, r, t) in enumerate(RATINGS)]
    at = bring(visit, table(tmp_path, "\n".join(["userId,movieId,rating,timestamp", *mixed]) + "\n"))
    assert "mixes" in "".join(warning.value for warning in at.warning)
    unit = select(at, "Unit of the times")
    assert unit.value is None
    assert button(at, "Prepare").disabled
    unit.set_value("magnitude").run()
    assert not at.exception
    button(at, "Prepare").click().run()
    assert specs(empty)[0].source.time_unit == "magnitude"


def test_a_delimiter_that_is_chosen_changes_the_columns(empty: Workspace, drivers: None, visit: Visit, tmp_path: Path) -> None:
    at = bring(visit, table(tmp_path, ratings()))
    select(at, "Delimiter").set_value(";").run()
    assert not at.exception
    assert select(at, "Delimiter").value == ";"
    assert button(at, "Prepare").disabled  # one column is no user, item and time


def test_a_role_that_is_changed_is_in_the_spec(
    empty: Workspace, drivers: None, visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "data_editor", lambda frame, **_: frame.assign(Role=frame["Role"].replace("label", "ignore")))
    at = bring(visit, table(tmp_path, ratings()))
    button(at, "Prepare").click().run()
    spec = specs(empty)[0]
    assert spec.source.named("label") is None
    assert spec.label.kind == "implicit"


def test_implicit_data_say_what_they_mean_for_objectives(empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path) -> None:
    at = bring(visit, table(tmp_path, "user,item\n" + "".join(f"{u},{i}\n" for u, i, _, _ in RATINGS)))
    said = says(at)
    assert "each interaction counts as positive" in said
    assert "random split leaks the future" in said  # there is no time to split by
    button(at, "Prepare").click().run()
    spec = specs(empty)[0]
    assert (spec.label.kind, spec.split.kind) == ("implicit", "random")


def test_a_mapping_that_contradicts_itself_is_a_sentence(
    empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "data_editor", lambda frame, **_: frame.assign(Role="user"))
    at = bring(visit, table(tmp_path, ratings()))
    assert "role user" in says(at).replace("\\", "")
    assert button(at, "Prepare").disabled


def test_foreign_names_and_values_stay_text(empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path) -> None:
    rows = "\n".join(f"{u},{i},{r},{t},=cmd(){HOSTILE},{'x' * 9000}" for u, i, r, t in RATINGS)
    at = bring(visit, table(tmp_path, f"userId,movieId,rating,timestamp,{HOSTILE},title\n{rows}\n"))
    assert not foreign_markup(at)
    head = at.dataframe[0].value
    assert head.map(lambda cell: len(str(cell))).to_numpy().max() <= 300


def test_what_cannot_be_read_is_a_sentence(empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path) -> None:
    at = bring(visit, str(tmp_path / "nothing.csv"))
    assert "nothing" in says(at)
    assert button(at, "Prepare").disabled
    empty = bring(visit, table(tmp_path, ""))
    assert empty.error
    assert button(empty, "Prepare").disabled


@pytest.mark.fault("F51")
def test_nothing_to_learn_cannot_be_prepared(empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path) -> None:
    text = "userId,movieId,rating,timestamp\n" + "".join(f"{u},{i},5,{t}\n" for u, i, _, t in RATINGS)
    at = bring(visit, table(tmp_path, text))
    assert "nothing to learn" in "".join(error.value for error in at.error)
    assert button(at, "Prepare").disabled


def test_the_rule_moves_the_threshold(empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path) -> None:
    at = bring(visit, table(tmp_path, ratings()))
    before = next(metric.value for metric in at.metric if metric.label == "Liked in train")
    at.select_slider[0].set_value(2.0).run()
    after = next(metric.value for metric in at.metric if metric.label == "Liked in train")
    assert (before, after) == ("40 %", "80 %")
    button(at, "Prepare").click().run()
    assert specs(empty)[0].label.threshold == 2.0


def test_rows_are_read_once_for_all_rules(
    empty: Workspace, drivers: None, visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    real = engine.preview.preview_rows
    monkeypatch.setattr(engine.preview, "preview_rows", lambda source: read.append(source) or real(source))
    at = bring(visit, table(tmp_path, ratings()))
    at.select_slider[0].set_value(3.0).run()
    next(box for box in at.number_input if box.label == "Valid").set_value(0.2).run()
    assert not at.exception
    assert len(read) == 1


def test_the_rows_set_aside_are_shown_with_their_reasons(empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path) -> None:
    at = bring(visit, table(tmp_path, ratings(extra=(",film-1,4,1600000000",))))
    assert any("View the rows set aside (1)" in box.label for box in at.expander)


def test_a_download_is_offered_with_its_size_and_licence_and_fills_the_path(
    empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path
) -> None:
    at = visit("data", view="new", source="sets")
    said = says(at)
    wanted = engine.datasets.DOWNLOADS["learning-from-sets-2019"]
    assert wanted.title in said.replace("\\", "")
    assert words.size(wanted.bytes) in said
    assert "CC BY" in said
    at.button("get.learning-from-sets-2019").click().run()
    (run,) = empty.launched()
    assert (run.kind, run.spec.key) == ("download", "learning-from-sets-2019")
    at.button("stop.learning-from-sets-2019").click().run()
    assert engine.runs.get_run(run.run_id).state == RunState.CANCELLING
    wanted.target.parent.mkdir(parents=True)
    with zipfile.ZipFile(wanted.target, "w") as packed:
        packed.writestr("set_ratings.csv", "nothing")
    processes.sweep(run.run_id)
    store.set_status(run.run_id, "FINISHED")
    at.run()
    assert not at.exception
    assert at.text_input("data.sets.source.path").value == str(wanted.target)


def test_an_upload_is_kept_under_a_name_of_ours(empty: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = visit("data", view="new", source="table")
    at.file_uploader[0].set_value([("../../my ratings.csv", ratings().encode(), "text/csv")]).run()
    assert not at.exception
    path = Path(at.text_input("data.table.source.path").value)
    assert path.parent == engine.settings.settings().uploads
    assert not button(at, "Prepare").disabled


@pytest.mark.parametrize("n, told", [(1, "1"), (2, "2–3"), (64, "64–127"), (1024, "1k–2k"), (1 << 20, "1M–2M")])
def test_bins_that_double_are_named(n: int, told: str) -> None:
    assert dataset_charts.between(n) == told


def test_the_parts_of_the_bar_add_up_to_the_rows_read() -> None:
    many = AUDIT.model_copy(update={"rows_read": 1000 + sum(range(1, 13)), "set_aside": {f"reason {n}": n for n in range(1, 13)}})
    parts = dataset_charts.rows_apart(many)
    assert sum(rows for _, rows, _, _ in parts) == many.rows_read
    assert len(parts) <= 2 + dataset_charts.MOST_REASONS


def test_a_name_made_of_a_path_fits_the_spec() -> None:
    for path in ("/data/Ratings 2024.csv.gz", "s3://bucket/Ünïcode--x/part", "table:a.b.c", "/", "x" * 300):
        engine.datasets.DatasetSpec(name=engine.tables.named(path), source=engine.sources.SOURCES["sample"]())


def test_values_that_are_few_become_steps() -> None:
    rows = pd.DataFrame({"rating": [1.0, 2.0, 5.0, 9.0], "reason": [None, None, None, "the rating is outside 1 to 5"]})
    found = rules.values_of(rows)
    assert (found.low, found.high, found.steps) == (1.0, 5.0, (1.0, 2.0, 5.0))


@pytest.mark.parametrize(
    "label, told",
    [
        ({"kind": "implicit"}, "every row"),
        ({"kind": "mean", "threshold": 3.5}, "≥ 3.5 (mean)"),
        ({"kind": "actions", "liked": ["cart", "buy"]}, "cart or buy"),
        ({"kind": "actions", "liked": ["cart", "buy"], "classes": ["cart", "buy"]}, "any action"),
        ({"kind": "multi_class", "liked": ["4", "5"]}, "class 4 or 5"),
        ({"kind": "given", "threshold": 1.0}, "label 1"),
        ({"kind": "user_mean", "threshold": None}, "≥ the user's mean"),
        ({}, "–"),
    ],
)
def test_every_rule_has_a_name(label: dict[str, object], told: str) -> None:
    assert prepared.rule(dataset(label=label)) == told
