"""Which actions count as liked by default: known strengths decide, not how often each occurs."""

import random
from pathlib import Path

import pandas as pd
import pytest

from engine.datasets.spec import DatasetSpec
from engine.preview.actions import strength_of, strong_and_frequent, usual_likes
from engine.preview.first_rows import preview
from tests.given import given


@pytest.mark.parametrize(
    ("actions", "liked"),
    [
        (["buy", "pv", "cart"], ["buy", "cart"]),
        (["buy", "pv", "cart", "fav"], ["buy", "cart", "fav"]),
        (["pv", "cart", "fav", "buy"], ["cart", "fav", "buy"]),
        (["view", "addtocart", "transaction"], ["addtocart", "transaction"]),
        (["click", "view"], ["click"]),
        (["Purchase", "Page View"], ["Purchase"]),
        (["view", "remove_from_cart", "add_to_cart", "purchase"], ["add_to_cart", "purchase"]),
        (["addToCart", "orderPlaced", "impression"], ["addToCart", "orderPlaced"]),
        (["buy", "cart"], ["buy"]),
        (["purchase", "other"], ["purchase", "other"]),
        (["share", "buy", "view"], ["buy"]),
        (["0", "1", "2"], ["1", "2"]),
        (["watch"], ["watch"]),
        (["buy"], ["buy"]),
    ],
)
def test_the_stronger_actions_are_liked(actions: list[str], liked: list[str]) -> None:
    assert usual_likes(actions) == liked


def test_known_names_are_in_the_order_of_their_strength() -> None:
    groups = [("pv", "view", "impression"), ("click",), ("fav",), ("cart",), ("buy", "order", "purchase", "transaction")]
    levels = [{strength_of(name) for name in names} for names in groups]
    assert levels == [{1}, {2}, {3}, {4}, {5}]
    assert strength_of("remove_from_cart") == 0 and strength_of("swipe") is None


def test_only_a_strong_action_that_is_the_most_frequent_is_confirmed() -> None:
    assert strong_and_frequent(["buy", "pv"]) == "buy"
    assert strong_and_frequent(["pv", "buy"]) is None and strong_and_frequent(["buy"]) is None and strong_and_frequent(["x", "buy"]) is None


def test_purchases_that_are_the_commonest_action_are_liked_and_said(tmp_path: Path) -> None:
    chance = random.Random(1)
    kinds = chance.choices(["buy", "pv", "cart"], [0.75, 0.2, 0.05], k=600)
    rows = [(f"u{chance.randint(1, 40)}", f"i{chance.randint(1, 200)}", kind, 1_512_000_000 + 60 * n) for n, kind in enumerate(kinds)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "category", "timestamp"])
    source = given(tmp_path / "s", table, reads={"value": "category"})
    found = preview(DatasetSpec(name="g", source=source, label={"kind": "actions"})).audit  # type: ignore[arg-type]
    assert found.splits["train"].positive_share > 0.7
    said = [finding for finding in found.findings if "buy is the most frequent action" in finding.text]
    assert [finding.level for finding in said] == ["warn"] and "buy and cart count as liked" in said[0].text
    chosen = preview(DatasetSpec(name="g", source=source, label={"kind": "actions", "liked": ("buy",)})).audit  # type: ignore[arg-type]
    assert not any("most frequent action" in finding.text for finding in chosen.findings)
