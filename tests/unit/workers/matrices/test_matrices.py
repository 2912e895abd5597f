"""Fitted models against independent oracles: constrained ridge, dense counting, normal equations, the stored baseline."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from tests import tiny
from workers.artifacts import PreparedDataset, checkpoint
from workers.batches.likes import Likes, read_likes, read_rows
from workers.evaluation.matrices import evaluate_matrix, pair_scores
from workers.matrices.ease import EASE
from workers.matrices.ials import IALS
from workers.matrices.item_knn import ItemKNN
from workers.models import MODELS
from workers.models.base import MatrixSpec
from workers.models.ease import most_items
from workers.run.context import RunContext
from workers.run.journal import Journal
from workers.run.spec import RunSpec
from workers.search import first_settings, space_of, with_settings
from workers.specs import Choices
from workers.specs.schema import Categorical, FeatureSchema
from workers.training.tuning import Tuning

FITTED = {kind: model for kind, model in MODELS.items() if issubclass(model, MatrixSpec)}
every_model = pytest.mark.parametrize("kind", FITTED)


def drawn(users: int = 40, items: int = 15, seed: int = 3) -> Likes:
    """Likes by chance, with weights; user 0, the unknown one, likes nothing."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((users, items)) < 0.3) * rng.uniform(0.2, 2, (users, items))
    dense[0] = 0
    return Likes(csr_matrix(dense.astype(np.float32)), (dense > 0).sum(axis=0))


def first(kind: str) -> MatrixSpec:
    """The settings of a model that a search tries first."""
    spec = RunSpec(dataset="tiny", model=FITTED[kind]())
    return with_settings(spec, first_settings(spec, space_of(spec))).model


def fitted(kind: str, likes: Likes, **given):
    model = first(kind).model_copy(update=given).build()
    model.fit(likes)
    return model


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "dataset"
    tiny.write(tiny.groups(users=200, items=80), folder)
    return folder, PreparedDataset.open(folder)


def test_ease_is_the_ridge_of_each_item_on_all_others():
    likes = drawn()
    model, x = EASE(l2=2.5), likes.matrix.toarray().astype(np.float64)
    model.fit(likes)
    assert (np.diag(model.weights) == 0).all()
    for item in range(x.shape[1]):
        others = np.delete(x, item, axis=1)
        alone = np.linalg.solve(others.T @ others + 2.5 * np.eye(others.shape[1]), others.T @ x[:, item])
        np.testing.assert_allclose(np.delete(model.weights[:, item], item), alone, atol=1e-5)
    np.testing.assert_allclose(model.scores(likes.matrix), x @ model.weights, atol=1e-5)


def test_ease_is_the_same_in_strips(monkeypatch):
    likes, whole = drawn(), EASE(l2=1.0)
    whole.fit(likes)
    monkeypatch.setattr("workers.matrices.ease.STRIP", 4)
    cut = EASE(l2=1.0)
    cut.fit(likes)
    np.testing.assert_allclose(cut.weights, whole.weights, atol=1e-7)


def dense_similarity(x: np.ndarray, similarity: str) -> np.ndarray:
    """[N, N], as the papers have it: x [U, N]; of tfidf and bm25 an item is a document and a user a term."""
    size = x.shape[1]
    idf = np.log(size) - np.log1p((x > 0).sum(axis=1, keepdims=True))
    if similarity == "tfidf":
        x = np.sqrt(x) * idf
    if similarity == "bm25":
        length = 0.25 + 0.75 * x.sum(axis=0) / x.sum(axis=0).mean()
        x = np.where(x > 0, x * 2.2 / (1.2 * length + x), 0) * idf
    if similarity != "bm25":
        x = x / np.linalg.norm(x, axis=0)
    found = x.T @ x
    np.fill_diagonal(found, 0)
    return found


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_item_knn_keeps_the_nearest_others_of_each_item(similarity):
    likes = drawn(users=60, items=20)
    model = ItemKNN(neighbours=4, similarity=similarity)
    model.fit(likes)
    dense = dense_similarity(likes.matrix.toarray().astype(np.float64), similarity)
    nearest = np.where(dense >= np.sort(dense, axis=1)[:, -4][:, None], dense, 0)
    np.testing.assert_allclose(model.nearest.toarray(), nearest, atol=1e-6)
    np.testing.assert_allclose(model.scores(likes.matrix), likes.matrix.toarray() @ nearest, atol=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_item_knn_bears_items_nobody_liked_and_users_who_like_all(similarity):
    dense = np.array([[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]], np.float32)
    dense[:, 3] = 0
    likes = Likes(csr_matrix(np.vstack([dense, [[1, 1, 1, 1]], [[0, 1, 0, 0]]]).astype(np.float32)), np.ones(4, int))
    model = ItemKNN(neighbours=2, similarity=similarity)
    model.fit(likes)
    assert np.isfinite(model.scores(likes.matrix)).all()
    assert (model.nearest.data > 0).all()


def test_a_user_is_folded_into_ials_by_the_normal_equations():
    likes = drawn()
    model = IALS(factors=5, regularisation=0.7, alpha=3.0, iterations=4)
    model.fit(likes)
    y, x = model.items.astype(np.float64), likes.matrix.toarray().astype(np.float64)
    for user, found in enumerate(model.user_factors(likes.matrix)):
        confidence, liked = np.diag(1 + 3.0 * x[user]), (x[user] > 0).astype(float)
        exact = np.linalg.solve(y.T @ confidence @ y + 0.7 * (1 + 3.0) * np.eye(5), y.T @ confidence @ liked)
        np.testing.assert_allclose(found, exact, atol=1e-6)
    np.testing.assert_allclose(model.scores(likes.matrix), model.user_factors(likes.matrix) @ y.T, atol=1e-5)
    assert (model.scores(likes.matrix)[0] == 0).all()


def test_ials_comes_to_rest_where_its_objective_is_flat():
    """Items solve their normal equations too, given the users that follow from them: the library and the fold-in agree on the loss."""
    likes = drawn()
    model = IALS(factors=4, regularisation=0.5, alpha=2.0, iterations=400)
    model.fit(likes)
    x, users, strength = likes.matrix.toarray().astype(np.float64), model.user_factors(likes.matrix), 0.5 * 3.0
    for item in range(x.shape[1]):
        confidence, liked = np.diag(1 + 2.0 * x[:, item]), (x[:, item] > 0).astype(float)
        exact = np.linalg.solve(users.T @ confidence @ users + strength * np.eye(4), users.T @ confidence @ liked)
        np.testing.assert_allclose(model.items[item], exact, atol=5e-3)


def test_popularity_is_the_baseline_of_the_dataset(dataset):
    folder, prepared = dataset
    likes = read_likes(prepared)
    stored = json.loads((folder / "baselines" / "popularity.json").read_text())
    assert evaluate_matrix(fitted("popularity", likes), likes.matrix, prepared, "test").metrics == stored


@pytest.mark.parametrize("kind", [kind for kind in FITTED if kind != "popularity"])
def test_groups_are_found_that_popularity_cannot_find(kind, dataset, tmp_path):
    folder, prepared = dataset
    likes = read_likes(prepared, FITTED[kind].reads_order)
    popularity = json.loads((folder / "baselines" / "popularity.json").read_text())
    tuned = Tuning(RunContext(tmp_path, prepared, RunSpec(dataset="tiny", model=FITTED[kind]()), Journal(None)), likes).run()
    assert len(tuned.tried) == 20
    assert tuned.valid["ndcg_at_10"] == max(one["valid"]["ndcg_at_10"] for one in tuned.tried)
    assert tuned.chosen == next(one["settings"] for one in tuned.tried if one["valid"] == tuned.valid)
    found = evaluate_matrix(tuned.model, likes.matrix, prepared, "test").metrics
    assert found["recall_at_10"] > 0.9 > 0.5 > popularity["recall_at_10"]
    assert found["auc"] > 0.95
    assert "log_loss" not in found


@every_model
def test_a_checkpoint_gives_the_same_model_and_a_changed_one_is_refused(kind, tmp_path):
    likes = drawn()
    model, spec = fitted(kind, likes), first(kind)
    checkpoint.save_arrays(tmp_path, model.arrays(), {"spec": spec.model_dump(mode="json")})
    folder = checkpoint.best(tmp_path)
    again = FITTED[kind].model_validate(checkpoint.facts(folder)["spec"]).build()
    again.load(checkpoint.load_arrays(folder))
    assert (again.scores(likes.matrix) == model.scores(likes.matrix)).all()
    file = next(folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ValueError, match="differs from its digest"):
        checkpoint.best(tmp_path)


@every_model
def test_people_are_scored_by_their_likes_alone(kind):
    """One by one, all at once, and somebody whom the fit never saw: float32 [U, N]; who likes nothing has equal ones, or by popularity."""
    likes, stranger = drawn(), csr_matrix(np.eye(15, dtype=np.float32)[:1])
    model = fitted(kind, likes)
    together = model.scores(likes.matrix)
    assert (together.shape, together.dtype) == (likes.matrix.shape, np.float32)
    np.testing.assert_allclose(np.vstack([model.scores(row) for row in likes.matrix]), together, rtol=1e-5, atol=1e-6)
    assert np.isfinite(model.scores(stranger)).all()
    fallen_back = np.diff(together[0][np.argsort(likes.counts, kind="stable")])
    assert (fallen_back >= -1e-6).all() if kind in ("popularity", "markov_chain") else (fallen_back == 0).all()


@every_model
def test_pairs_are_scored_as_the_grid_is(kind, monkeypatch):
    monkeypatch.setattr("workers.evaluation.matrices.CHUNK", 7)
    likes, rng = drawn(), np.random.default_rng(1)
    model = fitted(kind, likes)
    users, items = rng.integers(0, 40, 300), rng.integers(0, 16, 300)
    grid = np.hstack([np.zeros((40, 1)), model.scores(likes.matrix)])
    np.testing.assert_allclose(pair_scores(model, likes.matrix, users, items), grid[users, items], rtol=1e-5, atol=1e-6)
    assert len(pair_scores(model, likes.matrix, users[:0], items[:0])) == 0


def test_ials_with_scaled_regularisation_minimises_its_loss():
    """At the solution the gradient is zero on both sides; the strength of a row grows with its likes."""
    likes = drawn(users=30, items=12)
    model = IALS(4, 0.3, 2.0, 200, 1.0)
    model.fit(likes)
    x, users, items = likes.matrix.toarray().astype(np.float64), model.user_factors(likes.matrix), model.items.astype(np.float64)
    confidence, liked = 1 + 2.0 * x, x > 0
    rows, columns = 2.0 * x.sum(axis=1) + 12, 2.0 * x.sum(axis=0) + 30
    errors = confidence * (users @ items.T - liked)
    strength = 0.3 * 3
    np.testing.assert_allclose(errors @ items + strength * (rows / rows.mean())[:, None] * users, 0, atol=1e-4)
    np.testing.assert_allclose(errors.T @ users + strength * (columns / columns.mean())[:, None] * items, 0, atol=1e-3)
    again = IALS(4, 0.3, 2.0, 200, 1.0)
    again.load(model.arrays())
    np.testing.assert_array_equal(again.scores(likes.matrix), model.scores(likes.matrix))


def test_likes_are_the_liked_rows_of_train_and_rows_are_all_of_a_split(dataset):
    folder, prepared = dataset
    likes, frame = read_likes(prepared), tiny.groups(users=200, items=80)
    train = frame[frame["split"] == "train"]
    liked = train[train["label"] > 0]
    items = pd.read_parquet(folder / "items.parquet").set_index("item_id")["row"]
    assert likes.matrix.nnz == len(liked) == likes.counts.sum()
    assert likes.matrix[0].nnz == likes.unknown == 0
    assert dict(zip(items.index, likes.counts[items - 1], strict=True)) == liked["item_id"].value_counts().to_dict()
    rows = read_rows(folder, "test")
    assert len(rows.labels) == (frame["split"] == "test").sum()


def test_weights_of_repeated_likes_add_up_and_unknown_ones_are_counted(tmp_path, monkeypatch):
    block = {
        "user_id": np.array([1, 1, 2, 0, 2]), "item_id": np.array([3, 3, 1, 2, 2]),
        "label": np.array([1, 1, 1, 1, 0], np.float32), "weight": np.array([0.2, 0.2, 1, 1, 1], np.float32),
    }  # fmt: skip
    monkeypatch.setattr("workers.batches.likes.blocks_of", lambda dataset, split: iter([block]))
    schema = FeatureSchema(
        categorical=(
            Categorical(name="user_id", side="user", num_rows=3, vocabulary="user_id"),
            Categorical(name="item_id", side="item", num_rows=4, vocabulary="item_id"),
        )
    )
    likes = read_likes(PreparedDataset(tmp_path, schema))
    np.testing.assert_allclose(likes.matrix.toarray(), [[0, 0, 0], [0, 0, 0.4], [1, 0, 0]])
    assert likes.counts.tolist() == [1, 0, 2]
    assert likes.unknown == 1
    block["label"][:] = 0
    with pytest.raises(ValueError, match="Nothing in train is liked"):
        read_likes(PreparedDataset(tmp_path, schema))


def catalogue_of(items: int) -> FeatureSchema:
    named = (("user_id", "user", 10), ("item_id", "item", items + 1))
    return FeatureSchema(categorical=tuple(Categorical(name=n, side=s, num_rows=r, vocabulary=n) for n, s, r in named), sequence=1000)


@every_model
def test_what_cannot_be_fitted_is_refused_with_a_way_out(kind):
    spec = FITTED[kind]()
    assert "no user and no item" in (spec.refusal(tiny.CLICKS, {}) or "")
    assert spec.refusal(catalogue_of(100), {"kind": "implicit"}) is None
    for sequence, why in ((0, "no such order"), (None, "prepare it again")):
        refused = spec.refusal(catalogue_of(100).model_copy(update={"sequence": sequence}), {})
        assert (refused is None) != spec.reads_order
        assert refused is None or why in refused
    why = spec.refusal(catalogue_of(most_items() + 1), {})
    assert (why is None) == (kind != "ease")
    if why:
        assert f"{most_items() + 1:,} items" in why
        assert "Choose iALS" in why


@every_model
def test_settings_that_are_left_open_are_tried_and_told(kind):
    """The first value to try is within the range, which is within the bounds of its field."""
    model = FITTED[kind]
    one = first(kind)
    assert model.model_validate(one.model_dump()) == one
    assert one.open_settings == () and "tuned" not in one.title
    assert ("tuned" in model().title) == bool(model().open_settings)
    for name, way in model.searchable().items():
        ends = way.choices if isinstance(way, Choices) else [int(end) if way.whole else end for end in (way.low, way.high)]
        assert all(model.model_validate({name: end}) for end in ends)
        assert isinstance(way, Choices) or way.low < getattr(one, name) < way.high
