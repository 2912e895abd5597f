"""Funnels, the engine's side: whether two runs make one, and what one reached and lost."""

import json
from typing import Any

from engine.runs import read
from engine.runs.read import Run, RunState
from engine.settings import settings
from workers.artifacts import FUNNEL, RESULTS
from workers.models import FunnelSpec
from workers.run import RunSpec


def funnel(retriever: str, ranker: str, candidates: int = 200, index: str | None = None, share: float | None = None) -> RunSpec:
    """The run that measures one finished run's model as the retriever of another's.

    Args:
        share: of the retriever's score in the order of the candidates; None: chosen on validation.

    Raises:
        LookupError: no such run.
        ValueError: the two cannot stand behind each other; says why and what to do.
    """
    first, second = read.get_run(retriever), read.get_run(ranker)
    titles = (first.title[:120], second.title[:120])
    model = FunnelSpec(retriever=retriever, ranker=ranker, candidates=candidates, retriever_share=share, index=index, titles=titles)
    spec = RunSpec(dataset=first.dataset or "unknown", model=model)
    check(spec)
    return spec


def check(spec: RunSpec) -> None:
    """Nothing where both parts of a funnel are finished runs of its dataset, or where the run is no funnel; errors as `funnel`."""
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
        return "is a funnel itself; choose the runs that it is made of"
    return None


def funnel_losses(run_id: str) -> dict[str, Any]:
    """What a finished funnel reached and lost: `candidates`, `k`, `index` (facts), `order`, and `curve`.

    `order`: the retriever's share in the score, whether it was tuned, on how many users, and for each share tried share and ndcg (on
    validation); not there for a funnel of the ranker's order alone. `curve`: one dict a number of candidates with

    candidates, recall_ceiling, recall_at_<k>, ndcg_at_<k>, found, lost_at_retrieval, lost_at_ranking (shares of what a list of k has
    room for), and p50 and p99 in ms of latency, encode, retrieve and rank.

    Raises:
        LookupError: no such run, or it is no finished funnel.
    """
    path = settings().runs / read.get_run(run_id).run_id / RESULTS / FUNNEL
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise LookupError(f"Run {run_id} is no finished funnel; choose one.") from None
