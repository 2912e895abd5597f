"""Steps that overlap, as on a GPU, learn what steps one after another learn; here on two ranks on CPUs, by the same code."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests import ranks

COUNT = 7


def _batches(rank: int, sampled: int) -> Iterator[Any]:
    import numpy as np

    from tests.contracts.test_models import SCHEMA
    from workers.batches import to_batch

    for step in range(COUNT):
        rng = np.random.default_rng([rank, step])
        columns = {f.name: rng.integers(0, f.num_rows, 16) for f in SCHEMA.categorical if not f.multi_valued}
        for feature in (f for f in SCHEMA.categorical if f.multi_valued):
            lengths = rng.integers(0, 4, 16)
            columns |= {f"{feature.name}.lengths": lengths, f"{feature.name}.values": rng.integers(0, feature.num_rows, lengths.sum())}
        given = columns | {"dense": rng.normal(size=(16, 2)).astype(np.float32), "label": rng.integers(0, 2, 16)}
        yield to_batch(given, SCHEMA, 16)._replace(sampled=sampled)


def _cases() -> Iterator[tuple[Any, str, int]]:
    """Specs of networks, the sharding of their tables, and how many rows of a batch are drawn items."""
    from tests.contracts.test_models import BY_ROWS
    from workers.models import SASRecSpec, TwoTowerSpec

    for kind in BY_ROWS:
        sampling = {"negatives": "uniform"} if "negatives" in kind.model_fields else {}
        for sampled, dropped in ((0, 0.0), (4, 0.0), (4, 0.3)):
            yield kind(**sampling, history_dropout=dropped), "row_wise", sampled
    yield SASRecSpec(), "table_wise", 4
    yield TwoTowerSpec(history_pooling="recency", history_dropout=0.3), "table_wise", 4


def _learn(rank: int, world: int, folder: Path) -> None:
    import torch

    from workers.specs import TrainSpec
    from workers.training.steps import PipelinedSteps, Steps

    rates: dict[str, Any] = {"table_learning_rate": 0.1, "table_epsilon": 1e-3, "dense_learning_rate": 0.01}
    for spec, sharding, sampled in _cases():
        train = TrainSpec(device="cpu", shared_tables=False, sharding=sharding, **rates)
        first, second = (_learned(rank, spec, train, steps, sampled) for steps in (Steps, PipelinedSteps))
        assert second["losses"].isfinite().all()
        if sharding == "table_wise" or not spec.history_dropout:  # else likes to leave out are drawn ahead of all else that a step draws
            for name, value in first.items():
                assert torch.equal(second[name], value), (spec, name)


def _learned(rank: int, spec: Any, train: Any, kind: type, sampled: int) -> dict[str, Any]:
    """Losses and weights after some steps."""
    import torch
    from torchrec.distributed.train_pipeline.runtime_forwards import PipelinedForward

    from tests.contracts.test_models import SCHEMA
    from workers.networks import tables_on_meta
    from workers.training.sharding import distribute
    from workers.training.steps import PipelinedSteps

    torch.manual_seed(0)
    with tables_on_meta():
        network = spec.build(SCHEMA)
    model = distribute(network, train, torch.device("cpu"))
    model.module.train()
    steps, batches, ahead = kind(model, train), _batches(rank, sampled), list[bool]()

    def begin() -> None:
        ahead.append(isinstance(network.ebc.forward, PipelinedForward))
        model.optimizers.set_rate(1 / len(ahead))

    torch.manual_seed(1 + rank)
    taken = [step for part in (3, 4) for step in steps(islice(batches, part), begin)]  # the pipeline is empty in between
    assert ahead == [kind is PipelinedSteps and network.looks_up_batch] * COUNT
    assert [step.rows for step in taken] == [16 - sampled] * COUNT
    with torch.no_grad():
        network.eval()(next(_batches(rank, 0)))  # without the pipeline
    weights = {name: ranks.whole(value, rank).clone() for name, value in model.module.state_dict().items()}
    return weights | {"losses": torch.stack([step.loss for step in taken])}


@pytest.mark.slow
def test_steps_that_overlap_learn_the_same(tmp_path: Path) -> None:
    ranks.side_by_side(2, tmp_path, _learn)
