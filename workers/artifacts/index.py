"""The vector index of a retriever's items: FAISS, by inner product, since that is what towers are trained with.

Exact up to EXACT_UP_TO items, a graph above it (HNSW: Malkov and Yashunin, TPAMI 2020), or any FAISS factory string. A cosine
tower's states are of length 1 already and carry the item's bias in one more dimension, so its index is one of inner products too.
Letters: N items, U users, S width of a vector, k list length.
"""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workers.artifacts.results import write_json

if TYPE_CHECKING:
    import faiss

FILE, FACTS = "index.faiss", "index.json"
EXACT, EXACT_UP_TO = "Flat", 200_000
LINKS, BUILD_WIDTH, SEARCH_WIDTH = 32, 200, 128  # of HNSW: measured at 1,000,000 items
PROBES = 200  # users whose approximate lists are compared with exact ones
BOUND = 100  # length of those lists


class Index(NamedTuple):
    """A searchable index and its facts: factory, items, width, build_s, bytes, recall_at_100 (of exact search)."""

    faiss: Any
    facts: dict[str, Any]

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k items of the greatest inner products, best first.

        Args:
            queries: float32 [U, S].

        Returns:
            scores float32 [U, k] and places int64 [U, k]; a graph may return fewer than k; the place is then -1.
        """
        return self.faiss.search(np.ascontiguousarray(queries, np.float32), min(k, self.faiss.ntotal))


def build(vectors: np.ndarray, factory: str | None = None, probes: np.ndarray | None = None) -> Index:
    """An index of item vectors, which is checked: it has all of them, each at its item's place.

    Args:
        vectors: float32 [N, S]; the id of an item in the index is its place.
        factory: FAISS factory string, such as "IVF1024,SQ8"; None: exact or HNSW, by N.
        probes: queries [P, S] by which an approximate index is measured against exact search; the items' own vectors where None.

    Raises:
        ValueError: the factory string is invalid, a vector is not finite, or the index does not return the vectors that it was given.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    if not np.isfinite(vectors).all():
        raise ValueError(
            "An item's vector is not finite: the model has diverged. Look for extreme values in the data, or change its settings."
        )
    name = factory or kind_of(len(vectors))
    started = time.monotonic()
    try:
        index = Index(_filled(vectors, name), {"factory": name, "items": len(vectors), "width": vectors.shape[1]})
        index.facts["build_s"] = time.monotonic() - started
        _check(index, vectors)
        index.facts["recall_at_100"] = 1.0 if name == EXACT else recall(index, vectors, vectors if probes is None else probes)
    except RuntimeError as error:  # FAISS's own message is about its source code
        problem = f"FAISS makes no index {name!r} of {len(vectors):,} items"
        raise ValueError(f"{problem}; choose another factory string, such as Flat, HNSW32 or IVF1024,SQ8.") from error
    return index


def kind_of(items: int) -> str:
    """The FAISS factory string of an index of so many items, where none is chosen."""
    return EXACT if items <= EXACT_UP_TO else f"HNSW{LINKS}"


def bytes_of(items: int, width: int) -> int:
    """About how large the file of that index is: vectors, and of a graph the links of each item, twice as many on the lowest level."""
    links = 0 if kind_of(items) == EXACT else 4 * (2 * LINKS + LINKS / (LINKS - 1)) + 12  # numbers of items, an offset, a level
    return int(items * (4 * width + links))


def _filled(vectors: np.ndarray, factory: str) -> "faiss.Index":
    import faiss

    filled: Any = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    if factory.startswith("HNSW"):
        filled.hnsw.efConstruction, filled.hnsw.efSearch = BUILD_WIDTH, SEARCH_WIDTH
    if not filled.is_trained:
        filled.train(vectors)
    filled.add(vectors)
    return filled


def _check(index: Index, vectors: np.ndarray) -> None:
    if index.faiss.ntotal != len(vectors):
        raise ValueError(f"The index holds {index.faiss.ntotal} of {len(vectors)} items; build it again.")
    if index.facts["factory"] == EXACT:
        some = np.random.default_rng(0).permutation(len(vectors))[:PROBES]
        back = np.stack([index.faiss.reconstruct(int(place)) for place in some]) if len(some) else vectors[:0]
        if not np.array_equal(back, vectors[some]):
            raise ValueError("The index gives back other vectors than were put in; build it again.")


def recall(index: Index, vectors: np.ndarray, queries: np.ndarray, k: int = BOUND) -> float:
    """Share of the exact top k that the index finds, averaged over PROBES random queries."""
    some = queries[np.random.default_rng(0).permutation(len(queries))[:PROBES]]
    k = min(k, len(vectors))
    exact = np.argpartition(-(some @ vectors.T), k - 1, axis=1)[:, :k]
    approximate = index.search(some, k)[1]
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(exact, approximate, strict=True)]))


def save(index: Index, folder: Path) -> None:
    """Write the index and its facts; the facts last, so that an index with facts is complete."""
    import faiss

    partial = folder / f".{FILE}.{os.getpid()}.partial"
    faiss.write_index(index.faiss, str(partial))
    os.replace(partial, folder / FILE)
    write_json(folder / FACTS, index.facts | {"bytes": (folder / FILE).stat().st_size})


def load(folder: Path) -> Index | None:
    """The index of a run's results, memory-mapped where its kind allows it; None where there is none."""
    import faiss

    if not (folder / FACTS).is_file():
        return None
    return Index(faiss.read_index(str(folder / FILE), faiss.IO_FLAG_MMAP), json.loads((folder / FACTS).read_text()))
