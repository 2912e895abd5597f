"""Spark jobs side by side: planning a job of a small table takes longer than the job, and one core of it."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

from engine.prepare.results import Preparation

AT_ONCE = 4  # jobs of a small preparation


@contextmanager
def side_by_side(preparation: Preparation) -> Iterator[Executor]:
    """An executor for functions that start Spark jobs: some at the same time; one after another where the data is large, since a job
    then takes every core and the memory. The first error ends the block, and what has not begun never begins."""
    pool = ThreadPoolExecutor(1 if preparation.is_large(preparation.spec.source.size_hint()) else AT_ONCE)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
