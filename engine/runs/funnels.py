"""Funnels: whether two runs can form one, and the results of a finished one."""

import json
from typing import Any

from engine.runs import read
from engine.runs.read import Run, RunState
from engine.runs.results import result_file
from workers.artifacts import FUNNEL
from workers.models import FunnelSpec
from workers.run import RunSpec


def funnel(retriever: str, ranker: str, candidates: int = 200, index: str | None = None, share: float | None = None) -> RunSpec:
    """The spec of a run that evaluates one finished run's model as the retriever of another's.

    Args:
        share: of the retriever's score in the order of the candidates; None: chosen on validation.

    Raises:
        LookupError: no such run.
        ValueError: the two cannot form a funnel; says why and what to do.
    """
    first, second = read.get_run(retriever), read.get_run(ranker)
    titles = (first.title[:120], second.title[:120])
    model = FunnelSpec(retriever=retriever, ranker=ranker, candidates=candidates, retriever_share=share, index=index, titles=titles)
    spec = RunSpec(dataset=first.dataset or "unknown", model=model)
    check(spec)
    return spec


def check(spec: RunSpec) -> None:
    """Check that both parts of a funnel are finished runs of its dataset; other models pass. Raises as `funnel`."""
    if not isinstance(spec.model, FunnelSpec):
        return
    for role, run_id in (("retriever", spec.model.retriever), ("ranker", spec.model.ranker)):
        run = read.get_run(run_id)
        if why := _why_not(run, spec.dataset):
            raise ValueError(f"{run.title} cannot be the {role}: it {why}.")


def _why_not(run: Run, dataset: str) -> str | None:
    if run.kind != "train" or run.state != RunState.FINISHED:
        return f"is {run.state.value}; choose a finished training run"
    if run.dataset != dataset:
        return f"was trained on {run.dataset}, the funnel is for {dataset}; choose two runs of one dataset"
    if isinstance(run.training.model, FunnelSpec):
        return "is a funnel itself; choose the runs that it consists of"
    return None


def funnel_losses(run_id: str) -> dict[str, Any]:
    """The results of a finished funnel: `candidates`, `k`, `index` (facts), `order`, and `curve`.

    `order`: the retriever's share in the score, whether it was tuned, on how many users, and for each share tried share and ndcg (on
    validation); missing where only the ranker orders. `curve`: for each number of candidates a dict with

    candidates, recall_ceiling, recall_at_<k>, ndcg_at_<k>, found, lost_at_retrieval, lost_at_ranking (shares of the relevant items
    that fit into a list of k), and p50 and p99 in ms of latency, encode, retrieve and rank.

    Raises:
        LookupError: no such run, or it is not a finished funnel. ValueError: its results were changed since.
    """
    path = result_file(read.get_run(run_id).run_id, FUNNEL)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise LookupError(f"Run {run_id} is not a finished funnel; choose one.") from None
