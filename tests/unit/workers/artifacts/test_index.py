"""The vector index: what goes in comes out, its ranking is that of the dot product, and nothing false is accepted."""

import numpy as np
import pytest

from workers.artifacts import index

RNG = np.random.default_rng(3)
VECTORS = RNG.normal(0, 1, (400, 9)).astype(np.float32)
QUERIES = RNG.normal(0, 1, (30, 9)).astype(np.float32)


def test_an_exact_index_ranks_as_the_dot_product():
    found = index.build(VECTORS)
    assert found.facts["factory"] == "Flat" and found.facts["recall_at_100"] == 1.0
    scores, places = found.search(QUERIES, 25)
    products = QUERIES @ VECTORS.T
    assert np.array_equal(places, np.argsort(-products, axis=1)[:, :25])
    assert np.allclose(scores, np.take_along_axis(products, places, axis=1), atol=1e-5)


def test_a_graph_tells_its_recall_against_exact_search():
    found = index.build(VECTORS, "HNSW16", QUERIES)
    exact = np.argsort(-(QUERIES @ VECTORS.T), axis=1)[:, :100]
    mine = found.search(QUERIES, 100)[1]
    assert found.facts["recall_at_100"] == pytest.approx(np.mean([len(set(a) & set(b)) / 100 for a, b in zip(exact, mine, strict=True)]))
    assert found.facts["recall_at_100"] > 0.9


def test_an_index_comes_back_from_disk_as_it_was(tmp_path):
    assert index.load(tmp_path) is None
    index.save(index.build(VECTORS), tmp_path)
    back = index.load(tmp_path)
    assert back is not None and back.facts["items"] == 400 and back.facts["bytes"] > VECTORS.nbytes
    assert np.array_equal(back.search(QUERIES, 7)[1], index.build(VECTORS).search(QUERIES, 7)[1])
    assert np.array_equal(back.faiss.reconstruct(11), VECTORS[11])


def test_more_is_asked_for_than_there_is():
    assert index.build(VECTORS).search(QUERIES, 1000)[1].shape == (30, 400)


@pytest.mark.parametrize("factory", ["no such thing", "IVF0,Flat", "IVF4096,Flat"])
def test_a_factory_that_faiss_does_not_know_is_refused(factory):
    with pytest.raises(ValueError, match="factory string"):
        index.build(VECTORS, factory)


def test_a_diverged_model_is_not_indexed():
    broken = VECTORS.copy()
    broken[5, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        index.build(broken)
