"""Register a run on the page, see it in the registry, give and take aliases."""

import pytest

import engine
from tests.pages.reading import Says, Visit, button, foreign_markup, links, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace


def test_a_contender_is_registered_with_its_verdict(own: Workspace, visit: Visit, says: Says) -> None:
    engine.runs.rename(own.runs["ease"], HOSTILE)
    at = visit("compare", runs=own.ids("ease", "popularity"))
    at.session_state["compare.register.box"] = True
    at.run()
    assert "weights" in says(at) and "users" in says(at)
    at.text_input("compare.register.alias").set_value("not an alias").run()
    at.button("compare.register.go").click().run()
    assert "is no alias" in plainly(at.error[0].value) and not engine.registry.list_registered()
    at.text_input("compare.register.alias").set_value("champion").run()
    at.button("compare.register.go").click().run()
    (made,) = engine.registry.list_registered()
    assert (made.run_id, made.aliases, set(made.compared_with)) == (own.runs["ease"], ("champion",), {own.runs["popularity"]})
    assert "is registered" in at.success[0].value and "See it, and how it is served" in links(at)

    at = visit("registry", model=made.name, version="1")
    said = plainly(says(at))
    assert made.verdict.split(" (")[0][:60] in said and not foreign_markup(at)
    codes = [one.value for one in at.code]
    assert any("mlflow models serve --model-uri models:/films@champion" in code for code in codes)
    assert any("recbench gate RUN --against films@champion" in code for code in codes)
    assert {"The comparison", "The run", "Its lists"} <= set(links(at))


def test_an_alias_moves_from_version_to_version(own: Workspace, visit: Visit) -> None:
    for name in ("ease", "ials"):
        engine.registry.register(own.runs[name], "films", alias="champion" if name == "ease" else None)
    at = visit("registry", version="2")
    at.text_input[0].set_value("champion")  # a form keeps what was typed until it is submitted
    button(at, "Give").click().run()
    assert engine.registry.run_of("champion") == own.runs["ials"]
    button(at, "Take away").click().run()
    assert not [one for one in engine.registry.list_registered() if one.aliases]
    at.text_input[0].set_value("v7")
    button(at, "Give").click().run()
    assert "is no alias" in plainly(at.error[0].value)


@pytest.mark.parametrize("name", ["failed", "clicks"])
def test_what_cannot_be_registered_is_not_offered_or_says_why(shared: Workspace, visit: Visit, says: Says, name: str) -> None:
    at = visit("runs", run=shared.runs[name])
    at.session_state["runs.register.box"] = True
    at.run()
    assert not [one for one in at.button if one.key == "runs.register.go"]
