"""Plans of tables: bytes by arithmetic of their own, what the planner may do on GPUs and on CPUs, and a real training on two ranks."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import ranks
from workers.models import MODELS, NetworkSpec
from workers.run import RunSpec
from workers.specs import BINARY, Categorical, FeatureSchema
from workers.training import Layout, NoPlanError, TablePlan, TablePlanner

GB = 10**9
NETWORKS = [kind for kind, model in MODELS.items() if issubclass(model, NetworkSpec)]
EIGHT_BY_EIGHT = Layout(64, 8, "cuda", 80 * GB)


def schema(users: int, items: int) -> FeatureSchema:
    return FeatureSchema(
        categorical=(
            Categorical(name="user_id", side="user", num_rows=users, vocabulary="user_id"),
            Categorical(name="history", side="user", num_rows=items, multi_valued=True, vocabulary="item_id"),
            Categorical(name="item_id", side="item", num_rows=items, vocabulary="item_id"),
            Categorical(name="genres", side="item", num_rows=19, multi_valued=True, vocabulary="genres"),
        ),
        sequence=100,
    )


LARGE, SMALL = schema(300_000_001, 10_000_001), schema(20_000, 4_000)


def planner(model: dict[str, Any], of: FeatureSchema = LARGE, **train: Any) -> TablePlanner:
    run = RunSpec.model_validate({"dataset": "any", "model": model, "train": {"device": "cuda", **train}}).resolved(of)
    return TablePlanner(run, of, BINARY, {"history": 50, "genres": 2})


def held(plan: TablePlan, ranks: int) -> list[int]:
    """Bytes of tables and states on each rank."""
    every = [0] * ranks
    for table in plan.tables:
        for part in table.parts:
            every[part.rank] += part.table_bytes + part.state_bytes
    return every


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_tables_of_every_network_are_planned_whole_at_any_size(kind: str) -> None:
    planned = planner({"kind": kind, "embedding_dim": 128}).plan(EIGHT_BY_EIGHT)
    for table in planned.tables:
        cells = sum(part.rows * part.columns for part in table.parts)
        assert cells == table.rows * table.width, table.name  # nothing twice, nothing left out
        assert sum(part.table_bytes for part in table.parts) == 4 * table.rows * table.width
        assert min(part.columns for part in table.parts) == table.width  # no table in strips of four columns
        assert min(part.rows for part in table.parts) >= 1
    largest = max(sum(part.table_bytes for part in table.parts) for table in planned.tables)
    assert max(held(planned, 64)) <= 80 * GB - planned.reserved_bytes
    assert largest == 4 * 128 * planned.tables[0].rows or kind in ("two_tower", "sasrec")


def test_a_table_that_no_device_holds_is_cut_by_rows_and_its_states_are_counted() -> None:
    planned = planner({"kind": "two_tower", "embedding_dim": 128, "user_id": True}).plan(EIGHT_BY_EIGHT)
    users = next(table for table in planned.tables if table.name == "user_id")
    assert 4 * users.rows * 128 == 153_600_000_512  # more than 80 GB
    assert users.sharding in ("row_wise", "table_row_wise")
    assert sum(part.state_bytes for part in users.parts) == 4 * users.rows  # row-wise Adagrad: one number a row
    batch, likes = 1024 * 64, 50
    assert sum(part.lookups for part in users.parts) == pytest.approx(batch)  # an id of each row of the step
    items = next(table for table in planned.tables if table.name == "history")
    assert sum(part.lookups for part in items.parts) == pytest.approx(batch * likes)


@pytest.mark.parametrize(("optimizer", "states"), [("rowwise_adagrad", 4_000), ("adagrad", 4_000 * 8), ("adam", 2 * 4_000 * 8), ("sgd", 0)])
def test_states_of_each_optimizer(optimizer: str, states: int) -> None:
    planned = planner({"kind": "two_tower", "embedding_dim": 8}, SMALL, table_optimizer=optimizer).plan(Layout(1, 1, "cuda", 80 * GB))
    (part,) = next(table for table in planned.tables if table.name == "item_id").parts
    assert (part.table_bytes, part.state_bytes) == (4_000 * 8 * 4, states * 4)


def test_columns_each_have_a_state_for_every_row() -> None:
    planned = planner({"kind": "two_tower", "embedding_dim": 8}, SMALL, sharding="column_wise").plan(Layout(2, 2, "cuda", 80 * GB))
    parts = next(table for table in planned.tables if table.name == "item_id").parts
    assert [(part.rows, part.columns, part.state_bytes) for part in parts] == [(4_000, 4, 16_000)] * 2


def test_tables_held_by_every_rank_have_the_states_of_plain_adagrad() -> None:
    planned = planner({"kind": "two_tower", "embedding_dim": 8}, SMALL, sharding="data_parallel").plan(Layout(3, 3, "cuda", 80 * GB))
    parts = next(table for table in planned.tables if table.name == "item_id").parts
    assert sorted(part.rank for part in parts) == [0, 1, 2]
    assert {(part.table_bytes, part.state_bytes, part.lookups) for part in parts} == {(128_000, 128_000, 1024)}


def test_on_cpus_the_tables_of_one_feature_are_on_one_rank() -> None:
    planned = planner({"kind": "dlrm", "embedding_dim": 8}, SMALL, device="cpu").plan(Layout(2, 2, "cpu", 8 * GB))
    of_feature: dict[str, set[int]] = {}
    for table in planned.tables:
        of_feature.setdefault(table.name.split(":")[-1], set()).update(part.rank for part in table.parts)
    assert {len(on) for on in of_feature.values()} == {1} and set.union(*of_feature.values()) == {0, 1}


def test_a_plan_that_does_not_fit_says_how_much_is_wanted_and_left() -> None:
    with pytest.raises(NoPlanError) as caught:
        planner({"kind": "two_tower", "embedding_dim": 128, "user_id": True}).plan(Layout(2, 2, "cuda", 80 * GB))
    error = caught.value
    assert error.largest == ("user_id", 300_000_001 * 129 * 4)
    assert error.wanted > error.largest[1] > 2 * error.left > 0
    assert error.left + error.reserved == 80 * GB


def test_what_a_step_holds_beside_embeddings_is_left_free() -> None:
    """Logits of a softmax over the batches of all ranks: 3 numbers for each row and candidate."""
    one, other = (planner({"kind": "two_tower", "objective": goal}).plan(EIGHT_BY_EIGHT) for goal in ("softmax", "pointwise"))
    assert one.reserved_bytes - other.reserved_bytes == 3 * 1024 * 1024 * 64 * 4


def count_the_ranks_of_a_host(rank: int, world: int, folder: Path) -> None:
    import os

    from workers.training.sharding import _of_host

    for sizes, expected in (((2, 2), 2), ((1, 1), 1), ((2, 1), 1)):
        os.environ["LOCAL_WORLD_SIZE"] = str(sizes[rank])
        assert _of_host() == expected


@pytest.mark.slow
def test_hosts_with_different_numbers_of_ranks_are_taken_as_hosts_of_one(tmp_path: Path) -> None:
    ranks.side_by_side(2, tmp_path, count_the_ranks_of_a_host)


def train_for_a_step(rank: int, world: int, folder: Path, model: dict[str, Any], train: dict[str, Any]) -> None:
    """Spread the tables over real ranks, and write the bytes of tables and states that this one holds."""
    import torch
    from torch.distributed._shard.sharded_tensor import ShardedTensor

    from workers.training.sharding import distribute, fused_state

    run = RunSpec.model_validate({"dataset": "any", "model": model, "train": train}).resolved(SMALL)
    distributed = distribute(run.network.build(SMALL), run.train, torch.device("cpu"))
    state = {name: value for name, value in distributed.module.state_dict().items() if "ebc" in name} | fused_state(distributed.optimizers)
    own = sum(
        shard.tensor.nbytes for value in state.values() for shard in (value.local_shards() if isinstance(value, ShardedTensor) else ())
    )
    (folder / f"bytes{rank}.json").write_text(json.dumps(own))


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["row_wise", "table_wise", "column_wise"])
def test_the_planners_memory_is_that_of_two_real_ranks(sharding: str, tmp_path: Path) -> None:
    model, train = {"kind": "dlrm", "embedding_dim": 32}, {"sharding": sharding, "batch_size": 64, "shared_tables": False, "device": "cpu"}
    ranks.side_by_side(2, tmp_path, partial(train_for_a_step, model=model, train=train))
    measured = [json.loads((tmp_path / f"bytes{rank}.json").read_text()) for rank in range(2)]
    planned = planner(model, SMALL, **train).plan(Layout(2, 2, "cpu", 8 * GB))
    parts = [part for table in planned.tables for part in table.parts]
    estimated = [sum(part.estimate_bytes for part in parts if part.rank == rank) for rank in range(2)]
    assert held(planned, 2) == measured  # tables and states, to the byte
    assert min(measured) > 1_000_000
    assert estimated == pytest.approx(measured, rel=0.15)
