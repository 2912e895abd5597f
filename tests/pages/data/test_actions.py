"""A log of several actions: the stronger ones are proposed, and asked for where the commonest is itself a strong one."""

import random
from pathlib import Path

import pytest

import engine
from tests.pages.reading import Visit, button
from tests.workspace import Workspace


@pytest.mark.parametrize(("common", "asked"), [("buy", True), ("pv", False)])
def test_actions_are_proposed_by_strength_or_asked_for(
    empty: Workspace, drivers: None, visit: Visit, tmp_path: Path, common: str, asked: bool
) -> None:
    chance = random.Random(1)
    others = [name for name in ("buy", "pv", "cart") if name != common]
    kinds = chance.choices([common, *others], [0.8, 0.15, 0.05], k=900)
    rows = [f"u{chance.randint(1, 40)},i{chance.randint(1, 300)},{kind},{1_512_000_000 + 60 * n}" for n, kind in enumerate(kinds)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["user_id,item_id,behavior,timestamp", *rows]))
    at = visit("data", view="new", source="table")
    at.text_input("data.table.source.path").set_value(str(path)).run()
    assert not at.exception
    box = next(one for one in at.multiselect if one.label.startswith("Counts as liked"))
    assert button(at, "Prepare").disabled == asked
    assert any("buy is the most frequent one" in one.value for one in at.warning) == asked
    assert set(box.value) == (set() if asked else {"buy", "cart"})
    box.set_value(["buy", "cart"]).run()
    button(at, "Prepare").click().run()
    (run,) = empty.launched()
    assert set(engine.datasets.DatasetSpec.model_validate(run.spec).label.liked) == {"buy", "cart"}
