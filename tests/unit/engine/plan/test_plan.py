"""Plans by arithmetic of their own: bytes of tables, checkpoints and indexes, hours and money, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine.plan import Fleet, Plan, make_plan, plan_spec
from engine.plan.counting import count_of
from engine.plan.fewest import fewest, sizes
from engine.preflight import BASE_BYTES
from engine.specs import MODELS, NetworkSpec, RunSpec
from tests.unit.engine.preflight.test_training import ID, manifest
from workers.artifacts import index
from workers.training import NoPlanError, TablePlan

GB = 10**9
Make = Callable[..., Plan]
NETWORKS = [kind for kind, model in MODELS.items() if issubclass(model, NetworkSpec)]
LARGE = {"users": 300_000_000, "items": 10_000_000, "interactions": 10**10}
EIGHT_BY_EIGHT = {"hosts": 8, "devices": 8, "memory_gb": 80}


@pytest.fixture
def make(workspace: Path) -> Make:
    """Plans a run on a dataset of 1,000 users, 500 items and 102,000 rows, half of train liked."""
    folder = workspace / "datasets" / ID
    folder.mkdir(parents=True)
    files = {"train/part-0/shard.mds": 1_000_000, "test/part-0/shard.mds": 20_000, "users.parquet": 1_001, "items.parquet": 501}
    known = manifest() | {"files": {name: {"bytes": bytes_} for name, bytes_ in files.items()}, "spec": {"history": 50}}
    known["schema"]["sequence"] = 100
    (folder / "manifest.json").write_text(json.dumps(known))

    def make(model: dict[str, Any], counts: dict[str, Any] | None = None, fleet: dict[str, Any] | None = None, **more: Any) -> Plan:
        train = more.pop("train", {})
        run = RunSpec.model_validate({"dataset": ID, "model": model, "train": train})
        return make_plan(plan_spec(run, {"counts": counts or {}, "fleet": fleet or {}, **more}))

    return make


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("300M", 300 * 10**6),
        ("2.5B", 25 * 10**8),
        ("10k", 10_000),
        (" 2,500,000 ", 2_500_000),
        ("1_000", 1_000),
        ("10x", 420),
        ("×0.5", 21),
    ],
)
def test_counts_as_people_write_them(text: str, count: int) -> None:
    assert count_of(text, 42, "users") == count


@pytest.mark.parametrize("text", ["many", "", "0", "-5", "1e9", "0x", "nan", "3 users"])
def test_what_is_no_count_is_refused_with_its_name_and_value(text: str) -> None:
    with pytest.raises(ValueError, match="users is '"):
        count_of(text, 42, "users")


def test_the_users_of_the_issue_on_eight_hosts_of_eight_gpus(make: Make) -> None:
    plan = make({"kind": "two_tower", "embedding_dim": 128, "user_id": True}, LARGE, EIGHT_BY_EIGHT)
    rows = {"user_id": 300_000_001, "history": 10_000_001, "item_id": 10_000_001}
    tables = sum(count * 128 * 4 for count in rows.values()) + 10_000_001 * 4 * 4  # the bias is 4 wide
    states = 4 * (sum(rows.values()) + 10_000_001)
    assert plan.tables[0].name == "user_id" and len(plan.ranks) == 64
    assert sum(one.table_bytes for one in plan.ranks) == tables == 4 * plan.parameters
    assert sum(one.state_bytes for one in plan.ranks) == states
    assert plan.storage.checkpoint_bytes == tables + states
    assert plan.fullest is not None and plan.fullest.bytes <= plan.memory_bytes - plan.reserved_bytes
    assert not [one for one in plan.warnings if "no table of users" in one]
    assert plan.fewest.devices == 3  # of 85 % of 80 GB each, beside logits: 2 have 136 GB for 165 GB
    assert 2 * 0.85 * 80 * GB < tables + states < 3 * 0.8 * 80 * GB
    assert "165 GB" in plan.fewest.why
    assert "Fits on 64 GPUs" in engine.plan.verdict(plan) and "3 GPUs on 1 host" in engine.plan.verdict(plan)


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_network_is_planned(make: Make, kind: str) -> None:
    plan = make({"kind": kind}, LARGE, EIGHT_BY_EIGHT)
    assert plan.why_not is None and sum(one.table_bytes for one in plan.ranks) == sum(4 * t.rows * t.width for t in plan.tables)
    assert {table.rows for table in plan.tables} <= {300_000_001, 10_000_001}


def test_counts_scale_the_files_of_the_dataset_each_by_what_it_has_rows_for(make: Make) -> None:
    now = make({"kind": "two_tower"})
    then = make({"kind": "two_tower"}, {"users": 10_009, "items": 5_009, "interactions": 1_020_000})
    assert now.storage.dataset_bytes == 1_020_000 + 1_001 + 501
    assert now.storage.row_bytes == 10
    assert then.storage.dataset_bytes == 10 * 1_020_000 + 10_010 + 5_010
    assert then.interactions == 1_020_000


def test_a_history_grows_with_the_rows_of_a_user_up_to_what_the_dataset_keeps(make: Make) -> None:
    import pandas as pd

    from engine.plan.shape import lengths_of, shape_of
    from engine.plan.spec import Counts

    make({"kind": "two_tower"})
    dataset = engine.datasets.get_dataset(ID)
    bags = {"feature.history": [[1, 2], [1, 2, 3, 4]], "interactions": [30, 10]}
    pd.DataFrame(bags).to_parquet(dataset.path / "users.parquet")
    assert lengths_of(dataset, dataset.schema, dataset.rows)["history"] == (30 * 2 + 10 * 4) / 40
    assert lengths_of(dataset, dataset.schema, 2 * dataset.rows)["history"] == 5
    assert lengths_of(dataset, dataset.schema, 100 * dataset.rows)["history"] == 50
    twice = shape_of(dataset, Counts(users=2000))
    assert lengths_of(dataset, twice, 2 * dataset.rows)["history"] == 2.5


def test_users_that_a_model_has_no_table_of_are_said_to_take_disk_alone(make: Make) -> None:
    plan = make({"kind": "two_tower"}, {"users": 300_000_000})
    assert plan.warnings[0] == "300,000,000 users have 102,000 interactions, fewer than one each: change the interactions too."
    assert plan.warnings[1] == "This Two-tower has no table of users: 300,000,000 of them take disk and no memory of a device."
    assert not [one for one in make({"kind": "dlrm"}, {"users": 300_000_000}).warnings if "no table" in one]


def test_hours_and_money_by_a_speed_of_ones_own(make: Make) -> None:
    fleet = {"hosts": 2, "devices": 4, "memory_gb": 80, "price": 30}
    plan = make({"kind": "dlrm"}, {"interactions": 102_000 * 1000}, fleet, rows_per_s=1000, epochs=2)
    assert plan.cost is not None
    assert plan.cost.rows == 100_000 * 1000  # of train
    hours = 2 * 100_000_000 / (1000 * 8) / 3600
    assert plan.cost.hours == pytest.approx(hours) and plan.cost.money == pytest.approx(hours * 2 * 30)
    assert plan.cost.run_id is None and "as given by hand" in plan.assumptions[0]


def test_a_model_of_likes_alone_reads_the_liked_rows(make: Make) -> None:
    plan = make({"kind": "two_tower"}, fleet={"devices": 1}, rows_per_s=1000, epochs=1)
    assert plan.cost is not None and plan.cost.rows == 50_000 and plan.cost.money is None


def test_without_a_run_there_are_no_hours_and_no_quality_and_it_says_so(make: Make) -> None:
    plan = make({"kind": "dlrm"})
    assert plan.cost is None and plan.quality is None
    assert "no finished run of DLRM" in plan.assumptions[0]
    assert not {"Time and money", "Quality"} & engine.plan.facts(plan).keys()


def test_a_plan_that_does_not_fit_says_why_and_how_many_do(make: Make) -> None:
    plan = make({"kind": "dlrm", "embedding_dim": 128}, LARGE, {"hosts": 1, "devices": 2, "memory_gb": 80})
    assert not plan.tables and not plan.ranks and plan.fullest is None
    assert plan.why_not is not None and "take 1" in plan.why_not and "2 × 68 GB" in plan.why_not
    assert plan.fewest.devices == 4 and plan.fewest.hosts == 2  # hosts have two each, and three devices are two hosts


def test_a_device_without_memory_for_any_table_is_not_helped_by_more_of_them(make: Make) -> None:
    plan = make({"kind": "dlrm"}, fleet={"memory_gb": 0.0001})
    assert plan.why_not is not None and "nothing left" in plan.why_not and "batch_size" in plan.why_not
    assert plan.fewest.devices is None and plan.fewest.why == "Not even 1,024 of them are enough."


def test_a_table_that_is_not_cut_must_fit_on_one_process(make: Make) -> None:
    """On CPUs tables are whole on one process, unless a person asks for another sharding."""
    model, counts, fleet = {"kind": "dlrm", "embedding_dim": 16}, {"users": 50_000_000}, {"hosts": 2, "devices": 2, "device": "cpu"}
    plan = make(model, counts, fleet | {"memory_gb": 4})
    assert plan.why_not is not None and "user_id alone takes 3.4 GB" in plan.why_not and "row_wise" in plan.why_not
    assert pytest.approx(50_000_001 * 4 * 17, rel=0.01) == 3.4 * GB
    cut = make(model, counts, fleet | {"memory_gb": 4}, train={"sharding": "row_wise"})
    assert cut.why_not is None and cut.reserved_bytes > BASE_BYTES
    whole = make(model, counts, fleet | {"memory_gb": 7})
    assert whole.why_not is None


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 16, 40, 1024])
def test_the_fewest_devices_are_found_and_no_more_are_tried_than_needed(count: int) -> None:
    tried: list[int] = []

    def plan(devices: int) -> TablePlan:
        tried.append(devices)
        if devices < count:
            raise NoPlanError(wanted=count * 3 // 4 * GB, largest=("a", GB), left=GB, reserved=0)
        return TablePlan(tables=(), memory_bytes=GB, reserved_bytes=0)

    found = fewest(plan, Fleet(devices=8, memory_gb=1), "GPU")
    assert found.devices == next(size for size in sizes(8) if size >= count) and found.hosts == -(-found.devices // 8)
    assert len(tried) == len(set(tried)) <= 12


def test_no_number_of_devices_is_enough() -> None:
    def plan(devices: int) -> TablePlan:
        raise NoPlanError(wanted=GB, largest=("a", 2 * GB), left=GB, reserved=0)

    found = fewest(plan, Fleet(devices=8, memory_gb=1), "GPU")
    assert found.devices is None and "a alone takes 2 GB and is not cut" in found.why


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fleet": {"devices": 0}}, "devices is 0"),
        ({"fleet": {"hosts": -1}}, "hosts is -1"),
        ({"fleet": {"memory_gb": -80}}, "memory_gb is -80"),
        ({"fleet": {"price": -1}}, "price is -1"),
        ({"fleet": {"hosts": 512, "devices": 8}}, "4,096 ranks"),
        ({"counts": {"users": -5}}, "users is -5"),
        ({"counts": {"items": 2**31}}, "items is 2147483648"),
        ({"counts": {"features": {"genres": 0}}}, "genres is 0"),
        ({"counts": {"features": {"colours": 10}}}, "no vocabulary 'colours'"),
        ({"model": {"kind": "ease"}}, "EASE is fitted in one process"),
        ({"fleet": {"device": "cpu"}, "train": {"table_optimizer": "adam", "device": "cuda"}}, "no CPU kernel"),
        ({"measured": "0" * 32}, "0" * 32),
    ],
)
def test_bad_input_is_a_sentence(make: Make, given: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, LookupError), match=said):
        make(given.pop("model", {"kind": "dlrm"}), given.pop("counts", None), given.pop("fleet", None), **given)


@pytest.mark.parametrize("items", [1_000, 3_000])
def test_an_index_is_about_as_large_as_it_is_planned(items: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "EXACT_UP_TO", 2_000)
    index.save(index.build(np.random.default_rng(0).normal(size=(items, 16)).astype(np.float32)), tmp_path)
    assert index.bytes_of(items, 16) == pytest.approx((tmp_path / index.FILE).stat().st_size, rel=0.05)
