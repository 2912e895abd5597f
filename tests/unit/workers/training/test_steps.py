"""Steps that overlap, as on a GPU, learn what steps one after another learn; here on two ranks on CPUs, by the same code."""

from collections.abc import Iterator
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


def _learn(rank: int, world: int, folder: Path) -> None:
    import torch
    from torchrec.distributed.train_pipeline.runtime_forwards import PipelinedForward

    from tests.contracts.test_models import BY_ROWS, SCHEMA
    from workers.networks import tables_on_meta
    from workers.specs import TrainSpec
    from workers.training.sharding import distribute
    from workers.training.steps import PipelinedSteps, Steps

    rates: dict[str, Any] = {"table_learning_rate": 0.1, "table_epsilon": 1e-3, "dense_learning_rate": 0.01}
    spec = TrainSpec(device="cpu", shared_tables=False, sharding="row_wise", **rates)
    for kind in BY_ROWS:
        sampling = {"negatives": "uniform"} if "negatives" in kind.model_fields else {}
        for sampled, dropped in ((0, 0.0), (4, 0.0), (4, 0.3)):
            weights, losses = [], []
            for steps in (Steps, PipelinedSteps):
                torch.manual_seed(0)
                with tables_on_meta():
                    network = kind(**sampling, history_dropout=dropped).build(SCHEMA)
                model = distribute(network, spec, torch.device("cpu"))
                model.module.train()
                doing, batches, before = steps(model, spec), _batches(rank, sampled), list[bool]()

                def begin(model: Any = model, before: list[bool] = before) -> None:
                    before.append(isinstance(model.network.ebc.forward, PipelinedForward))
                    model.optimizers.set_rate(1 / len(before))

                torch.manual_seed(1 + rank)
                taken = []
                for part in (3, 4):  # the pipeline is empty in between
                    first = [next(batches) for _ in range(part)]
                    taken += list(doing(iter(first), begin))
                assert before == [steps is PipelinedSteps] * COUNT
                assert len(taken) == COUNT
                assert [step.rows for step in taken] == [16 - sampled] * COUNT
                losses.append(torch.stack([step.loss for step in taken]))
                weights.append({name: ranks.whole(value, rank).clone() for name, value in model.module.state_dict().items()})
                with torch.no_grad():
                    network.eval()(next(_batches(rank, 0)))  # without the pipeline
            if not dropped:  # likes to leave out are drawn ahead of all else that a step draws
                torch.testing.assert_close(losses[1], losses[0], rtol=0, atol=0)
                for name, value in weights[0].items():
                    assert torch.equal(weights[1][name], value), (kind, name)
            assert losses[1].isfinite().all()


@pytest.mark.slow
def test_steps_that_overlap_learn_the_same(tmp_path: Path) -> None:
    ranks.side_by_side(2, tmp_path, _learn)
