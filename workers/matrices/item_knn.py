"""Items that are liked by the same people, by the `implicit` library."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

from workers.matrices.matrix import MatrixModel, ReportProgress, no_report
from workers.matrices.sparse import largest

if TYPE_CHECKING:
    from workers.batches import Likes  # which imports torch: serving does without

Similarity = Literal["cosine", "tfidf", "bm25"]
K1, B = 1.2, 0.75  # of BM25: Robertson and Zaragoza, "The probabilistic relevance framework", 2009


class ItemKNN(MatrixModel):
    """The `neighbours` most similar other items of each item, S [N, N] sparse; scores are xS."""

    def __init__(self, neighbours: int, similarity: Similarity) -> None:
        self.neighbours, self.similarity = neighbours, similarity

    def fit(self, likes: "Likes", seed: int = 1, report_progress: ReportProgress = no_report) -> None:
        from implicit.nearest_neighbours import ItemItemRecommender

        search = ItemItemRecommender(K=self.neighbours + 1)  # an item is its own neighbour, which is removed below
        search.fit(weighted(likes.matrix, self.similarity), show_progress=False)
        self.nearest = _others(search.similarity.tocoo(), self.neighbours)

    def scores(self, likes: csr_matrix) -> np.ndarray:
        return np.asarray((likes.astype(np.float32) @ self.nearest).toarray())

    def arrays(self) -> dict[str, np.ndarray]:
        return {"similarities": self.nearest.data, "neighbours": self.nearest.indices, "starts": self.nearest.indptr}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        size = len(arrays["starts"]) - 1
        self.nearest = csr_matrix((arrays["similarities"], arrays["neighbours"], arrays["starts"]), (size, size))


def weighted(likes: csr_matrix, similarity: Similarity) -> csr_matrix:
    """Likes as float64 [U, N], such that the dot product of two columns is the similarity of the items.

    With tfidf and bm25, users with many likes count less. The library takes items as documents and users as terms.
    """
    from implicit.nearest_neighbours import bm25_weight, normalize, tfidf_weight

    documents: csr_matrix | csc_matrix = likes.T.astype(np.float64)
    if similarity == "bm25":
        documents = bm25_weight(documents, K1, B)
    if similarity == "tfidf":
        documents = tfidf_weight(documents)
    documents = documents.tocsr()
    documents.data = np.maximum(documents.data, 0)  # the library's weight is below 0 for users who like all items, or all but one
    documents.eliminate_zeros()  # an empty row stays empty, where one of zeros would be divided by its length of 0
    return (documents if similarity == "bm25" else normalize(documents)).T.tocsr()


def _others(similar: coo_matrix, most: int) -> csr_matrix:
    """The `most` most similar items of each row, without the item itself: float32 [N, N]."""
    other = (similar.row != similar.col) & (similar.data > 0)
    return largest(coo_matrix((similar.data[other], (similar.row[other], similar.col[other])), similar.shape), most)
