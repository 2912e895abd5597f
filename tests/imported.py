"""What processes have imported when they are forked (`tests.ranks`); nothing here may start threads that work."""

import faiss  # noqa: F401
import mlflow  # noqa: F401
import numpy as np

import workers.networks.feature_rankers
import workers.training.fit
import workers.training.train  # noqa: F401
from workers.cpu import kernels

KEYS, BITS = kernels.sorted_keys(np.zeros(1, np.int64), None)
ROW = np.zeros((1, 1), np.float32)
kernels.row_wise_adagrad(ROW, ROW[0], KEYS, BITS, ROW, 1.0, 0.1, 1e-3)  # numba looks for what it has compiled, which takes it a second
