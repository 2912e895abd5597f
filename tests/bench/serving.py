"""How long one person waits: `python -m tests.bench.serving [--items 60000] [--candidates 500] [--people 300]`.

Fresh networks of the usual sizes over a made catalogue (weights do not change what a list costs), one person at a time on one thread: the
retriever alone, the ranker over the whole catalogue, and the funnel of both; and what our search adds to FAISS's own.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from workers.artifacts import index
from workers.artifacts.results import FEATURE
from workers.evaluation.metrics import best_places, tie_order
from workers.models import MODELS
from workers.models.base import NetworkSpec
from workers.serving import OpenedFunnel, OpenedNetwork, UserItems, measure
from workers.specs.schema import Categorical, Dense, FeatureSchema

K = 10


def world(items: int, people: int) -> tuple[FeatureSchema, pd.DataFrame, pd.DataFrame, list[UserItems]]:
    """A schema with ids, a history of 50, genres and dense features; its catalogue; people with what each met."""
    rng = np.random.default_rng(0)
    user = (("user_id", 200_000), ("gender", 3), ("occupation", 22))
    schema = FeatureSchema(
        categorical=(
            *(Categorical(name=name, side="user", num_rows=rows, vocabulary=name) for name, rows in user),
            Categorical(name="history", side="user", num_rows=items + 1, multi_valued=True, vocabulary="item_id"),
            Categorical(name="item_id", side="item", num_rows=items + 1, vocabulary="item_id"),
            Categorical(name="genres", side="item", num_rows=20, multi_valued=True, vocabulary="genres"),
        ),
        dense=(Dense(name="age", side="user", mean=0, std=1), Dense(name="year", side="item", mean=0, std=1)),
    )
    rows = np.arange(1, items + 1)
    catalogue = pd.DataFrame({"row": rows, f"{FEATURE}item_id": rows.astype(np.int32)})
    catalogue[f"{FEATURE}genres"] = list(rng.integers(1, 20, (items, 2)).astype(np.int32))
    catalogue[f"{FEATURE}year"] = rng.standard_normal(items)
    seen = [rng.choice(items, 50, replace=False) for _ in range(people)]
    frame = pd.DataFrame({f"{FEATURE}{name}": rng.integers(1, high, people).astype(np.int32) for name, high in user})
    frame[f"{FEATURE}history"] = [one.astype(np.int32) + 1 for one in seen]
    frame[f"{FEATURE}age"] = rng.standard_normal(people)
    return schema, catalogue, frame, [UserItems(one, np.ones(50, np.float32), one) for one in seen]


def timed(work: Callable[[int], object], people: int) -> str:
    """Median and 99th percentile of one call, in ms."""
    times = []
    for place in range(people):
        since = time.perf_counter()
        work(place)
        times.append(1000 * (time.perf_counter() - since))
    kept = times[measure.WARM_UP :]
    return f"p50 {np.percentile(kept, 50):8.2f} ms   p99 {np.percentile(kept, 99):8.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=60_000)
    parser.add_argument("--candidates", type=int, default=500)
    parser.add_argument("--people", type=int, default=300)
    args = parser.parse_args()
    schema, items, frame, met = world(args.items, args.people)
    tower, ranker = (OpenedNetwork(items, _network(kind).build(schema), schema) for kind in ("two_tower", "dlrm"))
    started = time.perf_counter()
    made = index.build(tower.vectors)
    told = f"index {made.facts['factory']} built in {time.perf_counter() - started:.1f} s, recall {made.facts['recall_at_100']:.3f}"
    print(f"{args.items:,} items: {told}")
    funnel, ties = OpenedFunnel(tower, ranker, made, args.candidates, weight=0.5), tie_order(args.items, 1)
    queries = tower.queries(tower.people(frame, met))

    def a_list(opened: OpenedNetwork | OpenedFunnel) -> Callable[[int], object]:
        return lambda place: measure.one_list(opened, frame.iloc[place : place + 1], met[place], ties, K)

    def by_funnel(place: int) -> object:
        person = funnel.people(frame.iloc[place : place + 1], [met[place]])[0]
        kept = funnel.retrieve(person, args.candidates)
        return kept.places[best_places(funnel.order(person, kept), ties[kept.places], K)]

    depth = args.candidates + 50
    with measure.one_thread():
        people = [(queries[place], None, met[place].seen) for place in range(args.people)]
        tower.queries = lambda states: np.stack(states)  # type: ignore[method-assign]  # the search alone
        print(f"  FAISS alone, top {depth:<24} {timed(lambda place: made.faiss.search(queries[place : place + 1], depth), args.people)}")
        print(f"  our search, unmet only           {timed(lambda place: funnel.retrieve(people[place], args.candidates), args.people)}")
        del tower.queries  # type: ignore[attr-defined]
        print(f"  two-tower, every item scored     {timed(a_list(tower), args.people)}")
        print(f"  DLRM, every item scored          {timed(a_list(ranker), min(args.people, 40))}")
        print(f"  funnel, N = {args.candidates:<20} {timed(by_funnel, args.people)}")


def _network(kind: str) -> NetworkSpec:
    spec = MODELS[kind].model_validate({"kind": kind})
    assert isinstance(spec, NetworkSpec)
    return spec


if __name__ == "__main__":
    main()
