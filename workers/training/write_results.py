"""What a finished run leaves in its folder, done.json excepted: of networks rank 0 writes it. Imports no torch."""

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workers.artifacts import (
    BASELINES,
    ITEM_EMBEDDINGS,
    METRICS,
    OUTPUTS,
    PER_USER,
    PLAN,
    PREDICTIONS,
    RATED_SETS,
    RESULTS,
    SCORED,
    TOP_K,
    USERS,
    write_json,
)  # fmt: skip
from workers.evaluation import (
    DEFAULT,
    catalogue,
    cut_histories,
    few_users,
    list_alarms,
    predictions,
    scored_rows,
    still_rising,
    write_ranked,
)  # fmt: skip
from workers.run import RunContext, RunSpec
from workers.specs import Task

if TYPE_CHECKING:
    from workers.evaluation import NetworkEvaluation, ScoredRows
    from workers.training.progress import Learned
    from workers.training.sharding import Plan

SHOWN_ROWS = 500  # test rows kept with their predictions, for people to look at


def write_results(context: RunContext[RunSpec], evaluation: "NetworkEvaluation", plan: "Plan") -> None:
    """Plan, per-user metrics, top lists, scored rows, embeddings of a retriever's items, and the predictions for some test rows."""
    folder = context.folder / RESULTS
    folder.mkdir(exist_ok=True)
    write_json(folder / PLAN, plan)
    write_ranked(evaluation.ranked, folder / PER_USER, folder / TOP_K)
    rows = evaluation.scored
    outputs = {} if context.dataset.task.output == "binary" else {"logits": rows.logits, "target": rows.targets}
    own = scored_rows(rows.users, rows.items, rows.labels, rows.known, evaluation.preference, outputs)
    own.to_parquet(folder / SCORED, index=False)
    if evaluation.sets is not None:
        evaluation.sets.to_parquet(folder / RATED_SETS, index=False)
    if context.spec.model.stage == "retrieval":
        items = catalogue(context.dataset.folder, ["row", "item_id"])
        items.assign(embedding=list(evaluation.item_states.numpy())).to_parquet(folder / ITEM_EMBEDDINGS, index=False)
    if evaluation.tables:
        write_json(folder / OUTPUTS, evaluation.tables)
        _some_rows(context.dataset.task, rows).to_parquet(folder / PREDICTIONS, index=False)


def _some_rows(task: Task, scored: "ScoredRows") -> pd.DataFrame:
    """A fixed random part of the test rows: user and item (rows of the vocabularies), label, target, predicted (a list of O numbers)."""
    some = np.sort(np.random.default_rng(0).permutation(len(scored.labels))[:SHOWN_ROWS])
    predicted = predictions(task, scored.logits[some].astype(np.float64))
    rows = {"user": scored.users[some], "item": scored.items[some], "label": scored.labels[some]}
    return pd.DataFrame(rows).assign(target=list(scored.targets[some].tolist()), predicted=list(predicted.tolist()))


def data_alarms(context: RunContext[RunSpec], ranked: int) -> list[str]:
    """What of the dataset limits this run: too few users to rank for, and histories that are cut. ranked: users ranked for."""
    dataset, model = context.dataset, context.spec.model
    users = dataset.folder / USERS
    sentences = few_users(ranked, dataset.counts) if dataset.schema.can_rank else []
    if dataset.history and dataset.schema.has_history and getattr(model, "history", False) and users.is_file():
        people = pd.read_parquet(users, columns=["row", "train_positives"])
        sentences += cut_histories(people.loc[people["row"] > 0, "train_positives"].to_numpy(), dataset.history)
    return sentences


def alarms_of(context: RunContext[RunSpec], evaluation: "NetworkEvaluation", learned: "Learned") -> list[str]:
    """Signs that the model is degenerate, or could be better, a sentence each."""
    spec, path = context.spec, context.dataset.folder / BASELINES / "popularity.json"
    comparable = path.is_file() and spec.protocol.measures_like(DEFAULT)  # baselines are measured under the default protocol
    popularity = json.loads(path.read_text()).get("ndcg_at_10") if comparable else None
    states = evaluation.item_states.numpy() if spec.model.stage == "retrieval" else np.zeros((0, 0))
    signs = list_alarms(
        logits=evaluation.preference if evaluation.tables.get("output") != "regression" else np.zeros(0),  # values may all be positive
        ranked=evaluation.ranked,
        item_states=states[:, :-1],  # the last is the bias
        losses=[float("nan") if one is None else one for one in learned.losses],
        popularity=popularity,
    )
    if learned.concluded:
        ended = f"in epoch {learned.epochs} of {learned.planned_epochs}"
        signs.append(f"Its training was ended {ended}, and its best epoch until then was measured.")
    valid = [float("nan") if one is None else one for one in learned.valid]
    rising = [] if learned.stopped_early else still_rising(spec.model.label, METRICS[learned.metric], valid, learned.epochs)
    return [*signs, *rising, *data_alarms(context, len(evaluation.ranked))]
