"""Optimisers, schedules, sharding, negatives and going on with a finished run, on real ranks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import prepared, ranks, tiny
from workers.artifacts import checkpoint
from workers.networks.two_tower import across_ranks

TWO_TOWER = {"kind": "two_tower", "embedding_dim": 16}
EPOCHS = {"epochs": 6, "batch_size": 128, "table_learning_rate": 0.2, "dense_learning_rate": 0.01, "patience": None}
SETTINGS = {
    "adagrad": {"table_optimizer": "adagrad"},
    "sgd": {"table_optimizer": "sgd", "table_learning_rate": 5.0},
    "adam on replicated tables": {"table_optimizer": "adam", "sharding": "data_parallel", "table_learning_rate": 0.02},
    "adamw, warm-up, cosine, clipping": {
        "dense_optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine", "warmup_steps": 5, "gradient_clip": 1.0
    },
    "linear": {"schedule": "linear"},
    "one table apart": {"table_sharding": ["item_id=data_parallel"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "dataset"
    tiny.write(tiny.groups(users=120, items=60), folder)
    return folder


def losses(run: Path) -> list[float]:
    records = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    return [record["values"]["train_loss"] for record in records if "train_loss" in record.get("values", {})]


def test_every_optimiser_schedule_and_sharding_learns(dataset, tmp_path):
    model = {"kind": "dlrm", "dropout": 0.0}
    wanted = [(tmp_path / str(k), dataset, {"model": model, "train": EPOCHS | more}) for k, more in enumerate(SETTINGS.values())]
    for (name, _), (run, *_), done in zip(SETTINGS.items(), wanted, ranks.train_all(wanted), strict=True):
        assert "metrics" in done, (name, done)
        assert done["metrics"]["auc"] > 0.8, name
        assert losses(run)[-1] < losses(run)[0], name
    plan = json.loads((tmp_path / "5" / "results" / "plan.json").read_text())
    assert plan["item_id"]["sharding"] == "data_parallel" != plan["user_id"]["sharding"]


def _train_and_note(run: str, dataset: str, number: int = 1) -> None:
    """Train, with a line for each progress in `said`."""
    from workers.run import Journal
    from workers.training.entry import train_rank

    write = Journal.progress

    def noted(self: Journal, phase: str, done: int, total: int, **more: float | bool | None) -> None:
        with (Path(run) / "said").open("a") as file:
            file.write(f"{phase}, {done}\n")
        write(self, phase, done, total, **more)

    Journal.progress = noted  # type: ignore[method-assign,assignment]
    train_rank(run, dataset, number)


def test_progress_speaks_before_the_first_step_and_from_it_on(dataset, tmp_path):
    spec = {"model": {"kind": "dlrm"}, "train": EPOCHS | {"epochs": 1, "batch_size": 16}}
    ranks.prepare(tmp_path / "run", spec)
    ranks.finish(ranks.attempt(tmp_path / "run", dataset, doing=_train_and_note), 120)
    said = (tmp_path / "run" / "said").read_text().splitlines()
    assert said[:3] == ["loading libraries, 0", "building the model, 0", "reading the first rows, 0"]
    assert said[3:6] == ["training, 1", "training, 2", "training, 3"]
    phases = list(dict.fromkeys(line.split(",")[0] for line in said))
    assert phases[3:6] == ["training", "validating", "evaluating"]


def test_a_schedule_reaches_fused_tables(dataset, tmp_path):
    """A warm-up far longer than the run leaves tables nearly as they were."""
    slow = EPOCHS | {"epochs": 1, "warmup_steps": 100_000, "seed": 5}
    spec = {"model": {"kind": "deepfm"}, "train": slow}
    long, longer = ranks.train_all(
        [(tmp_path / "a", dataset, spec), (tmp_path / "b", dataset, spec | {"train": slow | {"warmup_steps": 200_000}})]
    )
    assert "metrics" in long and "metrics" in longer
    weights = [_table(tmp_path / name, "item_id") for name in "ab"]
    assert 0 < (weights[0] - weights[1]).abs().max() < 1e-3
    moved = ranks.train(tmp_path / "c", dataset, spec | {"train": slow | {"warmup_steps": 0}})
    assert "metrics" in moved
    assert (_table(tmp_path / "c", "item_id") - weights[0]).abs().max() > 0.1


def _table(run: Path, name: str) -> torch.Tensor:
    from safetensors.torch import load_file

    weights = load_file(checkpoint.best(run / "checkpoint") / "rank0.safetensors")
    return next(weight for key, weight in weights.items() if f"embedding_bags.{name}.weight@" in key and "optimizer" not in key)


def test_negatives_from_the_catalogue_teach_a_ranker_to_choose(tmp_path):
    """Where people rate only what they chose, and chance says how, ratings teach nothing of choice; the catalogue does."""
    frame = tiny.groups(users=120, items=60)
    frame = frame[frame["user_id"].str[1:].astype(int) % 4 == frame["item_id"].str[1:].astype(int) % 4]  # the own group alone
    chance = np.random.default_rng(0).random(len(frame)) < 0.5
    tiny.write(frame.assign(label=np.where(frame["split"] == "test", 1.0, chance)), tmp_path / "dataset", history=0)
    wanted = []
    for negatives in ("none", "uniform", "popularity"):
        spec = {"model": {"kind": "dlrm", "dropout": 0.0, "negatives": negatives}, "train": EPOCHS | {"epochs": 10}}
        wanted.append((tmp_path / negatives, tmp_path / "dataset", spec))
    none, uniform, popularity = (done["metrics"] for done in ranks.train_all(wanted))
    assert min(uniform["recall_at_10"], popularity["recall_at_10"]) > 0.9 > 0.6 > none["recall_at_10"]
    assert "log_loss" not in uniform


def test_mixed_and_explicit_negatives_learn_on_two_ranks(dataset, tmp_path):
    more = {"uniform_negatives": 64, "explicit_negatives": 0.5}
    done = ranks.train(tmp_path / "run", dataset, {"model": TWO_TOWER | more, "train": EPOCHS | {"epochs": 12}}, processes=2)
    assert done["metrics"]["recall_at_10"] > 0.9, done
    assert done["metrics"]["auc"] > 0.9
    assert all("still rising" in sentence for sentence in done["alarms"])  # twelve epochs may be too few


def test_a_run_says_that_more_epochs_would_help_and_that_histories_are_cut(tmp_path):
    """Two epochs at a low rate are too few; the two items of a history that is kept are fewer than most users liked."""
    folder = tmp_path / "dataset"
    frame = tiny.groups(users=120, items=60)
    tiny.write(frame, folder, history=2)
    prepared.write_people(folder, frame)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"spec": {"history": 2}}))
    spec = {"model": TWO_TOWER, "train": EPOCHS | {"epochs": 2, "table_learning_rate": 0.02}}
    alarms = ranks.train(tmp_path / "run", folder, spec)["alarms"]
    assert any("was still rising when training stopped after its 2 epochs: train longer" in sentence for sentence in alarms), alarms
    assert "history 2 cuts the history of 100% of users: prepare the dataset with a longer one." in alarms


def test_a_run_goes_on_from_the_weights_and_optimisers_of_another(dataset, tmp_path):
    first, run = "a" * 32, "b" * 32
    spec = {"model": {"kind": "dlrm"}, "train": EPOCHS | {"epochs": 2}}
    before = ranks.train(tmp_path / first, dataset, spec)
    kept = sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / first).rglob("*"))
    after = ranks.train(tmp_path / run, dataset, spec | {"continues": first})
    assert after["epochs"] == before["best_epoch"] + 2
    assert after["rows"] == before["rows"] // 2 * after["epochs"]
    last, before_it = (np.mean(losses(tmp_path / one)[-5:]) for one in (run, first))
    assert last < before_it
    records = [json.loads(line) for line in (tmp_path / run / "journal.jsonl").read_text().splitlines()]
    assert min(record["epoch"] for record in records if "epoch" in record) == before["best_epoch"] + 1
    assert "begin anew" not in (tmp_path / run / "run.log").read_text()
    assert sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / first).rglob("*")) == kept
    facts = checkpoint.facts(checkpoint.best(tmp_path / run / "checkpoint"))
    assert facts["epoch"] == after["best_epoch"]


@pytest.fixture(scope="module")
def first(dataset, tmp_path_factory):
    """The folder of a finished run, and done.json."""
    run = tmp_path_factory.mktemp("first") / ("a" * 32)
    return run, ranks.train(run, dataset, {"model": {"kind": "dlrm", "dropout": 0.0}, "train": EPOCHS})


STILL = {"epochs": 1, "table_learning_rate": 1e-9, "dense_learning_rate": 1e-9}


@pytest.mark.parametrize(
    ("processes", "more"),
    [(1, {}), (1, {"sharding": "data_parallel"}), (2, {"sharding": "row_wise"}), (2, {"table_sharding": ["item_id=data_parallel"]})],
)
def test_a_run_that_hardly_moves_judges_as_the_one_it_continues(dataset, first, tmp_path, processes, more):
    """Tables too: sharding gives them fresh weights, so they must be restored behind it."""
    run, before = first
    assert before["metrics"]["auc"] > 0.8
    shutil.copytree(run, tmp_path / run.name)
    again = {"model": {"kind": "dlrm", "dropout": 0.0}, "continues": run.name, "train": EPOCHS | STILL | more}
    after = ranks.train(tmp_path / ("b" * 32), dataset, again, processes=processes)
    for name in ("auc", "log_loss", "ndcg_at_10"):
        assert after["metrics"][name] == pytest.approx(before["metrics"][name], abs=1e-4), (name, after)
    assert losses(tmp_path / ("b" * 32))[0] < losses(run)[0] - 0.05


def test_other_ranks_take_over_weights_and_optimizers_and_a_broken_checkpoint_is_refused(dataset, tmp_path):
    first, run, torn = "a" * 32, "b" * 32, "c" * 32
    spec = {"model": TWO_TOWER, "train": EPOCHS | {"epochs": 2}}
    before = ranks.train(tmp_path / first, dataset, spec)
    after = ranks.train(tmp_path / run, dataset, spec | {"continues": first}, processes=2)
    assert after["epochs"] == before["best_epoch"] + 2, after
    assert "begin anew" not in (tmp_path / run / "run.log").read_text()  # states are put together from the parts of all ranks
    assert after["metrics"]["recall_at_10"] >= before["metrics"]["recall_at_10"] - 0.05
    shutil.copytree(tmp_path / first, tmp_path / torn)
    weights = checkpoint.best(tmp_path / torn / "checkpoint") / "rank0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    refused = ranks.train(tmp_path / ("d" * 32), dataset, spec | {"continues": torn})
    assert "differs from its digest" in refused["message"]


def test_candidates_come_from_every_rank_and_gradients_go_back(tmp_path):
    ranks.side_by_side(2, tmp_path, _gathers)


def _gathers(rank: int, world: int, folder: Path) -> None:
    own = (torch.arange(6.0).view(3, 2) + 10 * rank).requires_grad_()
    every = across_ranks(own)
    assert every.detach().tolist() == torch.cat([torch.arange(6.0).view(3, 2) + 10 * r for r in range(2)]).tolist()
    (every * torch.arange(6.0)[:, None] * (rank + 1)).sum().backward()  # each rank's loss reads the rows of both
    assert own.grad is not None
    assert own.grad[:, 0].tolist() == [3 * (3 * rank + place) for place in range(3)]
    assert across_ranks(torch.tensor([rank, rank])).tolist() == [0, 0, 1, 1]
