"""Every page, opened as a person would: empty, filled, with a wrong address, with hostile text."""

import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from engine.runs.read import RunState
from tests.pages.fake import DATASET, HOSTILE, FakeEngine, run

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]
PAGES = ("home", "data", "train", "runs", "compare", "recommend", "system")


def foreign_markup(at: AppTest) -> list[str]:
    """Parts of HOSTILE that a browser would take for markup."""
    markdown = "".join(e.value for kind in (at.markdown, at.caption, at.subheader, at.error, at.warning) for e in kind)
    markdown += "".join(e.label for e in at.get("page_link"))
    found = re.findall(r"(?<!\\)(<img|\]\(http|:red\[|\*\*Bold)", markdown)
    return found + re.findall("<img", "".join(e.value for e in at.html))


def links(at: AppTest) -> list[str]:
    return [element.label for element in at.get("page_link")]


def button(at: AppTest, label: str) -> object:
    return next(element for element in at.button if element.label == label)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workbench_opens_every_page(fake: FakeEngine, visit: Visit, page: str) -> None:
    at = visit(page)
    assert at.title[0].value


@pytest.mark.parametrize(
    "page, offer",
    [("train", "Prepare a dataset"), ("runs", "Go to the home page"), ("compare", "Train models"), ("recommend", "Train models")],
)
def test_an_empty_page_offers_the_next_step(fake: FakeEngine, visit: Visit, page: str, offer: str) -> None:
    assert [b.label for b in visit(page).button] == [offer]


@pytest.mark.parametrize("page", PAGES)
def test_a_wrong_address_gives_a_sentence_and_never_a_traceback(trained: FakeEngine, visit: Visit, says: Says, page: str) -> None:
    value = HOSTILE * 120  # some 10,000 characters
    at = visit(
        page,
        **dict.fromkeys(("runs", "run", "dataset", "user", "metric", "k", "models", "from", "baseline", "tour", "view"), value),
    )
    if page in ("data", "train", "runs", "compare", "recommend"):
        assert "There is no" in says(at)
        assert not foreign_markup(at)


def test_the_first_run_is_one_click_and_one_tour(fake: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("home")
    button(at, "Load sample ratings and compare").click().run()
    assert fake.tours == 1
    assert at.query_params["tour"] == "p,t,d"
    at.run()
    assert fake.tours == 1
    assert "Prepare films" in says(at)


def test_a_finished_tour_offers_its_comparison_to_who_comes_back(trained: FakeEngine, visit: Visit) -> None:
    trained.runs.append(run("p", None))
    at = visit("home", tour="p,a,d")
    assert button(at, "Open the comparison")


def test_home_leads_to_the_last_comparison_retrieval_first(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs.reverse()
    said = says(visit("home"))
    assert said.index("Two\\-") < said.index("DLRM")


def test_data_lists_datasets_and_shows_the_one_of_the_address(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("data", dataset=DATASET)
    assert at.dataframe[0].value["Users to rank for"].tolist() == [28]
    said = says(at)
    assert "60 %" in said  # of train is liked
    assert "0.197" in said  # popularity


def test_a_new_dataset_shows_what_the_rules_leave_and_is_prepared_once(fake: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("data", view="new", source="sample")
    for name, value in (("users", 40), ("items", 40), ("interactions", 500)):
        at.number_input(f"data.sample.source.{name}").set_value(value)
    at.run()
    assert not at.exception
    assert "users to rank for" in says(at)
    button(at, "Prepare").click().run()
    assert [spec.source.users for spec, _ in fake.submitted] == [40]
    assert button(at, "Prepare").disabled


def test_a_source_that_cannot_be_read_is_a_sentence(fake: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("data", view="new", source="sample")
    at.number_input("data.sample.source.interactions").set_value(500)
    at.run()
    assert "interactions is 500" in says(at).replace("\\", "")
    assert button(at, "Prepare").disabled


def test_both_models_launch_with_one_click_and_a_double_click_launches_them_once(trained: FakeEngine, visit: Visit) -> None:
    at = visit("train")
    at.number_input("train.all.new.epochs").set_value(2).run()
    launch = button(at, "Launch 2 runs")
    launch.click().run()
    assert [(spec.model.kind, spec.train.epochs) for spec, _ in trained.submitted] == [("two_tower", 2), ("dlrm", 2)]
    assert button(at, "Launch 2 runs").disabled
    launch.click().run()  # the second click of a double click: it left the browser before the button was drawn disabled
    assert len(trained.submitted) == 2
    button(at, "Launch the same again").click().run()
    button(at, "Launch 2 runs").click().run()
    assert len(trained.submitted) == 4
    assert len({key for _, key in trained.submitted}) == 4


def test_a_fitted_model_is_a_button_away_and_tuned_unless_told(trained: FakeEngine, visit: Visit) -> None:
    at = visit("train")
    for label in ("Add EASE", "Add Item-kNN"):
        button(at, label).click().run()
    assert not at.exception
    next(n for n in at.number_input if n.label == "Neighbours").set_value(30).run()
    button(at, "Launch 4 runs").click().run()
    chosen = {spec.model.kind: spec.model for spec, _ in trained.submitted}
    assert chosen["ease"].l2 is None
    assert (chosen["item_knn"].neighbours, chosen["item_knn"].similarity) == (30, None)


def test_train_says_what_its_objectives_do(trained: FakeEngine, visit: Visit, says: Says) -> None:
    assert "worse than popularity" in says(visit("train", models="two_tower"))


def test_an_impossible_setting_is_named_and_cannot_be_launched(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("train", models="dlrm")
    field = next(n for n in at.number_input if n.label == "Embedding dim")
    field.set_value(18).run()
    assert "embedding_dim is 18" in says(at).replace("\\", "")
    assert button(at, "Launch").disabled


def test_a_refused_launch_says_why(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.refuses = LookupError("There is no prepared dataset films-0123456789ab.")
    at = visit("train")
    button(at, "Launch 2 runs").click().run()
    assert "There is no prepared dataset" in says(at)


def test_train_again_starts_from_the_settings_of_a_run(trained: FakeEngine, visit: Visit) -> None:
    spec = trained.runs[1].spec
    spec["train"]["epochs"], spec["model"]["over_layers"] = 7, [8, 4]
    at = visit("train", **{"from": "d"})
    button(at, "Launch").click().run()
    launched = trained.submitted[0][0]
    assert (launched.train.epochs, launched.model.over_layers) == (7, (8, 4))


def test_a_live_run_shows_progress_and_can_be_cancelled(trained: FakeEngine, visit: Visit) -> None:
    trained.runs.insert(0, run("live", state=RunState.RUNNING))
    at = visit("runs", run="live")
    told = at.get("progress")[0].proto.text.replace("\\", "").replace("\u2060", "")
    assert told == "Running 42 % · training · epoch 3 of 10 · 12,345 rows/s · 1 min left"
    button(at, "Stop the run").click().run()
    assert trained.cancelled == ["live"]


def test_a_failed_run_tells_its_cause(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs.insert(0, run("bad", state=RunState.FAILED, message="Rank 1: loss is nan at step 12"))
    at = visit("runs", run="bad")
    assert "loss is nan at step 12" in says(at)
    assert "Train again" in links(at)


def test_a_selected_run_stands_in_the_address(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("runs", run="d")
    assert "0.788" in " ".join(metric.value for metric in at.metric)
    assert at.query_params["run"] == "d"


def test_compare_marks_the_best_and_judges_by_the_intervals(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("compare", runs="a,d")
    said = says(at)
    assert "For retrieval take **A" in said
    assert "and the intervals are apart" in said
    assert "For ranking take **B" in said
    assert re.search(r'<span title="best: [^"]*">★</span> 0.229', said)
    assert "+0.032" in said  # over popularity


def test_overlapping_intervals_are_called_noise(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.overlapping = True
    said = says(visit("compare", runs="a,d"))
    assert "inside the noise of B" in said
    assert "For retrieval take" not in said


def test_a_run_of_other_data_stands_apart_with_its_reason(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs.append(run("e", dataset="other-0123456789ab"))
    assert "is not compared" in says(visit("compare", runs="a,e"))


def test_recommend_marks_hits_moves_and_overlap(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", user="7", k="5")
    said = says(at)
    assert "User 7" in said
    assert "2 hits" in said
    assert "A ∩ B: 0 of 5" in said
    assert "↑ 29 vs A" in said  # film 30 is last for A and first for B
    assert trained.opened == ["a", "d"]
    assert at.query_params["user"] == "7"


def test_an_unknown_user_leads_home(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("recommend", runs="a,d", user="nobody")
    assert "There is no user nobody" in says(at)
    assert "Go to the home page" in links(at)
    assert trained.opened == []


def test_titles_are_shown_as_they_are_written(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.title = HOSTILE
    at = visit("recommend", runs="a,d", user="7")
    assert "&lt;img src=x onerror" in says(at)
    assert not foreign_markup(at)


def test_a_run_named_in_markdown_is_escaped(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs = [run("a", title=HOSTILE), run("d", "dlrm", title=HOSTILE)]
    for page, query in (("home", {}), ("runs", {"run": "a"}), ("compare", {"runs": "a,d"}), ("recommend", {"runs": "a,d"})):
        at = visit(page, **query)
        assert "Bold" in says(at)
        assert not foreign_markup(at)
