"""The stress test on Compare: closed at first, then a sentence, a grid and what is not in it."""

import json

import pytest

import engine
from engine.compare import StressRow, StressTest
from engine.compare.stress_record import Variant
from tests.pages.reading import Says, Visit, foreign_markup
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.compare import stress, verdict


def test_it_is_computed_when_it_is_switched_on(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "ease"))
    assert "Stress test" in says(at) and "surely best" not in says(at) and "stress" not in at.query_params
    at.toggle("compare.stress").set_value(True).run()
    assert not at.exception
    assert at.query_params["stress"] == "on"
    test = engine.compare.stress_test(engine.compare.compare([shared.runs[name] for name in ("two_tower", "ease")]))
    sentence = engine.compare.stress_sentence(test)
    assert verdict.markdown(sentence) in says(at)
    assert f"of {len(test.rows)} protocols" in engine.compare.plain(sentence) or f"all {len(test.rows)}" in engine.compare.plain(sentence)
    for lack in engine.compare.not_here(test):
        assert verdict.markdown(lack) in says(at)
    table = engine.compare.compare([shared.runs["two_tower"], shared.runs["ease"]]).table
    usual = table[table["metric"] == "ndcg_at_10"].set_index("contender")["value"]
    assert test.rows[0].values == pytest.approx({x: usual[x] for x in test.names})
    assert not foreign_markup(at)
    again = visit("compare", runs=shared.ids("two_tower", "ease"), stress="on")
    assert again.toggle("compare.stress").value and verdict.markdown(sentence) in says(again)


def test_runs_without_lists_have_no_stress_test(own: Workspace, visit: Visit, says: Says) -> None:
    own.baselines(own.films, popularity={"ndcg_at_10": 0.1})
    own.lose_results("two_tower")
    assert "Stress test" not in says(visit("compare", runs=own.ids("two_tower", "ease"), stress="on"))


def made(**names: str) -> StressTest:
    rows = [
        StressRow(variant=Variant(group="usual", name="usual", k=10), values={"A": 0.4, "B": 0.2, "pop": 0.1, "rnd": 0.0}, best="A",
                  surely=True, users=50),
        StressRow(variant=Variant(group="k", name="k 1", k=1), values=dict.fromkeys(("A", "B", "pop", "rnd"), 0.0), best=None, surely=False,
                  users=9),
        StressRow(variant=Variant(group="k", name="k 5", k=5), values={"A": 0.1, "B": 0.2, "pop": 0.1, "rnd": 0.0}, best="B", surely=False,
                  users=50),
    ]  # fmt: skip
    return StressTest(rows=tuple(rows), lacks=(), names={"A": "A", "B": "B", "pop": "Popularity", "rnd": "Random"} | names)


def test_the_grid_marks_the_best_of_each_protocol_and_shades_by_the_share_of_it() -> None:
    drawn = stress.figure(made(A=HOSTILE))
    (grid,) = drawn.data
    assert [list(row) for row in grid.text] == [["★ 0.400", "0.200", "0.100"], ["0.000", "0.000", "0.000"], ["0.100", "☆ 0.200", "0.100"]]
    assert [list(row) for row in grid.z] == [[1, 0.5, 0.25], [1, 1, 1], [0.5, 1, 0.5]]
    assert list(drawn.layout.xaxis.ticktext) == ["A", "B", "Popularity"]
    assert "span" in drawn.layout.yaxis.ticktext[1] and drawn.layout.yaxis.ticktext[0] == "usual"
    assert "25 % of the best · 50 users" in grid.customdata[0][2]
    assert "<img" not in json.dumps(drawn.to_dict(), default=str)
