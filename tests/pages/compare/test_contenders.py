"""Compare with many contenders: identities, seeds, signs of trouble, marks, and sentences for every kind of output."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import engine
import ui
from engine.compare import Baseline, Comparison, Contender
from tests.pages.reading import Says, Visit, foreign_markup, labelled, links
from tests.records import DATASET, HOSTILE
from tests.workspace import Workspace
from ui.compare import metric_tables, verdict
from ui.shared import charts, looks, words

CROWD = (
    "two_tower", "dlrm", "ease", "popularity", "item_knn", "ials", "dcnv2", "deepfm", "funnel", "ease10", "ease1000", "seed2",
)  # fmt: skip


def toggle(at: AppTest, label: str) -> Any:
    return next((found for found in at.toggle if found.label == label), None)


def test_no_two_of_twelve_look_alike() -> None:
    drawn = [looks.look(at) for at in range(looks.MOST_LOOKS)]
    for part in zip(*drawn, strict=True):
        assert len(set(part)) == looks.MOST_LOOKS
    assert looks.look(3, baseline=True) not in drawn


def test_a_column_that_stays_has_the_ground_of_the_page_in_both_themes() -> None:
    folder = Path(ui.__file__).parent
    themes = tomllib.loads((folder.parent / ".streamlit" / "config.toml").read_text())["theme"]
    grounds = [themes[name]["backgroundColor"] for name in ("light", "dark")]
    rules = (folder / "shared" / "style.css").read_text().splitlines()
    sticky = next(rule for rule in rules if "position: sticky; left: 0; z-index" in rule)
    assert f"background: light-dark({', '.join(grounds)})" in sticky  # Streamlit sets color-scheme to the theme that is chosen


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground, least", [("#ffffff", 3.0), ("#12171e", 3.0)])
def test_every_colour_is_seen_on_both_grounds(ground: str, least: float) -> None:
    for color in looks.COLORS:
        dark, light = sorted((luminance(color), luminance(ground)))
        assert (light + 0.05) / (dark + 0.05) > least, color


def test_twelve_contenders_fill_one_table(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("compare", runs=shared.ids(*CROWD), seeds="apart")
    said = says(at)
    head = next(html.value for html in at.html if "Metrics of the compared runs" in html.value).split("</thead>")[0]
    assert head.count('<th scope="col">') == 13  # and random: popularity is a run
    assert [glyph in head for glyph in looks.GLYPHS] == [True] * 12
    assert "EASE · l2 1000" in head  # what sets it apart, and no more
    assert "history" not in re.sub(r'title="[^"]*"', "", head)
    assert head.count(">baseline<") == 1
    assert "L" in said


def test_more_than_can_be_told_apart_are_said_and_not_dropped_in_silence(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("compare", runs=shared.ids(*CROWD, "again", "seed3"), seeds="apart")
    assert "names 14 runs" in says(at)
    assert len(at.multiselect[0].value) == 12


@pytest.mark.fault("F59")
def test_hostile_names_stay_text_in_a_crowd(own: Workspace, visit: Visit, says: Says) -> None:
    for at, name in enumerate(CROWD[:8]):
        engine.runs.rename(own.runs[name], f"{HOSTILE} · {at}")
    for name in ("two_tower", "popularity"):
        own.change(own.path(name) / "done.json", alarms=[HOSTILE])
    for page in ("compare", "recommend"):
        found = visit(page, runs=own.ids(*CROWD[:8]))
        assert "Bold" in says(found)
        assert not foreign_markup(found)


def test_seeds_stand_as_one_until_they_are_set_apart(shared: Workspace, visit: Visit, says: Says) -> None:
    ids = shared.ids("two_tower", "seed2", "seed3", "dlrm")
    comparison = engine.compare.compare(ids.split(","))
    at = visit("compare", runs=ids)
    said = says(at)
    assert "A Two\\-tower · 3 seeds" in said
    std = comparison.table.set_index(["metric", "contender"]).loc[("ndcg_at_10", "A"), "std"]
    assert std > 0 and f"σ {words.short(std, 3)}" in said
    assert "deviation between 3 seeds" in said
    assert "B was trained with one seed." in said
    assert "C" not in tables_of(at, "Metrics")
    assert "What would they recommend to one user?" in links(at)
    toggle(at, "Seeds as one").set_value(False).run()
    assert not at.exception
    assert at.query_params["seeds"] == "apart"
    assert "· 3 seeds" not in says(at)
    assert toggle(visit("compare", runs=ids, seeds="apart"), "Seeds as one").value is False


def tables_of(at: AppTest, label: str) -> list[str]:
    html = next(found.value for found in at.html if f'aria-label="{label}' in found.value)
    return re.findall(r"</span> ([A-Z])<", html.split("</thead>")[0])


def test_without_seeds_to_group_nobody_is_asked(shared: Workspace, visit: Visit) -> None:
    assert toggle(visit("compare", runs=shared.ids("two_tower", "dlrm")), "Seeds as one") is None


def test_a_seed_run_twice_counts_once(shared: Workspace) -> None:
    first, again, second = (shared.runs[name] for name in ("two_tower", "again", "seed2"))
    assert engine.compare.seed_groups([first, again, second]) == [[first, second], [again]]


def test_a_baseline_of_the_address_may_be_any_seed_of_a_group(shared: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=shared.ids("dlrm", "two_tower", "seed2"), baseline=shared.runs["seed2"])
    chosen = labelled(at.selectbox, "Differences against")
    assert (chosen.value, chosen.options[-1]) == (shared.runs["two_tower"], "B · Two-tower")


def test_what_looks_wrong_is_a_sign_in_the_header_and_a_list(own: Workspace, visit: Visit) -> None:
    names = ("two_tower", "dlrm", "deepfm")
    for name in names:  # three epochs on few rows may well raise one
        own.change(own.path(name) / "done.json", alarms=[])
    assert not [box for box in visit("compare", runs=own.ids(*names)).expander if "wrong" in box.label]
    own.change(own.path("deepfm") / "done.json", alarms=["Item embeddings have collapsed: their mean cosine is 0.995."])
    st.cache_resource.clear()  # what a finished run says does not change otherwise
    at = visit("compare", runs=own.ids(*names))
    head = next(html.value for html in at.html if "Metrics of the compared runs" in html.value)
    assert head.count("⚠") == 1
    assert 'title="Item embeddings have collapsed' in head
    wrong = [box for box in at.expander if "wrong" in box.label]
    assert [box.label for box in wrong] == ["What looks wrong (1)"]
    assert "**C " in wrong[0].markdown[0].value


def test_many_lists_agree_in_a_table(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs=shared.ids(*CROWD[:8]), user="7", k="5")
    assert [box.label for box in at.expander if "agree" in box.label.lower()] == ["Agreement of the lists"]
    assert "A ∩ B" not in says(at)
    assert len([one for one in at.html if re.search('aria-label="Top 5 of [A-H] ', one.value)]) == 8


Row = tuple[str, str, float, float, float, float]
NO = float("nan")


def told(*rows: Row, models: dict[str, str] | None = None) -> Comparison:
    """A comparison that is only a table: metric, letter, value, low, high, std."""
    frame = pd.DataFrame(rows, columns=["metric", "contender", "value", "low", "high", "std"])
    named = (
        dict.fromkeys(frame["contender"], "dlrm")
        | {one.value: one.model for one in Baseline if one in set(frame["contender"])}
        | (models or {})
    )
    contenders = [
        Contender(letter=letter, run_id=letter.lower() if len(letter) == 1 else None, name=f"Model {letter}", model=model, color_index=at)
        for at, (letter, model) in enumerate(named.items())
    ]
    nothing = pd.DataFrame()
    judged = frame.assign(delta=NO, best=False)
    return Comparison(
        contenders=contenders, dataset=DATASET, apart=[], table=judged, curves=nothing, differences=nothing, costs=nothing, users=1
    )


@pytest.mark.parametrize(
    "metric, values, said",
    [
        ("rmse", (0.9, 1.0), "For predicting the value, **A Model A** has the lowest RMSE, 0.900, but it was not tested against B"),
        (
            "class_log_loss",
            (1.2, 1.1),
            "For predicting the class, **B Model B** has the lowest Class log loss, 1.10, but it was not tested",
        ),
        (
            "accuracy",
            (0.4, 0.5),
            "For predicting the class, **B Model B** has the highest Accuracy, 0.500, but it was not tested against A",
        ),
        ("action_auc", (0.7, 0.6), "For predicting actions, **A Model A** has the highest Mean action AUC, 0.700, but it was not tested"),
    ],
)
def test_every_output_has_its_sentence_in_the_direction_that_is_better(metric: str, values: tuple[float, float], said: str) -> None:
    found = verdict.sentences(told(*((metric, letter, value, NO, NO, NO) for letter, value in zip("AB", values, strict=True))))
    assert found[0].startswith(said)
    assert found[1:] == [
        "A and B were trained with one seed each. What another seed may change is counted (an assumption, for nothing was repeated on this "
        "dataset); repeat over 3 seeds to be sure."
    ]


def test_the_class_is_judged_by_log_loss_where_there_is_one() -> None:
    rows = [(m, letter, v, NO, NO, NO) for m in ("accuracy", "class_log_loss") for letter, v in (("A", 0.5), ("B", 0.6))]
    first, _ = verdict.sentences(told(*rows))
    assert "Class log loss" in first and "Accuracy" not in first


def test_popularity_that_wins_is_not_compared_with_itself() -> None:
    rows = [("ndcg_at_10", "A", 0.2, 0.19, 0.21, NO), ("ndcg_at_10", "B", 0.1, 0.09, 0.11, NO), ("ndcg_at_10", "pop", 0.2, 0.19, 0.21, NO)]
    said = verdict.sentences(told(*rows, models={"A": "popularity", "pop": "popularity"}))[0]
    assert "No model here does better than recommending what is liked most." in said
    assert "popularity (" not in said


def test_a_best_value_that_was_not_tested_is_a_hollow_star() -> None:
    comparison = told(("ndcg_at_10", "A", 0.2, 0.19, 0.21, NO), ("ndcg_at_10", "B", 0.1, 0.09, 0.11, NO))
    html = metric_tables.metric_table(comparison, "pop")
    assert "by too little to matter, ahead of B" in html and "☆" in html and "★" not in html


def test_settings_of_one_contender_alone_share_a_row() -> None:
    comparison = told(("auc", "A", 0.7, NO, NO, NO), ("auc", "B", 0.7, NO, NO, NO))
    frame = pd.DataFrame(
        {"setting": ["model.embedding_dim", "model.l2", "model.x"], "A": ["16", "100 (tuned)", None], "B": ["8", None, "—"]}
    )
    html = metric_tables.settings_table(frame, comparison.contenders)
    assert html.count("<tr>") == 3  # head, embedding dim, of its own
    assert "L2:&nbsp;100 (tuned)" in html


def test_settings_and_models_have_the_names_that_people_see_on_the_form() -> None:
    contenders = [
        engine.compare.Contender(letter=one, run_id=one, name=one, model=model, color_index=at)
        for at, (one, model) in enumerate((("A", "two_tower"), ("B", "dlrm")))
    ]
    frame = pd.DataFrame(
        {
            "setting": ["model.kind", "model.embedding_dim", "train.table_learning_rate"],
            "A": ["two_tower", "64", "0.1"],
            "B": ["dlrm", "16", "0.02"],
        }
    )
    html = metric_tables.settings_table(frame, contenders)
    for name in (">Model<", ">Two-tower<", ">DLRM<", ">Embedding dim<", ">Training: table learning rate<"):
        assert name in html, name
    assert "two_tower" not in html and "learning_rate" not in html


def test_a_line_of_links_leads_to_every_section(shared: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "dlrm"))
    line = next(one.value for one in at.caption if one.value.startswith("[Metrics on test]"))
    assert re.findall(r"\[([^]]+)\]\(#", line) == [one.value for one in at.header]
    assert "[Who differs from whom](#who-differs-from-whom)" in line


@pytest.mark.parametrize(
    "titles, short",
    [
        (["EASE · tuned", "DLRM · history · dim 16"], ["EASE", "DLRM"]),
        (["T · soft · dim 64", "T · point · dim 64", "T · soft · dim 8"], ["T · soft · dim 64", "T · point · dim 64", "T · soft · dim 8"]),
        (["T · softmax · dim 64", "T · pointwise · dim 64"], ["T · softmax", "T · pointwise"]),
        (["DLRM · dim 16", "DLRM · dim 16"], ["DLRM", "DLRM"]),
    ],
)  # fmt: skip
def test_a_name_is_what_sets_a_title_apart(titles: list[str], short: list[str]) -> None:
    letters = [chr(65 + at) for at in range(len(titles))]
    assert list(words.short_names(dict(zip(letters, titles, strict=True))).values()) == short


def test_letters_of_points_that_lie_together_stand_apart() -> None:
    places = charts.label_places([1.0, 1.0, 1.0, 10.0], [0.1, 0.1, 0.1, 0.5])
    assert len(set(places[:3])) == 3
    assert places[3] == "middle right"
    assert charts.label_places([0.0, 1.0], [0.2, 0.4], line=0.2)[0] != "middle right"
    assert charts.label_places([0.0, 1.0], [0.2, 0.4], joined=[True, False]) == ["top right", "middle right"]


def test_costs_that_differ_by_far_stand_on_a_log_axis() -> None:
    def figure(*costs: float) -> Any:
        rows = [("A", "m", cost, 0.2, NO, NO, "#000000", "circle") for cost in costs]
        return charts.quality_cost(pd.DataFrame(rows, columns=["letter", "name", "x", "y", "low", "high", "color", "marker"]), "s", "q")

    assert figure(1, 100).layout.xaxis.type == "log"
    assert {"1", "20", "100"} <= set(figure(1, 100).layout.xaxis.ticktext)
    assert figure(1, 2).layout.xaxis.type != "log"
    assert figure(0, 100).layout.xaxis.type != "log"
