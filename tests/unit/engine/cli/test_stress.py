"""What `recbench stress` prints."""

import json

import pandas as pd
import pytest

import engine
from engine.cli import main
from engine.compare import StressRow, StressTest
from engine.compare.stress_record import Lack, Variant
from tests.records import DATASET

WHY = "the stored lists leave out the items that users met in train"


def test_the_table_the_sentence_and_what_is_not_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = pd.DataFrame()
    comparison = engine.compare.Comparison(
        contenders=[],
        dataset=DATASET,
        apart=[("Old", "is failed")],
        table=nothing,
        curves=nothing,
        differences=nothing,
        costs=nothing,
        users=1,
    )
    usual, one = Variant(group="usual", name="the usual protocol (k 10)", k=10), Variant(group="k", name="k 1", k=1)
    test = StressTest(
        rows=(
            StressRow(variant=usual, values={"A": 0.31, "pop": 0.2}, best="A", surely=True, users=1234),
            StressRow(variant=one, values={"A": 0.11, "pop": 0.12}, best="pop", surely=False, users=1234),
        ),
        lacks=(Lack(what="seen items in", why=WHY),),
        names={"A": "A EASE", "pop": "Popularity"},
    )
    asked = []
    monkeypatch.setattr(engine.compare, "compare", lambda run_ids: asked.append(run_ids) or comparison)
    monkeypatch.setattr(engine.compare, "stress_test", lambda found: test)
    main(["stress", "a", "b", "--json"])
    *printed, last = capsys.readouterr().out.splitlines()
    assert asked == [["a", "b"]]
    assert printed == [
        "   A  EASE",
        " pop  Popularity",
        "",
        "NDCG@k                       users        A      pop",
        "the usual protocol (k 10)    1,234   ★0.310    0.200",
        "k 1                          1,234    0.110   ☆0.120",
        "",
        "★ surely best · ☆ best, but not surely",
        "",
        "A EASE leads in 1 of 2 protocols, surely in all of them; not for k 1 (Popularity). Nobody is surely ahead of it there.",
        f"Not here: seen items in, because {WHY}.",
        "apart: Old is failed",
    ]
    found = json.loads(last)
    assert found["sentence"] == printed[-3] and found["not_here"] == [printed[-2]] and found["dataset"] == DATASET
    assert found["rows"][1]["variant"]["k"] == 1 and found["rows"][1]["best"] == "pop" and found["rows"][1]["users"] == 1234
