"""python -m workers.funnel.measure RUN_DIR DATASET_DIR ATTEMPT: measures a funnel under the protocol, in one process; nothing is trained.

One run's model retrieves the N best items that a person has not met, another run's model ranks them; validation chooses how much the
retriever's score still counts. A relevant item that the list misses was lost either at retrieval or at ranking, and `funnel.json` counts
both for many N. Letters: U users, N candidates, R relevant items.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workers.artifacts import FUNNEL, PER_USER, RESULTS, TOP_K, VALID, index, read_done, write_json
from workers.evaluation import (
    DEFAULT,
    best_places,
    catalogue,
    describe,
    facts_of,
    few_users,
    ndcg_at_k,
    rank_users,
    summarise,
    tie_order,
    users_to_validate,
    write_ranked,
)
from workers.funnel import blend
from workers.models import FunnelSpec
from workers.run import Journal, RunContext, RunSpec, peak_memory, refuse_unfit, run_context
from workers.serving import KnownLikes, OpenedFunnel, UserItems, measure, open_run
from workers.specs import TIE_SEED, Protocol

K = 10  # length of the list whose losses are counted
CURVE = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # numbers of candidates tried, and the funnel's own
TIMED = 100  # people timed for each


def main(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Measure one funnel; writes the results and, last of all, done.json. Arguments and errors as in `run_context`.

    The run's folder lies beside those of the two runs that the funnel is made of.
    """
    with run_context(run_dir, dataset_dir, attempt, RunSpec, "funnel") as context:
        _measure(context)


def _measure(context: RunContext[RunSpec]) -> None:
    journal, dataset, funnel = context.journal, context.dataset, context.spec.model
    journal.event("imported")
    if not isinstance(funnel, FunnelSpec):
        raise TypeError(f"{funnel.label} is no funnel.")
    refuse_unfit(context.spec, dataset)
    journal.progress("opening the two models", 0, 1, force=True)
    (context.folder / RESULTS).mkdir(exist_ok=True)
    opened_model = _open(context, funnel)
    users, user_items = measure.people_to_rank(dataset, KnownLikes.read(dataset, opened_model), context.spec.protocol)
    journal.event("opened")
    order = _order(opened_model, context)
    sizes = _sizes(funnel.candidates, len(opened_model.items))
    ranked, curve = _evaluate(opened_model, users, user_items, sizes, journal, context.spec.protocol)
    ranked = describe(ranked, facts_of(catalogue(dataset.folder), dataset.num_users))
    timed = {n: _times(opened_model, users, user_items, n) for n in sizes}
    curve = [row | timed[int(row["candidates"])] for row in curve]
    journal.event("evaluated")
    _write(context.folder, opened_model, ranked, {"candidates": funnel.candidates, "k": K, "order": order, "curve": curve})
    metrics = summarise(ranked, len(opened_model.items))
    own = next(row for row in curve if row["candidates"] == funnel.candidates or row is curve[-1])
    costs = _sums(context.folder, funnel) | {name: own[name] for name in ("latency_p50_ms", "latency_p99_ms") if name in own}
    protocol = context.spec.protocol.model_dump(mode="json")
    alarms = few_users(len(ranked), context.dataset.counts)
    context.finish({"metrics": metrics, "users": len(ranked), "processes": 1, "alarms": alarms} | costs | {"protocol": protocol})


def _open(context: RunContext[RunSpec], funnel: FunnelSpec) -> OpenedFunnel:
    """Both models, and the index: the retriever's own, or one made as the funnel asks for."""
    opened_model, results = open_run(context.folder, context.dataset), context.folder / RESULTS
    assert isinstance(opened_model, OpenedFunnel)
    vectors = opened_model.retriever.vectors
    if vectors is not None and (funnel.index or opened_model.index is None):
        index.save(index.build(vectors, funnel.index), results)
        opened_model.index = index.load(results)
    if vectors is None and funnel.index:
        raise ValueError(f"index is {funnel.index!r}, but the retriever has no vectors to index; leave it empty.")
    return opened_model


def _order(opened_model: OpenedFunnel, context: RunContext[RunSpec]) -> dict[str, Any]:
    """Set the weight of the retriever's score, by the users of validation: share, weight, tuned, and what was tried."""
    context.journal.progress("choosing the retriever's share on validation", 0, 1, force=True)
    funnel = context.spec.model
    assert isinstance(funnel, FunnelSpec)
    opened_model.weight = 0.0
    likes, limit = KnownLikes.read(context.dataset, opened_model, VALID), users_to_validate(funnel.candidates)
    users, user_items = measure.people_to_rank(context.dataset, likes, context.spec.protocol, VALID, limit)
    chosen = blend.choose(opened_model, users, user_items, K, funnel.retriever_share)
    opened_model.weight = chosen.weight
    return {**chosen._asdict(), "tuned": funnel.retriever_share is None, "users": len(users)}


def _sizes(own: int, items: int) -> list[int]:
    return sorted({min(n, items) for n in (*CURVE, own)})


def _evaluate(
    opened_model: OpenedFunnel,
    users: pd.DataFrame,
    user_items: list[UserItems],
    sizes: list[int],
    journal: Journal,
    protocol: Protocol = DEFAULT,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The protocol's per-user metrics at the funnel's own N, and for each N in `sizes` the items reached and those lost in either stage."""
    items, most = len(opened_model.items), sizes[-1]
    ties = tie_order(items, TIE_SEED)
    # of each user: relevant items, those among the candidates, those in the final top K, NDCG
    tallies: dict[int, list[tuple[float, ...]]] = {n: [] for n in sizes}
    started = time.monotonic()

    def score(places: np.ndarray) -> np.ndarray:
        done = int(places[0])
        left = (len(users) - done) / done * (time.monotonic() - started) if done else None
        journal.progress("ranking", done, len(users), eta_s=left)
        people = opened_model.people(users.iloc[places], [user_items[place] for place in places])
        grid = np.full((len(places), items), -np.inf, np.float32)
        for at, (place, person) in enumerate(zip(places, people, strict=True)):
            candidates = opened_model.retrieve(person, most)
            scores = opened_model.order(person, candidates)
            relevant = np.isin(candidates.places, np.asarray(users["relevant"].iloc[place], np.int64) - 1)
            for n in sizes:
                tallies[n].append(_tally(scores[:n], relevant[:n], ties[candidates.places[:n]], len(users["relevant"].iloc[place])))
            grid[at, candidates.places[: opened_model.candidates]] = scores[: opened_model.candidates]
        return grid

    ranked = rank_users(users, items, score, protocol)
    return ranked, [_row(n, np.array(tallies[n], float)) for n in sizes]


def _tally(scores: np.ndarray, relevant: np.ndarray, ties: np.ndarray, wanted: int) -> tuple[float, float, float, float]:
    """One user: relevant items, those among the candidates, those in the top K of the ranker's order, NDCG@K."""
    hits = relevant[None, best_places(scores, ties, K)]
    return wanted, relevant.sum(), hits.sum(), float(ndcg_at_k(hits, np.array([wanted]), K)[0])


def _row(n: int, users: np.ndarray) -> dict[str, Any]:
    """Means over users of recall ceiling (share of R among the candidates), recall@K and NDCG@K; of all R, the shares lost in either
    stage, and the share in the final list (`found`).

    Items beyond the K that a list has room for count as lost in neither stage.
    """
    wanted, among, in_list, ndcg = users.T if len(users) else np.zeros((4, 0))
    room = np.minimum(wanted, K)
    at_retrieval = room - np.minimum(among, room)
    total = max(room.sum(), 1)
    return {
        "candidates": n,
        "recall_ceiling": _mean(among / np.maximum(wanted, 1)),
        f"recall_at_{K}": _mean(in_list / np.maximum(wanted, 1)),
        f"ndcg_at_{K}": _mean(ndcg),
        "found": float(in_list.sum() / total),
        "lost_at_retrieval": float(at_retrieval.sum() / total),
        "lost_at_ranking": float((room - at_retrieval - in_list).sum() / total),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _times(opened_model: OpenedFunnel, users: pd.DataFrame, user_items: list[UserItems], n: int) -> dict[str, float]:
    """Milliseconds from a person's row to K ranked items, one person at a time on one thread, and its three parts."""
    parts: dict[str, list[float]] = {"latency": [], "encode": [], "retrieve": [], "rank": []}
    with measure.one_thread():
        for place in range(min(len(users), TIMED)):
            since = [time.perf_counter()]
            person = opened_model.people(users.iloc[place : place + 1], [user_items[place]])[0]
            since.append(time.perf_counter())
            candidates = opened_model.retrieve(person, n)
            since.append(time.perf_counter())
            scores = opened_model.order(person, candidates)
            best_places(scores, opened_model.ties[candidates.places], K)
            since.append(time.perf_counter())
            for name, spent in zip(parts, (since[3] - since[0], *np.diff(since)), strict=True):
                parts[name].append(1000 * spent)
    if not parts["latency"]:
        return {}
    milliseconds: dict[str, float] = {}
    for part, times in parts.items():
        milliseconds |= measure.percentiles(times[measure.WARM_UP :] or times, part)
    return milliseconds


def _write(run: Path, opened_model: OpenedFunnel, ranked: pd.DataFrame, facts: dict[str, Any]) -> None:
    folder = run / RESULTS
    write_ranked(ranked, folder / PER_USER, folder / TOP_K)
    index_facts = opened_model.index.facts if opened_model.index is not None else {"factory": None}
    write_json(folder / FUNNEL, facts | {"index": index_facts})


def _sums(run: Path, funnel: FunnelSpec) -> dict[str, float]:
    """What both parts cost together; of memory, the larger."""
    ends = [read_done(run.parent / part) for part in (funnel.retriever, funnel.ranker)]
    sums = {name: sum(end.get(name, 0) for end in ends) for name in ("parameters", "checkpoint_bytes", "training_s")}
    return sums | {"peak_memory_bytes": max(peak_memory(), *(end.get("peak_memory_bytes", 0) for end in ends))}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
