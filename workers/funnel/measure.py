"""python -m workers.funnel RUN_DIR DATASET_DIR ATTEMPT: measures a funnel under the protocol, in one process; nothing is trained.

One run's model retrieves the N best items that a person has not met, another's ranks them; how much the first one's score still counts is
chosen on validation. Every relevant item that is missed was lost
in one of the two places, and `funnel.json` says how many were lost where, for many N. Letters: U users, N candidates, R relevant items.
"""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from workers.artifacts import DONE, FUNNEL, MANIFEST, PER_USER, RESULTS, SPEC, TOP_K, VALID, index, write_json
from workers.batches import read_likes
from workers.evaluation import (
    DEFAULT,
    best_places,
    catalogue,
    describe,
    facts_of,
    ndcg_at_k,
    rank_users,
    summarise,
    tie_order,
    users_of_train,
    users_to_validate,
    write_ranked,
)
from workers.funnel import blend
from workers.models import FunnelSpec
from workers.run import Journal, RunSpec, log_and_report_errors, peak_memory
from workers.serving import Met, OpenedFunnel, measure, open_run
from workers.specs import TIE_SEED, FeatureSchema, Protocol, Task

log = logging.getLogger("workers.funnel.measure")
K = 10  # of the list that loss is told for
CURVE = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # numbers of candidates tried, and the funnel's own
TIMED = 100  # people timed for each


def main(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Measure one funnel; leaves the results and, last of all, done.json.

    Args:
        run_dir: the run's folder, with spec.json in it, beside the folders of the two runs that it is made of.
        dataset_dir: the prepared dataset.
        attempt: goes into done.json.

    Raises:
        Whatever went wrong, after leaving it in `funnel.error.json`.
    """
    run = Path(run_dir)
    with log_and_report_errors(run, "funnel"):
        _measure(run, Path(dataset_dir), RunSpec.read(run / SPEC), attempt)


def _measure(run: Path, dataset: Path, spec: RunSpec, attempt: int) -> None:
    journal, funnel = Journal(run), spec.model
    journal.event("imported")
    if not isinstance(funnel, FunnelSpec):
        raise TypeError(f"{funnel.label} is no funnel.")
    manifest = json.loads((dataset / MANIFEST).read_text())
    schema = FeatureSchema.model_validate(manifest["schema"])
    if why := funnel.refusal(schema, manifest.get("label", {})):
        raise ValueError(why)
    journal.progress("opening the two models", 0, 1, force=True)
    (run / RESULTS).mkdir(exist_ok=True)
    opened = _open(run, dataset, schema, Task.of(manifest.get("label", {})), funnel)
    likes = read_likes(dataset, schema).matrix
    users, met = measure.people_to_rank(dataset, likes, spec.protocol)
    journal.event("opened")
    order = _order(opened, dataset, likes, funnel, journal, spec.protocol)
    tried = _sizes(funnel.candidates, len(opened.items))
    ranked, curve = _judge(opened, users, met, tried, journal, spec.protocol)
    ranked = describe(ranked, facts_of(catalogue(dataset), users_of_train(dataset)))
    timed = {n: _times(opened, users, met, n) for n in tried}
    curve = [row | timed[int(row["candidates"])] for row in curve]
    journal.event("evaluated")
    _write(run, opened, ranked, {"candidates": funnel.candidates, "k": K, "order": order, "curve": curve})
    metrics = summarise(ranked, len(opened.items))
    own = next(row for row in curve if row["candidates"] == funnel.candidates or row is curve[-1])
    costs = _sums(run, funnel) | {name: own[name] for name in ("latency_p50_ms", "latency_p99_ms") if name in own}
    measured = {"protocol": spec.protocol.model_dump(mode="json")}
    journal.event("done")
    write_json(run / DONE, {"attempt": attempt, "metrics": metrics, "users": len(ranked), "processes": 1} | costs | measured)


def _open(run: Path, dataset: Path, schema: FeatureSchema, task: Task, funnel: FunnelSpec) -> OpenedFunnel:
    """Both models, and the index: the retriever's own, or one made as the funnel asks for."""
    opened = open_run(run, dataset, schema, task)
    assert isinstance(opened, OpenedFunnel)
    vectors = opened.retriever.vectors
    if vectors is not None and (funnel.index or opened.index is None):
        index.save(index.build(vectors, funnel.index), run / RESULTS)
        opened.index = index.load(run / RESULTS)
    if vectors is None and funnel.index:
        raise ValueError(f"index is {funnel.index!r}, but the retriever has no vectors to index; leave it empty.")
    return opened


def _order(
    opened: OpenedFunnel, dataset: Path, likes: csr_matrix, funnel: FunnelSpec, journal: Journal, protocol: Protocol
) -> dict[str, Any]:
    """Set the weight of the retriever's score, by the users of validation: share, weight, tuned, and what was tried."""
    journal.progress("choosing the retriever's share on validation", 0, 1, force=True)
    opened.weight = 0.0
    users, met = measure.people_to_rank(dataset, likes, protocol, VALID, users_to_validate(funnel.candidates))
    chosen = blend.choose(opened, users, met, K, funnel.retriever_share)
    opened.weight = chosen.weight
    return {**chosen._asdict(), "tuned": funnel.retriever_share is None, "users": len(users)}


def _sizes(own: int, items: int) -> list[int]:
    return sorted({min(n, items) for n in (*CURVE, own)})


def _judge(
    opened: OpenedFunnel, users: pd.DataFrame, met: list[Met], tried: list[int], journal: Journal, protocol: Protocol = DEFAULT
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The protocol's per-user metrics at the funnel's own N, and for each N what is reached and what is lost where."""
    ties, most, items = tie_order(len(opened.items), TIE_SEED), tried[-1], len(opened.items)
    tallies: dict[int, list[tuple[float, ...]]] = {
        n: [] for n in tried
    }  # of each user: relevant, among the candidates, in the final top K, NDCG
    started = time.monotonic()

    def score(places: np.ndarray) -> np.ndarray:
        done = int(places[0])
        left = (len(users) - done) / done * (time.monotonic() - started) if done else None
        journal.progress("ranking", done, len(users), eta_s=left)
        people = opened.people(users.iloc[places], [met[place] for place in places])
        grid = np.full((len(places), items), -np.inf, np.float32)
        for at, (place, person) in enumerate(zip(places, people, strict=True)):
            kept = opened.retrieve(person, most)
            scores = opened.order(person, kept)
            relevant = np.isin(kept.places, np.asarray(users["relevant"].iloc[place], np.int64) - 1)
            for n in tried:
                tallies[n].append(_tally(scores[:n], relevant[:n], ties[kept.places[:n]], len(users["relevant"].iloc[place])))
            grid[at, kept.places[: opened.candidates]] = scores[: opened.candidates]
        return grid

    ranked = rank_users(users, items, score, protocol)
    return ranked, [_row(n, np.array(tallies[n], float)) for n in tried]


def _tally(scores: np.ndarray, relevant: np.ndarray, ties: np.ndarray, wanted: int) -> tuple[float, float, float, float]:
    """One user: relevant items, those among the candidates, those in the top K of the ranker's order, NDCG@K."""
    hits = relevant[None, best_places(scores, ties, K)]
    return wanted, relevant.sum(), hits.sum(), float(ndcg_at_k(hits, np.array([wanted]), K)[0])


def _row(n: int, users: np.ndarray) -> dict[str, Any]:
    """Means over users of recall ceiling (R among the candidates), recall@K, NDCG@K; of all R, shares lost in either place, and found.

    What no list of K has room for is lost to nobody: a user with R above K can have K found at most.
    """
    wanted, among, found, ndcg = users.T if len(users) else np.zeros((4, 0))
    room = np.minimum(wanted, K)
    at_retrieval = room - np.minimum(among, room)
    total = max(room.sum(), 1)
    return {
        "candidates": n,
        "recall_ceiling": _mean(among / np.maximum(wanted, 1)),
        f"recall_at_{K}": _mean(found / np.maximum(wanted, 1)),
        f"ndcg_at_{K}": _mean(ndcg),
        "found": float(found.sum() / total),
        "lost_at_retrieval": float(at_retrieval.sum() / total),
        "lost_at_ranking": float((room - at_retrieval - found).sum() / total),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _times(opened: OpenedFunnel, users: pd.DataFrame, met: list[Met], n: int) -> dict[str, float]:
    """Milliseconds from a person's row to K ranked items, one person at a time on one thread, and its three parts."""
    parts: dict[str, list[float]] = {"latency": [], "encode": [], "retrieve": [], "rank": []}
    with measure.one_thread():
        for place in range(min(len(users), TIMED)):
            since = [time.perf_counter()]
            person = opened.people(users.iloc[place : place + 1], [met[place]])[0]
            since.append(time.perf_counter())
            kept = opened.retrieve(person, n)
            since.append(time.perf_counter())
            scores = opened.order(person, kept)
            best_places(scores, opened.ties[kept.places], K)
            since.append(time.perf_counter())
            for name, spent in zip(parts, (since[3] - since[0], *np.diff(since)), strict=True):
                parts[name].append(1000 * spent)
    if not parts["latency"]:
        return {}
    found: dict[str, float] = {}
    for part, times in parts.items():
        found |= measure.percentiles(times[measure.WARM_UP :] or times, part)
    return found


def _write(run: Path, opened: OpenedFunnel, ranked: pd.DataFrame, told: dict[str, Any]) -> None:
    folder = run / RESULTS
    write_ranked(ranked, folder / PER_USER, folder / TOP_K)
    facts = opened.index.facts if opened.index is not None else {"factory": None}
    write_json(folder / FUNNEL, told | {"index": facts})


def _sums(run: Path, funnel: FunnelSpec) -> dict[str, float]:
    """What both parts cost together; of memory, the larger."""
    ends = [json.loads((run.parent / part / DONE).read_text()) for part in (funnel.retriever, funnel.ranker)]
    sums = {name: sum(end.get(name, 0) for end in ends) for name in ("parameters", "checkpoint_bytes", "training_s")}
    return sums | {"peak_memory_bytes": max(peak_memory(), *(end.get("peak_memory_bytes", 0) for end in ends))}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
