"""The Data page says at the split what it leaves to measure, and offers a better one; and it names features that tell the label."""

import random
from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.pages.reading import Says, Visit, button, plainly
from tests.workspace import Workspace

PICK = "Split it this way: Last of each user"


def opened(visit: Visit, path: Path, kind: str) -> AppTest:
    at = visit("data", view="new", source=kind)
    at.text_input(f"data.{kind}.source.path").set_value(str(path)).run()
    assert not at.exception, at.exception
    return at


def titles(at: AppTest) -> list[str]:
    return [warning.proto.title for warning in at.warning]


def newcomers(folder: Path) -> Path:
    """A table whose users come one after the other."""
    chance = random.Random(1)
    rows = [f"u{n},i{chance.randint(1, 25)},{chance.randint(3, 5)},{1_600_000_000 + 86_400 * n + k}" for n in range(80) for k in range(10)]
    path = folder / "newcomers.csv"
    path.write_text("\n".join(["user_id,item_id,rating,timestamp", *rows]))
    return path


def test_a_thin_split_is_said_and_a_click_picks_the_better_one(empty: Workspace, visit: Visit, says: Says, tmp_path: Path) -> None:
    at = opened(visit, newcomers(tmp_path), "table")
    assert "0 of 80 users are left to rank" in titles(at)
    said = plainly(says(at))
    assert "No ranking metric can be measured." in said
    assert "leaves 80 users to rank" in said or "users to rank, which show differences from" in said
    assert "By time (chosen)" in said
    button(at, PICK).click().run()
    assert not at.exception
    assert not any("left to rank" in title and title.startswith("0") for title in titles(at))
    assert "leaks other users' future" in plainly(says(at))
    assert "Last of each user (chosen)" in says(at)


def test_movielens_by_time_leaves_52_users(empty: Workspace, visit: Visit, says: Says, ml100k: Path) -> None:
    at = opened(visit, ml100k, "movielens")
    assert "52 of 943 users are left to rank" in titles(at)
    assert "97 of 166 test users are not in training" in plainly(says(at))
    button(at, PICK).click().run()
    assert not any("left to rank" in title for title in titles(at))


def test_a_feature_that_alone_tells_the_label_is_a_warning(empty: Workspace, visit: Visit, says: Says, tmp_path: Path) -> None:
    chance = random.Random(1)
    rows = [(f"u{chance.randint(1, 30)},i{chance.randint(1, 30)}", chance.randint(1, 5), 1_600_000_000 + 60 * n) for n in range(600)]
    path = tmp_path / "leaky.csv"
    lines = [f"{ids},{rating},{at},{'done' if rating >= 4 else 'open'}" for ids, rating, at in rows]
    path.write_text("\n".join(["user_id,item_id,rating,timestamp,order_state", *lines]))
    said = plainly(says(opened(visit, path, "table")))
    assert "order_state alone tells the label (AUC 1.00 on train)" in said
