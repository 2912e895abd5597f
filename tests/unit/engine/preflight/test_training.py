"""What a training run takes is judged from spec and manifest alone, and refused at submit before anything is started."""

import json
from pathlib import Path
from typing import Any

import pytest

import engine
from engine import preflight
from engine.compute import Compute, using
from engine.preflight import Machine
from engine.preflight.rates import Rate, key, learn, measured
from tests.commands import asked
from workers.specs import Categorical, FeatureSchema

GB = 1_000_000_000
LAPTOP = Machine(memory_bytes=16 * GB, available_bytes=12 * GB, free_disk_bytes=100 * GB, cores=4)
ID = "films-0123456789ab"


def manifest(
    users: int = 1000, items: int = 500, rows: int = 100_000, liked: int | None = None, label: str = "threshold"
) -> dict[str, Any]:
    schema = FeatureSchema(
        categorical=(
            Categorical(name="user_id", side="user", num_rows=users + 1, vocabulary="user_id"),
            Categorical(name="history", side="user", num_rows=items + 1, multi_valued=True, vocabulary="item_id"),
            Categorical(name="item_id", side="item", num_rows=items + 1, vocabulary="item_id"),
        )
    )
    positives = rows // 2 if liked is None else liked
    counts = {
        "interactions": {"train": rows, "valid": 1000, "test": 1000}, "positives": {"train": positives, "valid": 500, "test": 500},
        "users_to_rank": {"valid": 500, "test": 500},
    }  # fmt: skip
    return {
        "format": 1, "id": ID, "name": "films", "fingerprint": "f", "created_at": "2026-01-01", "counts": counts, "block_rows": 256,
        "schema": schema.model_dump(), "label": {"kind": "threshold", "output": "binary"}, "split": {"kind": "random"},
    }  # fmt: skip


@pytest.fixture
def judge(workspace: Path):
    """Judges a run on a dataset of given counts, on a laptop; the dataset is in the workspace too."""

    def judge(
        model: dict[str, Any], counts: dict[str, Any] | None = None, on: Machine = LAPTOP, rates: tuple[Rate, ...] = (),
        search: dict[str, Any] | None = None, **train: Any,
    ):  # fmt: skip
        folder = workspace / "datasets" / ID
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(json.dumps(manifest(**(counts or {}))))
        spec = engine.specs.RunSpec.model_validate({"dataset": ID, "model": model, "train": train, "search": search})
        (workspace / "spec.json").write_text(spec.model_dump_json())
        return preflight.training(spec, engine.datasets.get_dataset(ID), on, rates), spec

    return judge


def item(judged: preflight.Preflight, name: str) -> preflight.Item:
    return next(item for item in judged.items if item.name == name)


def test_a_usual_run_is_fine_and_its_tables_and_steps_are_counted(judge) -> None:
    judged, _ = judge({"kind": "dlrm", "embedding_dim": 16}, batch_size=1000, epochs=3, processes=2)
    assert judged.level == "fine" and judged.why_blocked is None
    assert judged.tables[0] == preflight.Table(name="user_id", rows=1001, width=16, bytes=1001 * 16 * 4)
    assert item(judged, "Steps").value == "150 at most: 50 an epoch, 3 epochs"


def test_a_search_counts_its_trials_and_is_judged_by_the_largest_settings_that_it_tries(judge) -> None:
    plain, _ = judge({"kind": "dlrm", "embedding_dim": 16}, batch_size=1000, epochs=3)
    judged, _ = judge({"kind": "dlrm", "embedding_dim": 16}, batch_size=1000, epochs=3, search={"trials": 5, "minutes": 90})
    assert item(judged, "Search").value == "5 trials of 7 settings, none begun after 90 min"
    assert item(judged, "Steps").value == "1,500 at most: 100 an epoch, 3 epochs, 5 trials"
    assert (plain.tables[0].width, judged.tables[0].width) == (16, 64)
    assert not [one for one in plain.items if one.name == "Search"]


@pytest.mark.fault("F42")
def test_a_table_of_a_trillion_rows_is_refused_with_its_numbers_before_anything_starts(judge, workspace: Path) -> None:
    judged, spec = judge({"kind": "dlrm"}, {"users": 10**12})
    assert item(judged, "Memory").level == "blocked" and item(judged, "Disk").level == "blocked"
    assert "user_id 1,000,000,000,001 × 16 (64 TB)" in item(judged, "Model").value
    assert (
        "of 16 GB, most of it for user_id 1,000,000,000,001 × 16 (64 TB)" in item(judged, "Memory").value
        and "min_count" in item(judged, "Memory").advice
    )
    with pytest.raises(ValueError, match=r"Memory: about \d+ TB"):
        engine.runs.submit(spec)
    answer = asked("preflight", str(workspace / "spec.json"), fails=True)
    assert answer["preflights"][0]["level"] == "blocked"
    assert not list((workspace / "runs").glob("*"))


@pytest.mark.fault("F42")
def test_a_ranks_share_counts_where_ranks_are_on_machines_of_their_own(judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 GB of tables: too much for this machine, and for a cluster that is not seen from here to say."""
    wide = {"kind": "dlrm", "embedding_dim": 64}
    one, _ = judge(wide, {"users": 150_000_000})
    assert item(one, "Memory").level == "blocked"
    monkeypatch.setenv("RECBENCH_SPARK_MASTER", "spark://far.away:7077")
    many, _ = judge(wide, {"users": 150_000_000}, processes=8, local_mode=False, sharding="row_wise")
    assert item(many, "Memory").level == "fine" and "cannot be seen from here" in item(many, "Memory").value


def test_trees_say_how_many_rows_they_take_at_most(judge) -> None:
    judged, _ = judge({"kind": "lightgbm", "most_rows": 21_000, "negatives": "uniform"})
    rows = item(judged, "Rows")
    assert (rows.level, rows.value) == ("warning", "1,000 of 100,000 rows of train") and "most_rows" in (rows.advice or "")
    judged, _ = judge({"kind": "lightgbm"}, search={"trials": 5})
    assert item(judged, "Rows").level == "fine" and item(judged, "Search").value == "5 trials of 6 settings"
    assert not [one for one in judged.items if one.name in ("Steps", "Processes", "Device")]


@pytest.mark.fault("F42")
def test_ease_of_a_million_items_is_refused_with_its_numbers(judge) -> None:
    judged, spec = judge({"kind": "ease"}, {"items": 10**6})
    assert "1,000,000 × 1,000,000 (4 TB)" in item(judged, "Model").value
    assert item(judged, "Memory").level == "blocked" and "16 TB" in item(judged, "Memory").value
    with pytest.raises(ValueError, match=r"1,000,000 items takes 16,000 GB"):
        engine.runs.submit(spec)


def test_likes_that_do_not_fit_into_the_one_process_of_a_fitted_model_are_refused(judge) -> None:
    many = {"rows": 4 * 10**8, "liked": 3 * 10**8, "users": 10**6}
    judged, _ = judge({"kind": "popularity"}, many)
    memory = item(judged, "Memory")
    assert memory.level == "blocked" and "21" in memory.value and "who liked what" in memory.value
    assert "two-tower" in memory.advice
    assert item(judge({"kind": "two_tower"}, many)[0], "Memory").level != "blocked"
    assert item(judge({"kind": "popularity"}, {"rows": 10**7, "liked": 5 * 10**6})[0], "Memory").level == "fine"


@pytest.mark.fault("F45")
@pytest.mark.parametrize(
    ("counts", "model", "train", "said"),
    [
        ({"rows": 1, "liked": 1}, {"kind": "two_tower"}, {}, "nothing to learn"),
        ({"rows": 0, "liked": 0}, {"kind": "dlrm"}, {}, "nothing to learn"),
        ({"rows": 5000, "liked": 0}, {"kind": "two_tower"}, {}, "nothing to learn"),
        ({"rows": 5000, "liked": 0}, {"kind": "ials"}, {}, "nothing to learn"),
        ({"rows": 5000, "liked": 5000}, {"kind": "dlrm"}, {}, "nothing to tell apart"),
        ({"rows": 5000, "liked": 5000}, {"kind": "lightgbm"}, {}, "nothing to tell apart"),
        ({"rows": 5, "liked": 2}, {"kind": "dlrm"}, {"processes": 3}, "each needs two rows"),
    ],
)
def test_too_little_to_learn_from_is_refused_before_spark_starts(judge, workspace: Path, counts, model, train, said: str) -> None:
    judged, spec = judge(model, counts, **train)
    assert said in item(judged, "Rows").advice
    with pytest.raises(ValueError, match=said):
        engine.runs.submit(spec)
    assert not list((workspace / "runs").glob("*"))


@pytest.mark.fault("F45")
def test_a_batch_larger_than_the_rows_is_a_warning_with_a_batch_that_is_not(judge) -> None:
    """It trains, in single steps: no rows are dropped, so no epoch is without a batch."""
    judged, _ = judge({"kind": "two_tower"}, {"rows": 500, "liked": 200}, batch_size=128, processes=2)
    assert item(judged, "Rows").level == "warning" and "choose batch_size 100 or less" in item(judged, "Rows").advice


@pytest.mark.fault("F18")
@pytest.mark.parametrize(
    ("master", "processes", "level"),
    [("local[2]", 2, "fine"), ("local[2]", 3, "blocked"), ("local", 2, "blocked"), ("local-cluster[2,2,1024]", 4, "fine"),
     ("local-cluster[2,2,1024]", 5, "blocked"), ("local[*]", 4, "fine"), ("local[*]", 5, "blocked"), ("yarn", 500, "fine")],
)  # fmt: skip
def test_more_barrier_tasks_than_slots_are_refused(judge, monkeypatch: pytest.MonkeyPatch, master: str, processes: int, level: str) -> None:
    monkeypatch.setenv("RECBENCH_SPARK_MASTER", master)
    judged, _ = judge({"kind": "dlrm"}, processes=processes, local_mode=False, batch_size=100)
    assert item(judged, "Processes").level == level


def test_ranks_beside_the_driver_of_a_cluster_are_a_warning(judge) -> None:
    with using(Compute(master="spark://host:7077")):
        beside, _ = judge({"kind": "dlrm"}, processes=1)
        there, _ = judge({"kind": "dlrm"}, processes=1, local_mode=False)
    assert item(beside, "Processes").level == "warning" and "turn local_mode off" in item(beside, "Processes").advice
    assert item(there, "Processes").level == "fine"


def test_more_processes_than_cores_beside_the_driver_are_a_warning(judge) -> None:
    judged, _ = judge({"kind": "dlrm"}, processes=5, batch_size=100)
    assert item(judged, "Processes").level == "warning" and judged.level == "warning"


@pytest.mark.fault("F23")
@pytest.mark.parametrize(("free", "level"), [(100 * GB, "fine"), (1 * GB, "warning"), (GB // 10, "blocked")])
def test_a_disk_that_cannot_hold_what_is_written_is_refused(judge, free: int, level: str) -> None:
    """Five checkpoints of 2 million users: 0.88 GB."""
    judged, _ = judge({"kind": "dlrm"}, {"users": 2_000_000}, LAPTOP._replace(free_disk_bytes=free))
    assert item(judged, "Disk").level == level
    if level == "blocked":
        assert item(judged, "Disk").advice.startswith("Free ")


@pytest.mark.fault("F41")
def test_memory_that_other_programs_hold_is_a_warning(judge) -> None:
    judged, _ = judge({"kind": "dlrm"}, on=LAPTOP._replace(available_bytes=1 * GB))
    assert item(judged, "Memory").level == "warning" and "Only 1 GB" in item(judged, "Memory").advice


def test_a_wide_softmax_over_a_huge_batch_counts_its_logits(judge) -> None:
    judged, _ = judge({"kind": "two_tower"}, {"rows": 4_000_000}, batch_size=1 << 20)
    assert item(judged, "Memory").level == "blocked"


@pytest.mark.fault("F43")
def test_cuda_without_a_gpu_is_refused_and_on_a_cluster_a_warning(judge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    judged, spec = judge({"kind": "dlrm"}, device="cuda")
    assert item(judged, "Device").level == "blocked" and "no GPU is found" in item(judged, "Device").advice
    with pytest.raises(ValueError, match="no GPU is found on this machine; choose cpu"):
        engine.runs.submit(spec)
    monkeypatch.setenv("RECBENCH_SPARK_MASTER", "yarn")
    judged, _ = judge({"kind": "dlrm"}, device="cuda", local_mode=False)
    assert item(judged, "Device").level == "warning" and judged.why_blocked is None


def test_time_is_told_with_its_spread_once_runs_have_measured_it(judge) -> None:
    judged, _ = judge({"kind": "dlrm"}, epochs=10)
    assert item(judged, "Time").value == "not measured yet on this machine"
    judged, _ = judge({"kind": "dlrm"}, rates=(Rate(1000.0, 20.0), Rate(2000.0, 40.0)), epochs=10)
    assert item(judged, "Time").value == "9 to 17 min at most, by 2 runs of this kind here"
    rates = (Rate(1000.0, 20.0, 50_000, 60.0), Rate(2000.0, 40.0))
    judged, _ = judge({"kind": "dlrm"}, rates=rates, search={"trials": 10}, epochs=10)
    assert item(judged, "Time").value == "10 min to 2.8 h at most, by 2 runs of this kind here"  # ten trials that end as early as that run


def test_a_finished_run_adds_its_rate_and_a_run_of_another_kind_does_not_take_it(judge, workspace: Path) -> None:
    _, spec = judge({"kind": "dlrm"}, batch_size=1024)
    folder = workspace / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec.model_dump_json())
    (folder / "done.json").write_text(json.dumps({"rows_per_s": 5000.0, "training_s": 30.0}))
    (folder / "journal.jsonl").write_text('{"time": 100.0, "event": "a"}\n{"time": 150.0, "event": "b"}\n')
    for _ in range(30):
        learn(folder, 700)
    assert measured(spec) == [Rate(5000.0, 20.0, 700, 50.0)] * 20
    _, other = judge({"kind": "dlrm"}, batch_size=1500)
    assert key(other) == key(spec)
    assert measured(judge({"kind": "dlrm"}, batch_size=2048)[1]) == measured(judge({"kind": "deepfm"})[1]) == []
    (workspace / "rates.json").write_text("no JSON")
    assert measured(spec) == []
    (folder / "done.json").unlink()
    learn(folder, 700)  # nothing to learn from, and no error


@pytest.mark.fault("F45")
def test_a_share_of_the_users_is_judged_by_about_their_rows(judge) -> None:
    judged, _ = judge({"kind": "two_tower"}, {"rows": 100_000}, user_share=0.25, batch_size=1000, epochs=2)
    assert item(judged, "Rows").value == "about 12,500 of 25,000 rows of train, 25 % of the users"
    assert item(judged, "Steps").short == "26"
    assert judged.title.endswith(" · 25 % of users")


def test_a_file_with_a_single_row_is_refused_before_a_jvm_starts(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("user,item,rating\n1,2,5\n")
    columns = [{"name": name, "role": role} for name, role in (("user", "user"), ("item", "item"), ("rating", "label"))]
    spec = engine.datasets.DatasetSpec.model_validate(
        {
            "name": "one", "label": {"kind": "threshold", "threshold": 4}, "split": {"kind": "random"},
            "source": {"kind": "table", "path": str(tmp_path / "one.csv"), "columns": columns},
        }
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"Rows: 1 row\. There is nothing to learn"):
        engine.runs.submit(spec)
    assert not list((workspace / "runs").glob("*"))


@pytest.mark.fault("F23")
def test_a_preparation_that_would_fill_the_disk_is_refused(workspace: Path) -> None:
    spec = engine.datasets.DatasetSpec.model_validate({"name": "big", "source": {"kind": "synthetic", "rows": 10_000_000}})
    assert preflight.preparation(spec, LAPTOP).level == "fine"
    judged = preflight.preparation(spec, LAPTOP._replace(free_disk_bytes=GB))
    assert judged.level == "blocked" and "RECBENCH_WORKSPACE" in (judged.why_blocked or "")


@pytest.mark.fault("F41")
def test_a_batch_that_does_not_fit_is_named_with_one_that_takes_half(judge) -> None:
    judged, _ = judge({"kind": "two_tower", "objective": "softmax"}, batch_size=1 << 17)
    memory = item(judged, "Memory")
    assert memory.level == "blocked"
    assert "most of it for a batch of 131,072 rows" in memory.value
    assert memory.advice == "Choose a batch_size of 65,536 or less."


@pytest.mark.parametrize(("target", "pooling", "order", "warned"), [
    ("next", "mean", "others", True), ("last", "mean", "others", True), ("later", "recency", "others", True),
    ("later", "mean", "others", False), ("next", "attention", "before", False),
])  # fmt: skip
def test_histories_that_hold_what_came_later_are_named_where_a_run_asks_for_an_order(
    judge, workspace: Path, target: str, pooling: str, order: str, warned: bool
) -> None:
    model = {"kind": "two_tower", "history_pooling": pooling}
    _, spec = judge(model)
    path = workspace / "datasets" / ID / "manifest.json"
    value = json.loads(path.read_text())
    source = {"kind": "sample", "users": 1000, "items": 500, "interactions": 100_000}
    value |= {"schema": value["schema"] | {"sequence": 100}, "spec": {"name": "films", "source": source, "history_order": order}}
    path.write_text(json.dumps(value))
    dataset = engine.datasets.get_dataset(ID)
    asking = spec.model_copy(update={"protocol": spec.protocol.model_copy(update={"target": target})})
    found = [one for one in preflight.training(asking, dataset, LAPTOP, ()).items if one.name == "History"]
    assert [one.level for one in found] == ["warning"] * warned
    assert all("history_order before" in one.advice for one in found)
    again = preflight.with_earlier_histories(dataset)
    assert (again.history_order if again else None) == ("before" if order == "others" else None)
