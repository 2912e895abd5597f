"""The Markov chain against counts by hand, and on walks round a cycle of items, whose next item is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from tests import tiny
from workers.artifacts import PreparedDataset
from workers.batches.likes import Likes, read_likes
from workers.evaluation.evaluate import catalogue
from workers.evaluation.matrices import evaluate_matrix
from workers.matrices.markov_chain import MarkovChain
from workers.matrices.popularity import Popularity
from workers.models import MODELS
from workers.run.context import RunContext
from workers.run.journal import Journal
from workers.run.spec import RunSpec
from workers.serving import OpenedMatrix
from workers.serving.measure import KnownLikes, people_to_rank
from workers.training.tuning import Tuning

ITEMS, WALKED = 40, 8


def in_order(bags: list[list[int]], items: int) -> Likes:
    places = np.array([item for bag in bags for item in bag], np.int32)
    starts = np.cumsum([0, *map(len, bags)])
    return Likes(csr_matrix((np.ones(len(places), np.float32), places, starts), (len(bags), items)), np.bincount(places, minlength=items))


def walked(users: int = 300) -> pd.DataFrame:
    """Each user walks some items round a cycle; the item after the last is held out, for validation of one half of them, for test of the
    other. Disliked items, such as others skip, are no part of a walk."""
    rng, rows = np.random.default_rng(0), []
    for user in range(users):
        start = rng.integers(0, ITEMS)
        walk = [(start + step) % ITEMS for step in range(WALKED + 1)]
        rows += [(f"u{user}", f"i{item}", 1.0, "train") for item in walk[:-1]]
        rows += [(f"u{user}", f"i{(start + 20) % ITEMS}", 0.0, "train"), (f"u{user}", f"i{walk[-1]}", 1.0, ("valid", "test")[user % 2])]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "label", "split"])


@pytest.fixture(scope="module")
def cycle(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    folder = tmp_path_factory.mktemp("cycle") / "dataset"
    tiny.write(walked(), folder)
    return PreparedDataset.open(folder)


def test_what_follows_what_is_counted_as_by_hand() -> None:
    bags = [[], [0, 1, 2], [0, 1, 1, 3], [4]]
    model = MarkovChain(window=2, decay=0.5, half_life=1, smoothing=2.0, damping=0.3)
    model.fit(in_order(bags, 6))
    counts = np.zeros((6, 6))
    for earlier, later, count in ((0, 1, 1), (1, 2, 1), (0, 2, 0.5), (0, 1, 1), (1, 1, 1), (1, 3, 1), (0, 1, 0.5), (1, 3, 0.5)):
        counts[earlier, later] += count
    q = np.array([2, 3, 1, 1, 1, 0]) / 8
    chain = (counts + 2 * q) / (counts.sum(axis=1, keepdims=True) + 2)
    np.testing.assert_allclose(model.following.toarray() + model.rest[:, None] * model.popularity, chain, rtol=1e-6)
    held_back = np.where(q > 0, q, 1) ** -0.3
    found = model.scores(in_order([[], [3, 0], [0, 3, 0, 0], [5]], 6).matrix)
    np.testing.assert_allclose(found[0], q * held_back, rtol=1e-6)
    np.testing.assert_allclose(found[1], (chain[3] / 2 + chain[0]) / 1.5 * held_back, rtol=1e-6)
    np.testing.assert_allclose(found[2], (chain[0] * (1 + 1 / 2 + 1 / 8) + chain[3] / 4) / 1.875 * held_back, rtol=1e-6)
    np.testing.assert_allclose(found[3], q * held_back, rtol=1e-6)  # nothing follows it


def test_the_chain_is_the_same_when_it_is_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    likes = in_order([[], *(rng.integers(0, 30, rng.integers(1, 40)).tolist() for _ in range(50))], 31)
    whole, parts = MarkovChain(5, 0.8, 4.0, 10.0), MarkovChain(5, 0.8, 4.0, 10.0)
    whole.fit(likes)
    monkeypatch.setattr("workers.matrices.markov_chain.PAIRS", 100)
    parts.fit(likes)
    np.testing.assert_allclose(parts.following.toarray(), whole.following.toarray(), rtol=1e-6)
    np.testing.assert_allclose(parts.scores(likes.matrix), whole.scores(likes.matrix), rtol=1e-5)


def test_successors_that_are_not_kept_leave_their_share_to_popularity() -> None:
    likes = in_order([[], [0, 1], [0, 1], [0, 2], [0, 3], [3, 2]], 4)
    model = MarkovChain(1, 1.0, 1.0, 1e-9, successors=1)
    model.fit(likes)
    assert model.following.nnz == 2
    scores = model.scores(in_order([[0]], 4).matrix)[0]
    q = likes.counts / likes.counts.sum()
    np.testing.assert_allclose(scores, [q[0] / 2, 0.5 + q[1] / 2, q[2] / 2, q[3] / 2], rtol=1e-5)
    assert scores.sum() == pytest.approx(1)


def test_nobody_who_liked_two_things_in_a_row_is_popularity() -> None:
    likes = in_order([[], [0], [1], [1], []], 3)
    model = MarkovChain(5, 0.9, 8.0, 10.0)
    model.fit(likes)
    np.testing.assert_allclose(model.scores(likes.matrix), np.tile([1 / 3, 2 / 3, 0], (5, 1)), rtol=1e-6)


def test_a_cycle_is_known_to_the_chain_and_not_to_popularity(cycle: PreparedDataset) -> None:
    likes, bag = read_likes(cycle, in_order=True), read_likes(cycle)
    assert (likes.matrix.sum(axis=1) == bag.matrix.sum(axis=1)).all() and (likes.counts == bag.counts).all()
    spec = RunSpec(dataset="cycle", model=MODELS["markov_chain"]())
    tuned = Tuning(RunContext(cycle.folder, cycle, spec, Journal(None)), likes).run()
    found = evaluate_matrix(tuned.model, likes.matrix, cycle, "test").metrics
    assert found["hit_rate_at_10"] == found["ndcg_at_10"] == 1
    popular = Popularity()
    popular.fit(bag)
    assert evaluate_matrix(popular, bag.matrix, cycle, "test").metrics["hit_rate_at_10"] < 0.5


@pytest.mark.parametrize("last", [0, 20])
def test_the_latest_like_counts_most(cycle: PreparedDataset, last: int) -> None:
    likes = read_likes(cycle, in_order=True)
    model = MarkovChain(window=1, decay=1.0, half_life=1.0, smoothing=1.0)
    model.fit(likes)
    items = catalogue(cycle.folder)["item_id"].tolist()
    history = [items.index(f"i{20 - last}"), items.index(f"i{last}")]
    scores = model.scores(in_order([history], ITEMS).matrix)[0]
    assert [items[place] for place in np.argsort(-scores)[:2]] == [f"i{last + 1}", f"i{21 - last}"]


def test_an_opened_chain_scores_people_as_the_protocol_does(cycle: PreparedDataset) -> None:
    likes = read_likes(cycle, in_order=True)
    model = MarkovChain(1, 1.0, 1.0, 1.0)
    model.fit(likes)
    opened = OpenedMatrix(catalogue(cycle.folder), model)
    assert (opened.reads_order, opened.reads_likes) == (True, False)
    users, items = people_to_rank(cycle, KnownLikes.read(cycle, opened))
    wanted = evaluate_matrix(model, likes.matrix, cycle, "test").ranked
    grid = opened.grid(users, items)
    for row, (person, one) in enumerate(zip(opened.people(users, items), items, strict=True)):
        np.testing.assert_allclose(opened.scores(person), grid[row], rtol=1e-5)
        grid[row, one.seen] = -np.inf
        assert grid[row].argmax() + 1 == wanted["items"].iloc[row][0]
    assert opened.vectors is None and opened.queries(opened.people(users, items)) is None
