"""A hash of whole numbers, the same on every machine and in every release."""

import numpy as np


def spread(keys: np.ndarray) -> np.ndarray:
    """uint64 -> uint64, evenly spread: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
