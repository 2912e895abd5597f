"""What a table leaves open is asked on the Data page; nothing is prepared before the answer, and the answer is in the spec."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.reading import Says, Visit, button, foreign_markup, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace

Bring = Callable[..., AppTest]


@pytest.fixture
def bring(empty: Workspace, drivers: None, visit: Visit, tmp_path: Path) -> Bring:
    """The page with a table of 400 rows that a function makes."""

    def opened(header: str, row: Callable[[random.Random, int], str]) -> AppTest:
        chance = random.Random(1)
        path = tmp_path / "t.csv"
        path.write_text("\n".join([header, *(row(chance, n) for n in range(400))][not header :]))
        at = visit("data", view="new", source="table")
        at.text_input("data.table.source.path").set_value(str(path)).run()
        assert not at.exception, at.exception
        return at

    return opened


def questions(at: AppTest) -> list[Any]:
    """The questions in their order, without the choice of the source."""
    return [one for one in at.radio if ".question." in (one.key or "")]


def choose(at: AppTest, said: str, answer: str) -> None:
    """Answer the question that says so with the answer that begins so."""
    (question,) = [one for one in questions(at) if said in plainly(one.label)]
    question.set_value(next(k for k, text in enumerate(question.options) if plainly(text).startswith(answer))).run()
    assert not at.exception, at.exception


def prepared(at: AppTest, empty: Workspace) -> Any:
    """The spec of what is prepared."""
    button(at, "Prepare").click().run()
    (run,) = empty.launched()
    return engine.datasets.DatasetSpec.model_validate(run.spec)


def books(chance: random.Random, n: int) -> str:
    return f"{chance.randint(1, 40)},b{chance.randint(1, 40)},{chance.choice([0, 0, 3, 5, 8, 10])}"


@pytest.mark.parametrize(("answer", "low", "used"), [("Yes", 1.0, "set aside"), ("No", None, "400 rows read")])
def test_zeros_are_asked_and_left_out_or_kept(
    bring: Bring, empty: Workspace, says: Says, answer: str, low: float | None, used: str
) -> None:
    at = bring("User-ID,ISBN,Book-Rating", books)
    assert button(at, "Prepare").disabled
    assert "Answer the question about Book-Rating" in plainly(says(at))
    choose(at, "Does 0 mean that nobody rated?", answer)
    assert used in says(at)
    assert next(box for box in at.number_input if box.label == "Lowest label").value == low
    spec = prepared(at, empty)
    assert spec.source.low == low
    assert (spec.source.named("label"), spec.source.named("item")) == ("Book-Rating", "ISBN")


def test_a_session_takes_the_place_of_a_user_that_is_missing(bring: Bring, empty: Workspace) -> None:
    at = bring("sessionId,userId,itemId", lambda chance, n: f"s{n // 8},{'NA' if n % 5 else n},i{chance.randint(1, 30)}")
    assert button(at, "Prepare").disabled
    choose(at, "userId is NA in 320 of the first 400 rows", "Take sessionId")
    assert at.data_editor[0].value["Role"].tolist() == ["user", "ignore", "item"]
    assert at.data_editor[0].value["Why"].tolist()[:2] == ["as you answered"] * 2
    assert prepared(at, empty).source.named("user") == "sessionId"


def test_a_log_without_users_and_items_is_confirmed_in_words(bring: Bring, empty: Workspace) -> None:
    at = bring("click,site_id,position", lambda chance, n: f"{chance.randint(0, 1)},s{chance.randint(1, 9)},{chance.randint(1, 5)}")
    assert button(at, "Prepare").disabled
    choose(at, "nobody's recommendations can be shown", "Go on")
    spec = prepared(at, empty)
    assert spec.label.kind == "given"
    assert spec.source.named("user") is spec.source.named("item") is None


def test_a_role_that_is_set_by_hand_settles_its_question(bring: Bring, empty: Workspace) -> None:
    at = bring("customer,sku,Quantity", lambda chance, n: f"c{chance.randint(1, 30)},a{chance.randint(1, 30)},{chance.randint(1, 90)}")
    assert button(at, "Prepare").disabled and len(questions(at)) == 1
    at.session_state[at.data_editor[0].key or ""] = {"edited_rows": {2: {"Role": "label"}}, "added_rows": [], "deleted_rows": []}
    at.run()
    assert not at.exception and not questions(at)
    assert prepared(at, empty).source.named("label") == "Quantity"


def test_without_a_header_places_are_confirmed_or_turned(bring: Bring, empty: Workspace) -> None:
    kinds = ["pv", "pv", "pv", "cart", "buy"]
    at = bring("", lambda chance, n: f"{chance.randint(1, 40)},{chance.randint(1, 900)},{kinds[n % 5]},{1_511_544_100 + n}")
    box = next(one for one in at.selectbox if one.label.startswith("First line"))
    assert button(at, "Prepare").disabled
    choose(at, "columns are taken by their place", "The other way round")
    if box.value is None:
        next(one for one in at.selectbox if one.label.startswith("First line")).set_value(False).run()
    spec = prepared(at, empty)
    assert (spec.source.named("user"), spec.source.named("item"), spec.source.named("action")) == ("column_2", "column_1", "column_3")


def test_answers_last_until_another_table_and_names_stay_text(bring: Bring, visit: Visit) -> None:
    at = bring(f"customer,sku,total {HOSTILE}", lambda chance, n: f"c{n % 30},a{n % 31},{chance.randint(1, 90)}{HOSTILE if n < 2 else ''}")
    assert not foreign_markup(at)
    (question,) = questions(at)
    question.set_value(0).run()
    assert not at.exception and questions(at)[0].value == 0
    at.run()
    assert questions(at)[0].value == 0 and not button(at, "Prepare").disabled
