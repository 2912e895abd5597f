"""The stress test against naive loops over dictionaries, on what is missing, and in its sentences."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import engine
from engine import datasets, runs
from engine.compare import Comparison, Contender, StressRow, StressTest, stress
from engine.compare.stress_record import Lack, Variant
from engine.datasets.read import Dataset
from tests.records import SCHEMA, run
from workers.artifacts.results import RESULTS, TOP_K
from workers.specs.protocol import Protocol

USERS, ITEMS = 60, 90
DAY = 86_400
Values = dict[str, float]  # by user


class World:
    """A dataset on disk, and lists of runs a (two seeds) and b, and of popularity."""

    def __init__(self, path: Path) -> None:
        rng = np.random.default_rng(3)
        self.folder, self.path, self.protocol = path, path / "d", Protocol()
        self.users = [f"u{n}" for n in range(1, USERS + 1)]
        self.likes = {user: int(n) for user, n in zip(self.users, rng.choice([3, 9, 10, 30, 49, 50, 80], USERS), strict=True)}
        self.popularity = {item: int(n) for item, n in zip(range(1, ITEMS + 1), rng.integers(0, 200, ITEMS), strict=True)}
        self.seen = {user: set(map(int, rng.choice(ITEMS, 8, replace=False) + 1)) for user in self.users}
        rows = []
        for user in self.users:
            for item in rng.integers(0, ITEMS, 14):  # 0 is an item that train does not have; some items come twice
                rating = int(rng.integers(1, 6))
                rows.append((user, int(item), rating, float(rating >= 4), 1000 * DAY + int(rng.integers(0, 40)) * DAY))
        self.rows = pd.DataFrame(rows, columns=["user_id", "item", "rating", "label", "timestamp"])
        self.rows["user"] = self.rows["user_id"].str[1:].astype(np.int32)
        self.lists = {name: {user: rng.permutation(ITEMS)[:60] + 1 for user in self.users} for name in ("a", "a2", "b", "popularity")}
        self.write()

    def relevant(self, user: str) -> list[int]:
        own = self.rows[(self.rows["user_id"] == user) & (self.rows["label"] > 0) & (self.rows["item"] > 0)]
        return sorted(set(own["item"]) - (self.seen[user] if self.protocol.exclude_seen else set()))

    def answer(self, user: str, moment: Callable[[list[int]], int]) -> float:
        """Of the items liked at the first or the last moment, the one of the lowest row; nan where there is none."""
        new = set(self.relevant(user)) - self.seen[user]
        own = self.rows[(self.rows["user_id"] == user) & (self.rows["label"] > 0) & self.rows["item"].isin(new)]
        return min(own["item"][own["timestamp"] == moment(own["timestamp"].tolist())]) if len(own) else math.nan

    def write(self) -> None:
        for name in ("interactions", "ranking", "baselines"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        train = pd.DataFrame({"user": np.int32(1), "item": [1, 2], "rating": 5, "label": 1.0, "timestamp": 5, "split": "train"})
        rows = pd.concat([train, self.rows.drop(columns="user_id").assign(split="test")])
        rows.to_parquet(self.path / "interactions" / "part.parquet", index=False)
        ranked = pd.DataFrame({"user": np.arange(1, USERS + 1, dtype=np.int32), "user_id": self.users}).iloc[::-1]
        ranked["seen"] = [sorted(self.seen[user]) for user in ranked["user_id"]]
        ranked["relevant"] = [np.array(sorted(set(self.relevant(user)) - self.seen[user]), np.int32) for user in ranked["user_id"]]
        ranked["next"] = [self.answer(user, min) for user in ranked["user_id"]]
        ranked["last"] = [self.answer(user, max) for user in ranked["user_id"]]
        ranked[ranked["relevant"].map(len) > 0].to_parquet(self.path / "ranking" / "test.parquet")
        items = pd.DataFrame(
            {"row": [0, 0, *self.popularity], "train_positives": [0, 0, *self.popularity.values()]}
        )  # two are not in train
        items.to_parquet(self.path / "items.parquet")
        people = pd.DataFrame({"row": range(1, USERS + 1), "train_positives": list(self.likes.values())})
        people.to_parquet(self.path / "users.parquet")
        for name, lists in self.lists.items():
            folder = self.folder / "runs" / name / RESULTS
            folder.mkdir(parents=True, exist_ok=True)
            frame = pd.DataFrame({"user_id": list(lists), "items": [items.astype(np.int32) for items in lists.values()]})
            if not self.protocol.exclude_seen:
                frame["relevant"] = [np.array(self.relevant(user), np.int32) for user in lists]
            frame.to_parquet(self.path / "baselines" / f"popularity_{TOP_K}" if name == "popularity" else folder / TOP_K)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(datasets, "get_dataset", lambda id: Dataset(id, "d", made.path, {}, SCHEMA))
    monkeypatch.setattr(runs, "get_run", lambda run_id: run(run_id, "ease"))
    monkeypatch.setattr(runs, "done", lambda run_id: {"protocol": made.protocol.model_dump()})
    return made


def comparison(**values: float) -> Comparison:
    contenders = [
        Contender(letter="A", run_id="a", name="EASE · 2 seeds", model="x", color_index=0, run_ids=("a", "a2")),
        Contender(letter="B", run_id="b", name="iALS", model="y", color_index=1, run_ids=("b",)),
        Contender(letter="pop", run_id=None, name="Popularity", model="popularity", color_index=2),
    ]
    values = values or {"A": 0.5, "B": 0.5, "pop": 0.5}
    table = pd.DataFrame({"metric": "ndcg_at_10", "contender": list(values), "value": list(values.values()), "std": math.nan})
    nothing = pd.DataFrame()
    parts = {"table": table, "curves": nothing, "differences": nothing, "costs": nothing}
    return Comparison(contenders=contenders, dataset="d", apart=[], users=1, **parts)


Gains = dict[str, dict[int, float]]  # user -> item -> gain


def naive(lists: list[dict[str, np.ndarray]], gains: Gains, k: int) -> Values:
    """NDCG@k by user, the mean over seeds; users without a gain are left out."""
    values = {}
    for user, own in gains.items():
        best = sorted(own.values(), reverse=True)[:k]
        ideal = sum(gain / math.log2(place + 2) for place, gain in enumerate(best))
        if ideal > 0 and user in lists[0]:
            seeds = [sum(own.get(int(i), 0) / math.log2(at + 2) for at, i in enumerate(one[user][:k])) for one in lists]
            values[user] = sum(seeds) / len(seeds) / ideal
    return values


def gains_of(world: World, counts: Callable[[str, int, pd.DataFrame], float]) -> Gains:
    """Gains of the items of test, by their rows there."""
    gains: Gains = {}
    for user in world.users:
        of_user = world.rows[(world.rows["user_id"] == user) & (world.rows["item"] > 0)]
        own = {int(item): counts(user, int(item), rows) for item, rows in of_user.groupby("item")}
        gains[user] = own if world.relevant(user) and set(world.relevant(user)) - world.seen[user] else {}  # others are not ranked for
        if world.protocol.exclude_seen:
            gains[user] = {item: gain for item, gain in gains[user].items() if item not in world.seen[user]}
    return gains


def liked(user: str, item: int, rows: pd.DataFrame) -> float:
    return float((rows["label"] > 0).any())


def check(world: World, row: StressRow, gains: Gains, users: Callable[[str], bool] = lambda user: True) -> None:
    of = {"A": ["a", "a2"], "B": ["b"], "pop": ["popularity"]}
    for letter, names in of.items():
        values = naive([world.lists[name] for name in names], {user: own for user, own in gains.items() if users(user)}, row.variant.k)
        assert row.users == len(values), row.variant.name
        assert row.values[letter] == pytest.approx(sum(values.values()) / len(values)), (row.variant.name, letter)


def by_name(test: StressTest) -> dict[str, StressRow]:
    assert len({row.variant.name for row in test.rows}) == len(test.rows)
    return {row.variant.name: row for row in test.rows}


def test_every_k_and_group_of_users_is_what_loops_give(world: World) -> None:
    rows, gains = by_name(engine.compare.stress_test(comparison())), gains_of(world, liked)
    groups = {"under 10 likes": (0, 9), "10 to 49 likes": (10, 49), "50 or more likes": (50, 999)}
    assert len(rows) == 5 + 15 + 4 + 2 + 3
    for k in (1, 5, 10, 20, 50):
        row = rows["the usual protocol (k 10)" if k == 10 else f"k {k}"]
        assert row.variant.k == k
        check(world, row, gains)
        for name, (low, high) in groups.items():
            row = rows[f"users with {name}" if k == 10 else f"k {k}, users with {name}"]
            check(world, row, gains, lambda user, low=low, high=high: low <= world.likes[user] <= high)  # type: ignore[misc]


def test_the_first_and_the_last_like_are_what_loops_give(world: World) -> None:
    found = engine.compare.stress_test(comparison())
    times: dict[str, list[int]] = {}
    for user in world.users:
        own = world.rows[(world.rows["user_id"] == user) & world.rows["item"].isin(world.relevant(user)) & (world.rows["label"] > 0)]
        times[user] = own["timestamp"].tolist()

    def at(moment: Callable[[list[int]], int]) -> Gains:
        def counts(user: str, item: int, rows: pd.DataFrame) -> float:
            mine = rows[rows["label"] > 0]["timestamp"].tolist()
            return float(bool(times[user]) and moment(times[user]) in mine)

        return gains_of(world, counts)

    check(world, by_name(found)["the first like of the test period"], at(min))
    check(world, by_name(found)["the last like of the test period"], at(max))


@pytest.mark.parametrize(("question", "moment", "words"), [("next", min, "next"), ("last", max, "last")])
def test_the_usual_protocol_is_the_question_of_the_comparison(world: World, question: Any, moment: Any, words: str) -> None:
    answers = {user: world.answer(user, moment) for user in world.users}
    alone = gains_of(world, lambda user, item, rows: float(item == answers[user]))
    found = engine.compare.stress_test(comparison().model_copy(update={"target": question}))
    rows = by_name(found)
    assert found.rows[0].variant.name == f"the usual protocol (the {words} item, k 10)"
    check(world, found.rows[0], alone)
    check(world, rows["k 5"], alone)
    check(world, rows["k 20, users with under 10 likes"], alone, lambda user: world.likes[user] <= 9)
    check(world, rows["all later likes"], gains_of(world, liked))
    other = "last" if question == "next" else "first"
    assert [row.variant.name for row in found.rows if row.variant.group == "target"] == [
        "all later likes", f"the {other} like of the test period",
    ]  # fmt: skip
    assert {(lack.what, lack.why) for lack in found.lacks if "question" in lack.why} == {
        (what, f"the {words} item is the question") for what in ("halves of the period", "other thresholds of a like")
    }


def test_halves_of_the_period_are_what_loops_give(world: World) -> None:
    rows = by_name(engine.compare.stress_test(comparison()))
    firsts = []
    for user in world.users:
        own = world.rows[(world.rows["user_id"] == user) & (world.rows["label"] > 0) & world.rows["item"].isin(world.relevant(user))]
        firsts += own.groupby("item")["timestamp"].min().tolist() if set(world.relevant(user)) else []
    middle = sorted(firsts)[(len(firsts) - 1) // 2]
    early = gains_of(world, lambda user, item, rows: float((rows[rows["label"] > 0]["timestamp"] <= middle).any()))
    late = gains_of(world, lambda user, item, rows: float((rows[rows["label"] > 0]["timestamp"] > middle).any()))
    check(world, rows["the early half of the test likes"], early)
    check(world, rows["the late half of the test likes"], late)


def test_weights_against_popularity_are_what_loops_give(world: World) -> None:
    rows = by_name(engine.compare.stress_test(comparison()))
    for gamma in (0.5, 1.0):
        gains = gains_of(world, lambda user, item, rows: liked(user, item, rows) / max(1, world.popularity[item]) ** gamma)  # noqa: B023
        check(world, rows[f"items weighted against popularity, γ {gamma:g}"], gains)


def test_other_thresholds_are_what_loops_give(world: World) -> None:
    rows = by_name(engine.compare.stress_test(comparison()))
    tried = {name for name, row in rows.items() if row.variant.group == "threshold"}
    assert tried == {f"ratings from {value} as likes" for value in (2, 3, 5)}  # 1 keeps all rows, 4 is the usual
    for value in (2, 3, 5):
        gains = gains_of(world, lambda user, item, rows: float(rows["rating"].max() >= value))  # noqa: B023
        check(world, rows[f"ratings from {value} as likes"], gains)


def test_items_met_in_train_are_left_out_where_the_lists_have_them(world: World) -> None:
    world.protocol = Protocol(exclude_seen=False)
    world.write()
    found = engine.compare.stress_test(comparison())
    rows, gains = by_name(found), gains_of(world, liked)
    check(world, rows["the usual protocol (k 10)"], gains)
    new = {user: {item: gain for item, gain in own.items() if item not in world.seen[user]} for user, own in gains.items()}
    every = world.lists
    world.lists = {
        name: {user: np.array([i for i in items if i not in world.seen[user]]) for user, items in own.items()}
        for name, own in every.items()
    }
    check(world, rows["without items met before"], new)
    assert not found.lacks
    world.lists = {name: {user: items[:15] for user, items in own.items()} for name, own in every.items()}
    world.seen = {user: set(map(int, world.lists["a"][user][:9])) if user == "u1" else set() for user in world.users}
    world.write()
    short = engine.compare.stress_test(comparison())
    assert by_name(short)["without items met before"].users == by_name(short)["the usual protocol (k 10)"].users - 1
    assert lacks(short)[-1].startswith("Not here: some users without items met before, because 1 of ")


def lacks(test: StressTest) -> list[str]:
    return [engine.compare.plain(sentence) for sentence in engine.compare.not_here(test)]


def test_what_cannot_be_made_is_said_with_its_reason(world: World) -> None:
    assert lacks(engine.compare.stress_test(comparison())) == [
        "Not here: seen items in, because the stored lists leave out the items that users met before."
    ]
    world.rows = world.rows.assign(rating=np.nan, timestamp=7)
    world.likes = dict.fromkeys(world.users, 20)
    world.protocol = Protocol(list_length=20)
    (world.folder / "runs" / "b" / RESULTS / TOP_K).unlink()
    world.lists.pop("b")
    world.write()
    found = engine.compare.stress_test(comparison())
    assert lacks(found) == [
        "Not here: B iALS, because its lists are not stored in this workspace.",
        "Not here: k 50, because the shortest stored lists are cut at 20 items.",
        "Not here: users by activity, because all test users have 10 to 49 likes in train.",
        "Not here: the first and the last like, halves of the period, because all test likes have one time.",
        "Not here: other thresholds of a like, because its test rows have no ratings.",
        "Not here: seen items in, because the stored lists leave out the items that users met before.",
    ]
    assert [row.variant.group for row in found.rows] == ["usual", "k", "k", "k", "popularity", "popularity"]
    assert list(found.names.values()) == ["A EASE · 2 seeds", "Popularity"]


def test_a_dataset_without_stored_interactions_says_so(world: World) -> None:
    (world.path / "interactions" / "part.parquet").unlink()
    (world.path / "interactions").rmdir()
    found = engine.compare.stress_test(comparison())
    check(world, found.rows[0], gains_of(world, liked))
    assert "Not here: the first and the last like, halves of the period, because its likes have no stored time." in lacks(found)


def test_a_group_without_users_is_left_out_and_said(world: World) -> None:
    world.likes = {user: 5 if at % 2 else 20 for at, user in enumerate(world.users)}
    world.write()
    found = engine.compare.stress_test(comparison())
    assert {row.variant.users for row in found.rows} == {None, "under 10 likes", "10 to 49 likes"}
    assert "Not here: users with 50 or more likes, because no test user is one." in lacks(found)


def test_fewer_than_two_contenders_with_lists_are_refused(world: World) -> None:
    assert engine.compare.can_stress(comparison())
    for name in ("a", "b"):
        (world.folder / "runs" / name / RESULTS / TOP_K).unlink()
    assert not engine.compare.can_stress(comparison())
    with pytest.raises(ValueError, match="needs the stored lists of two contenders"):
        engine.compare.stress_test(comparison())


def field(*letters: str, **more: Any) -> stress.Field:
    return stress.Field(list(letters), more.get("noise", {}), more.get("alike", frozenset()))


ANY = Variant(group="usual", name="the usual protocol (k 10)", k=10)


def ahead(users: int, by: float = 0.1) -> np.ndarray:
    base = np.random.default_rng(0).random((users, 1)) / 2
    return np.hstack([base + by + np.random.default_rng(1).normal(0, 0.05, (users, 1)), base])


def test_who_leads_surely_passes_a_paired_test_of_ten_users_or_more() -> None:
    assert stress._row(ANY, ahead(200), field("A", "B")).surely
    assert stress._row(ANY, ahead(200), field("A", "B")).best == "A"
    few = stress._row(ANY, ahead(9), field("A", "B"))
    assert (few.best, few.surely, few.users) == ("A", False, 9)
    assert not stress._row(ANY, ahead(200, 0.001), field("A", "B")).surely
    alike = stress._row(ANY, ahead(200), field("A", "B", alike=frozenset({("A", "B")})))
    assert (alike.best, alike.surely) == ("A", False)
    tie = stress._row(ANY, np.full((20, 2), 0.5), field("A", "B"))
    assert (tie.best, tie.surely) == (None, False)
    assert stress._row(ANY, np.zeros((0, 2)), field("A", "B")).users == 0


def test_what_another_seed_may_change_is_counted(world: World) -> None:
    found = stress._field(comparison(A=0.4, B=0.2, pop=0.1), ["A", "B", "pop"])
    assert {letter: share for letter, (share, _) in found.noise.items()} == pytest.approx({"A": 0.03, "B": 0.03, "pop": 0})
    noisy = {"A": (0.5, found.noise["A"][1])}
    assert not stress._row(ANY, ahead(200), field("A", "B", noise=noisy)).surely


def row(best: str | None, surely: bool, k: int = 10, users: str | None = None, **other: Any) -> StressRow:
    group = other.get("group") or ("users and k" if users and k != 10 else "users" if users else "k" if k != 10 else "usual")
    name = other.get("name", f"k {k}")
    return StressRow(variant=Variant(group=group, name=name, k=k, users=users), values={"A": 0.1}, best=best, surely=surely, users=50)


def said(*rows: StressRow) -> str:
    test = StressTest(rows=rows, lacks=(), names={"A": "A EASE", "B": "B iALS", "pop": "Popularity"})
    return engine.compare.plain(engine.compare.stress_sentence(test))


def test_the_sentence_says_where_the_leader_does_not_lead() -> None:
    few = "under 10 likes"
    assert said(row("A", True), row("A", True, 5)) == "A EASE leads in all 2 protocols, surely in all of them."
    assert said(row("A", True), row("A", False, 5), row("B", False, 1, few), row("B", False, 5, few), row("A", False, 10, few)) == (
        "A EASE leads in 3 of 5 protocols, surely in 1; not for k 1, 5 among users with under 10 likes (B). "
        "Nobody is surely ahead of it there."
    )
    late = row("pop", True, group="period", name="the late half of the test likes")
    assert said(row("A", False), row("B", False, 1, few), row("B", False, 10, few), late, row(None, False, 20)) == (
        "A EASE leads in 1 of 5 protocols, surely in none; not for users with under 10 likes (B); the late half of the test likes "
        "(Popularity); k 20 (a tie). Another is surely ahead in 1 of these."
    )
    many = [row("B", False, group="threshold", name=f"ratings from {n} as likes") for n in range(7)]
    assert said(row("A", False), *many).endswith("ratings from 4 as likes (B); and 2 more. Nobody is surely ahead of it there.")
    assert said(row(None, False), row("A", True, 1)).startswith("Nobody leads under the usual protocol, where the best are equal; 2 ")


def test_names_in_sentences_are_set_apart(world: World) -> None:
    test = StressTest(rows=(row("A", True),), lacks=(Lack(what="B <b>", why="x", name=True),), names={"A": "A <b>"})
    assert engine.compare.stress_sentence(test)[0] == ("A <b>", True)
    assert engine.compare.not_here(test)[0][1] == ("B <b>", True)
